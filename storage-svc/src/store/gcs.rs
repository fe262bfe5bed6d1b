//! Google Cloud Storage.

use std::{env, fs, path::PathBuf, sync::Arc};

use object_store::gcp::GoogleCloudStorageBuilder;
use serde::Deserialize;

use super::{
    config::{GcsConfig, StoreHttp, credential_type},
    confirmed::ConfirmedWrites,
    connector::StoreClient,
    remote::{Opened, RemoteError, retries},
};
use crate::{
    metrics::StorageMetrics,
    secret::{Scrubber, Secret},
};

/// Metadata that names the write an object comes from.
const WRITE_ID: &str = "fedcost-write-id";

/// Names the file of the environment's credentials.
const CREDENTIALS_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Opens a bucket. Nothing is asked of it yet.
pub(super) fn open(config: &GcsConfig, metrics: StorageMetrics) -> Result<Opened, RemoteError> {
    let scrubber = Scrubber::new(secrets(config));
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&config.bucket)
        .with_http_connector(StoreClient::new(&StoreHttp::default(), None, false, metrics)?)
        .with_retry(retries());
    if let Some(account) = &config.service_account {
        builder = builder.with_service_account_key(account.reveal());
    } else if let Some(file) = env::var_os(CREDENTIALS_VARIABLE).filter(|file| !file.is_empty()) {
        let file = PathBuf::from(file);
        check_credentials(&file)?;
        builder = builder.with_application_credentials(file.to_string_lossy());
    }
    let store = builder
        .build()
        .map_err(|error| RemoteError::library(&error, &scrubber))?;
    Ok(Opened {
        objects: Arc::new(ConfirmedWrites::new(store, WRITE_ID)),
        scrubber,
    })
}

/// Refuses a file that the library would not understand, with a reason that says more than the library's.
fn check_credentials(path: &PathBuf) -> Result<(), RemoteError> {
    let refuse = |reason| RemoteError::File {
        key: CREDENTIALS_VARIABLE,
        path: path.clone(),
        reason,
    };
    let text = fs::read_to_string(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    match credential_type(&text).map_err(refuse)?.as_str() {
        "service_account" | "authorized_user" => Ok(()),
        kind => Err(refuse(format!(
            "holds credentials of type {kind:?}, which are not spoken; use the key of a service account, or unset the \
             variable where a metadata server gives credentials out (GKE workload identity)"
        ))),
    }
}

/// What must not show up in a text, whoever wrote it.
fn secrets(config: &GcsConfig) -> Vec<Secret> {
    #[derive(Deserialize)]
    struct Keys {
        private_key: Option<String>,
        private_key_id: Option<String>,
    }
    let Some(account) = &config.service_account else {
        return Vec::new();
    };
    // What is no JSON was refused before.
    let keys = serde_json::from_str::<Keys>(account.reveal()).ok();
    let keys = keys.map(|keys| [keys.private_key, keys.private_key_id]);
    let keys = keys.into_iter().flatten().flatten().map(Secret::from);
    keys.chain([account.clone()]).collect()
}

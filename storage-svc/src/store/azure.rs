//! Azure Blob Storage.

use std::{env, sync::Arc};

use object_store::{
    BackoffConfig, RetryConfig,
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
};

use super::{
    config::{AzureConfig, AzureCredentials},
    confirmed::ConfirmedWrites,
    connector::StoreClient,
    remote::{Opened, RemoteError, authority_of, from_environment, retries},
};
use crate::{
    metrics::StorageMetrics,
    secret::{Scrubber, Secret},
};

/// Metadata that names the write an object comes from. Azure's names are identifiers of C#, so no hyphens.
const WRITE_ID: &str = "fedcost_write_id";

/// The variables that workload identity and others put credentials in, and what each is to the library.
const CREDENTIAL_VARIABLES: [(&str, AzureConfigKey); 5] = [
    ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
    ("AZURE_CLIENT_SECRET", AzureConfigKey::ClientSecret),
    ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
    ("AZURE_FEDERATED_TOKEN_FILE", AzureConfigKey::FederatedTokenFile),
    ("IDENTITY_ENDPOINT", AzureConfigKey::MsiEndpoint),
];

/// Where tokens are given out, in clouds other than the public one.
const AUTHORITY_VARIABLE: &[(&str, AzureConfigKey)] = &[("AZURE_AUTHORITY_HOST", AzureConfigKey::AuthorityHost)];

/// Opens a container. Nothing is asked of it yet.
pub(super) fn open(config: &AzureConfig, metrics: StorageMetrics) -> Result<Opened, RemoteError> {
    let scrubber = Scrubber::new(secrets(config));
    let client = StoreClient::new(&config.http, authority_of(&config.endpoint), false, metrics)?;
    let (first, most) = config.retries.delays;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&config.account)
        .with_container_name(&config.container)
        .with_endpoint(config.endpoint.clone())
        .with_allow_http(config.endpoint.starts_with("http://"))
        .with_http_connector(client)
        .with_retry(RetryConfig {
            max_retries: config.retries.most,
            backoff: BackoffConfig {
                init_backoff: first,
                max_backoff: most,
                ..BackoffConfig::default()
            },
            ..retries()
        });
    // The library puts a slash behind it.
    for (key, host) in from_environment(AUTHORITY_VARIABLE) {
        builder = builder.with_config(key, host.trim_end_matches('/'));
    }
    builder = match &config.credentials {
        AzureCredentials::Key(key) => builder.with_access_key(key.reveal()),
        AzureCredentials::SharedAccessSignature(signature) => {
            builder.with_config(AzureConfigKey::SasKey, signature.reveal())
        }
        AzureCredentials::ClientSecret { tenant, client, secret } => {
            builder.with_client_secret_authorization(client, secret.reveal(), tenant)
        }
        AzureCredentials::ManagedIdentity(client) => builder.with_client_id(client),
        AzureCredentials::Environment => from_environment(&CREDENTIAL_VARIABLES)
            .fold(builder, |builder, (key, value)| builder.with_config(key, value)),
    };
    let store = builder
        .build()
        .map_err(|error| RemoteError::library(&error, &scrubber))?;
    Ok(Opened {
        objects: Arc::new(ConfirmedWrites::new(store, WRITE_ID)),
        scrubber,
    })
}

/// What must not show up in a text, whoever wrote it.
fn secrets(config: &AzureConfig) -> Vec<Secret> {
    match &config.credentials {
        AzureCredentials::Key(key) => vec![key.clone()],
        AzureCredentials::SharedAccessSignature(signature) => {
            // In a URL the signature may be written with other escapes, so it is looked for on its own too.
            let parts = url::form_urlencoded::parse(signature.reveal().as_bytes());
            let sig = parts
                .filter(|(name, _)| name == "sig")
                .map(|(_, value)| Secret::from(value.into_owned()));
            let raw = signature
                .reveal()
                .split('&')
                .filter_map(|part| part.strip_prefix("sig="));
            let raw = raw.map(|raw| Secret::from(raw.to_owned()));
            sig.chain(raw).chain([signature.clone()]).collect()
        }
        AzureCredentials::ClientSecret { secret, .. } => vec![secret.clone()],
        AzureCredentials::ManagedIdentity(_) => Vec::new(),
        AzureCredentials::Environment => env::var("AZURE_CLIENT_SECRET")
            .ok()
            .map(Secret::from)
            .into_iter()
            .collect(),
    }
}

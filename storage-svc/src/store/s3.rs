//! S3, and servers that speak its protocol.

use std::{
    env, fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, uri::Authority};
use object_store::{
    ClientOptions, ObjectStore,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut, S3CopyIfNotExists, resolve_bucket_region},
    client::{HttpClient, HttpConnector},
};

use super::{
    config::{S3Config, S3Credentials, S3Encryption, S3Endpoint},
    confirmed::ConfirmedWrites,
    connector::StoreClient,
    remote::{Opened, RemoteError, authority_of, from_environment, retries},
    signed_headers::{SignedHeaders, Signer, customer_key_headers},
};
use crate::{
    metrics::StorageMetrics,
    secret::{Scrubber, Secret},
};

/// Metadata that names the write an object comes from. No underscore: proxies drop headers with one.
const WRITE_ID: &str = "fedcost-write-id";

/// Bytes in a key of SSE-C.
const CUSTOMER_KEY_BYTES: usize = 32;

/// The region where nobody names one.
const DEFAULT_REGION: &str = "us-east-1";

/// The variables that the environment's credentials come in, and what each is to the library. Others, such as
/// `AWS_ENDPOINT_URL`, would silently overrule the file.
const CREDENTIAL_VARIABLES: [(&str, AmazonS3ConfigKey); 10] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
    ),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
];

/// Opens a bucket. Nothing is asked of it yet, but AWS for its region when none is given.
pub(super) async fn open(config: &S3Config, metrics: StorageMetrics) -> Result<Opened, RemoteError> {
    let region = match (&config.region, &config.endpoint) {
        (Some(region), _) => region.clone(),
        (None, S3Endpoint::Other(_)) => DEFAULT_REGION.to_owned(),
        (None, S3Endpoint::Aws) => match resolve_bucket_region(&config.bucket, &ClientOptions::new()).await {
            Ok(region) => region,
            Err(error) => {
                tracing::warn!(%error, "cannot ask AWS for the bucket's region, taking {DEFAULT_REGION}");
                DEFAULT_REGION.to_owned()
            }
        },
    };
    let virtual_host = !config.bucket.contains('.');
    let url = match &config.endpoint {
        S3Endpoint::Aws if virtual_host => format!("https://{}.s3.{region}.amazonaws.com", config.bucket),
        S3Endpoint::Aws => format!("https://s3.{region}.amazonaws.com"),
        S3Endpoint::Other(url) => url.clone(),
    };
    let customer_key = match &config.encryption {
        Some(S3Encryption::Customer(file)) => Some(read_customer_key(file)?),
        Some(S3Encryption::Server | S3Encryption::KeyService(_)) | None => None,
    };
    let customer_key_headers = customer_key.as_deref().map(customer_key_headers).unwrap_or_default();
    let customer_key = customer_key.map(|key| Secret::from(BASE64_STANDARD.encode(key)));
    let scrubber = Scrubber::new(secrets(config).into_iter().chain(customer_key.clone()));
    let connector = Connector::new(config, authority_of(&url), customer_key_headers, metrics)?;
    let signer = connector.signer.clone();

    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(&region)
        .with_http_connector(connector)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
        .with_retry(retries());
    builder = match &config.endpoint {
        S3Endpoint::Aws => builder.with_virtual_hosted_style_request(virtual_host),
        S3Endpoint::Other(url) => builder.with_endpoint(url).with_allow_http(url.starts_with("http://")),
    };
    builder = match &config.credentials {
        S3Credentials::Keys { access_key, secret_key } => builder
            .with_access_key_id(access_key.reveal())
            .with_secret_access_key(secret_key.reveal()),
        S3Credentials::Environment => from_environment(&CREDENTIAL_VARIABLES)
            .fold(builder, |builder, (key, value)| builder.with_config(key, value)),
    };
    builder = match (&config.encryption, &customer_key) {
        (Some(S3Encryption::Server), _) => {
            // The library does not export the key's own type.
            let key = "aws_server_side_encryption".parse();
            let key = key.map_err(|error| RemoteError::library(&error, &scrubber))?;
            builder.with_config(key, "AES256")
        }
        (Some(S3Encryption::KeyService(key)), _) => builder.with_sse_kms_encryption(key.reveal()),
        (Some(S3Encryption::Customer(_)), Some(key)) => builder.with_ssec_encryption(key.reveal()),
        (Some(S3Encryption::Customer(_)) | None, _) => builder,
    };
    if let Some(endpoint) = &config.sts_endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::StsEndpoint, endpoint);
    }
    let store = builder
        .build()
        .map_err(|error| RemoteError::library(&error, &scrubber))?;
    let credentials = store.credentials().clone();
    // Nothing was set before, as the signer was made above.
    let _set = signer.set(Signer { credentials, region });
    let objects: Arc<dyn ObjectStore> = Arc::new(ConfirmedWrites::new(store, WRITE_ID));
    Ok(Opened { objects, scrubber })
}

/// Reads the key of SSE-C.
fn read_customer_key(file: &Path) -> Result<Vec<u8>, RemoteError> {
    let refuse = |reason| RemoteError::File {
        key: "config.sse_config.encryption_key",
        path: file.to_owned(),
        reason,
    };
    let key = fs::read(file).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if key.len() == CUSTOMER_KEY_BYTES {
        Ok(key)
    } else {
        Err(refuse(format!(
            "has {} bytes, but a key has {CUSTOMER_KEY_BYTES}; it is taken as it is, without a line's end",
            key.len()
        )))
    }
}

/// What must not show up in a text, whoever wrote it.
fn secrets(config: &S3Config) -> Vec<Secret> {
    match &config.credentials {
        S3Credentials::Keys { access_key, secret_key } => vec![access_key.clone(), secret_key.clone()],
        S3Credentials::Environment => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
            .into_iter()
            .filter_map(|variable| env::var(variable).ok())
            .map(Secret::from)
            .collect(),
    }
}

/// Hands the library our HTTP client, which adds the file's headers.
#[derive(Debug)]
struct Connector {
    client: StoreClient,
    /// Names alone may be shown.
    headers: Headers,
    customer_key: Headers,
    signer: Arc<OnceLock<Signer>>,
}

struct Headers(HeaderMap);

impl std::fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Connector {
    fn new(
        config: &S3Config,
        bucket: Option<Authority>,
        customer_key: HeaderMap,
        metrics: StorageMetrics,
    ) -> Result<Self, RemoteError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            // The file's reader has let only printable characters through.
            if let Ok(mut value) = HeaderValue::from_str(value.reveal()) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        Ok(Self {
            client: StoreClient::new(&config.http, bucket, config.trace, metrics)?,
            headers: Headers(headers),
            customer_key: Headers(customer_key),
            signer: Arc::default(),
        })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(SignedHeaders {
            inner: HttpClient::new(self.client.clone()),
            headers: self.headers.0.clone(),
            customer_key: self.customer_key.0.clone(),
            signer: self.signer.clone(),
        }))
    }
}

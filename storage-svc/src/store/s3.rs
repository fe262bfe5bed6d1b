//! S3, and servers that speak its protocol.

use std::{env, fs, io, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut, S3CopyIfNotExists, resolve_bucket_region},
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
};
use reqwest::Certificate;

use super::{
    config::{S3Config, S3Credentials, S3Endpoint, S3Http},
    confirmed::ConfirmedWrites,
};
use crate::secret::Secret;

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

/// Why a bucket of S3 could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum S3OpenError {
    /// The file of authorities cannot be read.
    #[error("config.http_config.tls_config.ca_file: cannot read {path}: {source}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of authorities holds no certificate, or a broken one.
    #[error("config.http_config.tls_config.ca_file: {path} is not a PEM file of certificates: {reason}")]
    CaContent {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The HTTP client could not be built.
    #[error("cannot set up the HTTP client: {0}")]
    Client(reqwest::Error),
    /// The library refused the configuration.
    #[error("cannot set up the bucket: {0}")]
    Library(object_store::Error),
}

/// Opens a bucket. Nothing is asked of it yet, but AWS for its region when none is given.
pub(super) async fn open(config: &S3Config) -> Result<Arc<dyn ObjectStore>, S3OpenError> {
    let connector = Connector::new(&config.http)?;
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
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(region)
        .with_http_connector(connector)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            // The caller waits: rather answer that the bucket is away than hold on for the library's three minutes.
            max_retries: 5,
            retry_timeout: Duration::from_secs(30),
        });
    builder = match &config.endpoint {
        S3Endpoint::Aws => builder.with_virtual_hosted_style_request(!config.bucket.contains('.')),
        S3Endpoint::Other(url) => builder.with_endpoint(url).with_allow_http(url.starts_with("http://")),
    };
    builder = match &config.credentials {
        S3Credentials::Keys { access_key, secret_key } => builder
            .with_access_key_id(access_key.reveal())
            .with_secret_access_key(secret_key.reveal()),
        S3Credentials::Environment => CREDENTIAL_VARIABLES
            .into_iter()
            .filter_map(|(variable, key)| Some((key, env::var(variable).ok().filter(|value| !value.is_empty())?)))
            .fold(builder, |builder, (key, value)| builder.with_config(key, value)),
    };
    if let Some(endpoint) = &config.sts_endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::StsEndpoint, endpoint);
    }
    Ok(Arc::new(ConfirmedWrites::new(
        builder.build().map_err(S3OpenError::Library)?,
    )))
}

/// What must not show up in a text, whoever wrote it.
pub(super) fn secrets(config: &S3Config) -> Vec<Secret> {
    match &config.credentials {
        S3Credentials::Keys { access_key, secret_key } => vec![access_key.clone(), secret_key.clone()],
        S3Credentials::Environment => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
            .into_iter()
            .filter_map(|variable| env::var(variable).ok())
            .map(Secret::from)
            .collect(),
    }
}

/// Makes the HTTP client of the file's `http_config`. The library's own can add authorities but not replace the
/// system's, and its one timeout would cut long downloads.
#[derive(Debug, Clone)]
struct Connector {
    client: reqwest::Client,
    response_header_timeout: Option<Duration>,
}

impl Connector {
    fn new(http: &S3Http) -> Result<Self, S3OpenError> {
        let mut builder = reqwest::Client::builder()
            .use_rustls_tls()
            .connect_timeout(http.connect_timeout)
            .pool_idle_timeout(http.idle_timeout)
            .pool_max_idle_per_host(http.max_idle)
            // What is signed goes where it was signed for.
            .redirect(reqwest::redirect::Policy::none())
            .danger_accept_invalid_certs(http.insecure_skip_verify);
        if let Some(path) = &http.ca_file {
            builder = builder.tls_built_in_root_certs(false);
            for authority in read_authorities(path)? {
                builder = builder.add_root_certificate(authority);
            }
        }
        let client = builder.build().map_err(S3OpenError::Client)?;
        let timeout = http.response_header_timeout;
        Ok(Self {
            client,
            response_header_timeout: (!timeout.is_zero()).then_some(timeout),
        })
    }
}

fn read_authorities(path: &PathBuf) -> Result<Vec<Certificate>, S3OpenError> {
    let text = fs::read(path).map_err(|source| S3OpenError::CaFile {
        path: path.clone(),
        source,
    })?;
    let invalid = |reason| S3OpenError::CaContent {
        path: path.clone(),
        reason,
    };
    let authorities = Certificate::from_pem_bundle(&text).map_err(|error| invalid(error.to_string()))?;
    // Without this check an empty file would mean that no server is ever trusted, found out only at the first request.
    if authorities.is_empty() {
        Err(invalid("it holds none".to_owned()))
    } else {
        Ok(authorities)
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.client.call(request);
        match self.response_header_timeout {
            None => answer.await,
            Some(timeout) => match tokio::time::timeout(timeout, answer).await {
                Ok(answer) => answer,
                Err(elapsed) => Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
            },
        }
    }
}

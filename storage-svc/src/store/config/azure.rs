//! The `config` of type AZURE. As in the reference, a key that is not known is an error here.

use std::time::Duration;

use serde::Deserialize;

use super::{
    StoreConfigError,
    duration::GoDuration,
    filled,
    http::{RawHttp, StoreHttp},
    keys::UnknownKeys,
};
use crate::secret::Secret;

/// A container of Azure Blob Storage.
#[derive(Debug, Clone)]
pub struct AzureConfig {
    /// Name of the storage account.
    pub account: String,
    /// Name of the container.
    pub container: String,
    /// URL of the account's blob service. It has a path where the account is not part of the host's name.
    pub endpoint: String,
    /// How requests are authorized.
    pub credentials: AzureCredentials,
    /// How failed requests are tried again.
    pub retries: AzureRetries,
    /// The HTTP client.
    pub http: StoreHttp,
}

/// How requests are authorized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureCredentials {
    /// With the account's key.
    Key(Secret),
    /// With a shared access signature, without a leading `?`.
    SharedAccessSignature(Secret),
    /// As an application of the directory.
    ClientSecret {
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: Secret,
    },
    /// With a managed identity that the user assigned, by its client id.
    ManagedIdentity(String),
    /// With what the environment offers: workload identity, a client's secret, the system's managed identity.
    Environment,
}

/// How failed requests are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AzureRetries {
    /// How often, beside the first time.
    pub most: usize,
    /// Before the first retry, and at most.
    pub delays: (Duration, Duration),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawAzure {
    storage_account: Option<String>,
    storage_account_key: Secret,
    storage_connection_string: Secret,
    container: Option<String>,
    endpoint: Option<String>,
    max_retries: Option<i64>,
    msi_resource: Option<String>,
    user_assigned_id: Option<String>,
    az_tenant_id: Option<String>,
    client_id: Option<String>,
    client_secret: Secret,
    pipeline_config: Option<RawPipeline>,
    reader_config: Option<RawReader>,
    http_config: Option<RawHttp>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawPipeline {
    max_tries: Option<i64>,
    try_timeout: Option<GoDuration>,
    retry_delay: Option<GoDuration>,
    max_retry_delay: Option<GoDuration>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawReader {
    max_retry_requests: Option<i64>,
}

/// Full names of the keys above, but for those of `http_config`.
const OWN_KEYS: &[&str] = &[
    "config.storage_account",
    "config.storage_account_key",
    "config.storage_connection_string",
    "config.container",
    "config.endpoint",
    "config.max_retries",
    "config.msi_resource",
    "config.user_assigned_id",
    "config.az_tenant_id",
    "config.client_id",
    "config.client_secret",
    "config.pipeline_config",
    "config.pipeline_config.max_tries",
    "config.pipeline_config.try_timeout",
    "config.pipeline_config.retry_delay",
    "config.pipeline_config.max_retry_delay",
    "config.reader_config",
    "config.reader_config.max_retry_requests",
];

const DEFAULT_SUFFIX: &str = "blob.core.windows.net";
const DEFAULT_RETRIES: usize = 5;
const DEFAULT_RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));
/// Tokens of managed identities are for all of Azure's storage.
const TOKEN_RESOURCE: &str = "https://storage.azure.com";

/// Full names of all keys.
pub(super) fn azure_keys() -> Vec<&'static str> {
    [OWN_KEYS, &super::http::HTTP_KEYS].concat()
}

impl AzureConfig {
    pub(super) fn read(config: serde_norway::Value, unknown: &mut UnknownKeys) -> Result<Self, StoreConfigError> {
        let mut raw: RawAzure = unknown.read("config.", &azure_keys(), config)?;
        let container = filled(raw.container.take()).ok_or(StoreConfigError::Missing {
            key: "config.container",
            hint: "the name of the container",
        })?;
        let retries = raw.retries()?;
        let mut http = raw.http_config.take().unwrap_or_default().read()?;
        let try_timeout = raw.pipeline_config.as_ref().and_then(|pipeline| pipeline.try_timeout);
        if let Some(timeout) = try_timeout.filter(|timeout| !timeout.0.is_zero()) {
            // A try is over for the reference with the head of the answer, too: bodies are read outside the pipeline.
            http.response_header_timeout = timeout.0;
        }
        let place = Place::find(&mut raw)?;
        if let Some(resource) = filled(raw.msi_resource.take()) {
            let resource = resource.trim_end_matches('/');
            if resource != TOKEN_RESOURCE && resource != place.endpoint {
                return Err(StoreConfigError::Unsupported {
                    key: "config.msi_resource",
                    reason: "tokens are asked for https://storage.azure.com, which every account takes; remove the key",
                });
            }
        }
        let credentials = match place.credentials {
            Some(credentials) => credentials,
            None => raw.credentials()?,
        };
        Ok(Self {
            account: place.account,
            container,
            endpoint: place.endpoint,
            credentials,
            retries,
            http,
        })
    }
}

/// Which account, and where.
struct Place {
    account: String,
    endpoint: String,
    credentials: Option<AzureCredentials>,
}

impl Place {
    fn find(raw: &mut RawAzure) -> Result<Self, StoreConfigError> {
        let account = filled(raw.storage_account.take());
        if !raw.storage_connection_string.is_empty() {
            let exclusive = account.is_some() || !raw.storage_account_key.is_empty();
            if exclusive || filled(raw.user_assigned_id.clone()).is_some() {
                return Err(StoreConfigError::Invalid {
                    key: "config.storage_connection_string",
                    reason: "names account and credentials; leave out storage_account, storage_account_key and \
                             user_assigned_id"
                        .to_owned(),
                });
            }
            return Self::parse(raw.storage_connection_string.reveal());
        }
        let account = account.ok_or(StoreConfigError::Missing {
            key: "config.storage_account",
            hint: "the name of the storage account, or storage_connection_string in its place",
        })?;
        let suffix = filled(raw.endpoint.take()).unwrap_or_else(|| DEFAULT_SUFFIX.to_owned());
        Ok(Self {
            endpoint: account_url("config.endpoint", "https", &account, &suffix)?,
            account,
            credentials: None,
        })
    }

    /// Reads a connection string: pairs of name and value, separated by semicolons. Errors repeat no value.
    fn parse(text: &str) -> Result<Self, StoreConfigError> {
        let key = "config.storage_connection_string";
        let invalid = |reason: &str| StoreConfigError::Invalid {
            key,
            reason: reason.to_owned(),
        };
        let (mut account, mut account_key, mut signature, mut url) = (None, None, None, None);
        let (mut protocol, mut suffix) = ("https".to_owned(), None);
        for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| invalid("is not a list of Name=value, separated by semicolons"))?;
            let value = value.to_owned();
            match name {
                "AccountName" => account = Some(value),
                "AccountKey" => account_key = Some(Secret::from(value)),
                "SharedAccessSignature" => {
                    signature = Some(Secret::from(value.trim_start_matches('?').to_owned()));
                }
                "BlobEndpoint" => url = Some(value.trim_end_matches('/').to_owned()),
                "DefaultEndpointsProtocol" => protocol = value,
                // What Azure's own connection strings call it: the part that all services share.
                "EndpointSuffix" => suffix = Some(format!("blob.{value}")),
                "UseDevelopmentStorage" => {
                    return Err(invalid(
                        "has UseDevelopmentStorage; write the emulator's BlobEndpoint, AccountName and \
                                        AccountKey out",
                    ));
                }
                // Of the other services of an account.
                "FileEndpoint" | "QueueEndpoint" | "TableEndpoint" => {}
                _ => {
                    return Err(invalid(
                        "has a name that is not known; known are AccountName, AccountKey, \
                                        SharedAccessSignature, BlobEndpoint, DefaultEndpointsProtocol and \
                                        EndpointSuffix",
                    ));
                }
            }
        }
        if !["http", "https"].contains(&protocol.as_str()) {
            return Err(invalid("has a DefaultEndpointsProtocol that is neither http nor https"));
        }
        let parsed = url.as_deref().map(url::Url::parse).transpose();
        let parsed = parsed.map_err(|_| invalid("has a BlobEndpoint that is not a URL"))?;
        // With a signature alone the account is named by the host only.
        let from_host = || Some(parsed.as_ref()?.host_str()?.split('.').next()?.to_owned());
        let account = account
            .or_else(from_host)
            .ok_or_else(|| invalid("has no AccountName"))?;
        let endpoint = match url {
            Some(url) => url,
            None => account_url(key, &protocol, &account, suffix.as_deref().unwrap_or(DEFAULT_SUFFIX))?,
        };
        let credentials = match (account_key, signature) {
            (Some(account_key), _) => AzureCredentials::Key(account_key),
            (None, Some(signature)) => AzureCredentials::SharedAccessSignature(signature),
            (None, None) => return Err(invalid("has neither AccountKey nor SharedAccessSignature")),
        };
        Ok(Self {
            account,
            endpoint,
            credentials: Some(credentials),
        })
    }
}

/// The account's URL below a suffix.
fn account_url(key: &'static str, protocol: &str, account: &str, suffix: &str) -> Result<String, StoreConfigError> {
    let invalid = |reason: &str| StoreConfigError::Invalid {
        key,
        reason: reason.to_owned(),
    };
    if suffix.contains("://") {
        return Err(invalid(
            "has a scheme; give the part after the account's name alone, such as blob.core.windows.net",
        ));
    }
    let url = format!("{protocol}://{account}.{suffix}");
    match url::Url::parse(&url) {
        Ok(parsed) if parsed.path() == "/" && parsed.query().is_none() && parsed.username().is_empty() => Ok(url),
        Ok(_) | Err(_) => Err(invalid("account and endpoint together are not the name of a host")),
    }
}

impl RawAzure {
    fn credentials(self) -> Result<AzureCredentials, StoreConfigError> {
        let (tenant, client) = (filled(self.az_tenant_id), filled(self.client_id));
        let identity = filled(self.user_assigned_id);
        let of_client = tenant.is_some() || client.is_some() || !self.client_secret.is_empty();
        let given = [!self.storage_account_key.is_empty(), identity.is_some(), of_client];
        if given.into_iter().filter(|given| *given).count() > 1 {
            return Err(StoreConfigError::Invalid {
                key: "config.storage_account_key",
                reason: "give one of storage_account_key, user_assigned_id, and az_tenant_id with client_id and \
                         client_secret"
                    .to_owned(),
            });
        }
        if !self.storage_account_key.is_empty() {
            return Ok(AzureCredentials::Key(self.storage_account_key));
        }
        if let Some(identity) = identity {
            return Ok(AzureCredentials::ManagedIdentity(identity));
        }
        match (tenant, client) {
            (Some(tenant), Some(client)) if !self.client_secret.is_empty() => Ok(AzureCredentials::ClientSecret {
                tenant,
                client,
                secret: self.client_secret,
            }),
            (None, None) if !of_client => Ok(AzureCredentials::Environment),
            _ => Err(StoreConfigError::Missing {
                key: "config.client_secret",
                hint: "az_tenant_id, client_id and client_secret belong together; give all or none",
            }),
        }
    }

    fn retries(&self) -> Result<AzureRetries, StoreConfigError> {
        let count = |key, count: Option<i64>| match count {
            None | Some(0) => Ok(None),
            // The reference's way to say: never.
            Some(..0) => Ok(Some(0)),
            Some(1..=100) => Ok(count.and_then(|count| usize::try_from(count).ok())),
            Some(_) => Err(StoreConfigError::Invalid {
                key,
                reason: "is more than 100".to_owned(),
            }),
        };
        let pipeline = self.pipeline_config.as_ref();
        let reader = self.reader_config.as_ref().and_then(|reader| reader.max_retry_requests);
        let retries = count("config.max_retries", self.max_retries)?;
        let tries = count(
            "config.pipeline_config.max_tries",
            pipeline.and_then(|pipeline| pipeline.max_tries),
        )?;
        // Reads go the same way as all requests, so the larger number holds for both.
        let reads = count("config.reader_config.max_retry_requests", reader)?;
        let delay = |delay: Option<GoDuration>, default| {
            delay.map_or(default, |delay| if delay.0.is_zero() { default } else { delay.0 })
        };
        let first = delay(
            pipeline.and_then(|pipeline| pipeline.retry_delay),
            DEFAULT_RETRY_DELAYS.0,
        );
        let most = delay(
            pipeline.and_then(|pipeline| pipeline.max_retry_delay),
            DEFAULT_RETRY_DELAYS.1,
        );
        Ok(AzureRetries {
            most: [retries, tries, reads]
                .into_iter()
                .flatten()
                .max()
                .unwrap_or(DEFAULT_RETRIES),
            delays: (first, most.max(first)),
        })
    }
}

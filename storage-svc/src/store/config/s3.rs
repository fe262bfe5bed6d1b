//! The `config` of type S3. Key by key what the reference understands; what cannot be honoured is refused rather than
//! ignored, because a bucket written without the wanted encryption or ACL is worse than a service that does not start.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{StoreConfigError, duration::GoDuration, keys::UnknownKeys};
use crate::secret::Secret;

const MIB: u64 = 1024 * 1024;

/// S3 takes parts from 5 MiB to 5 GiB. Parts are held in memory, hence the lower upper bound.
const PART_SIZES: std::ops::RangeInclusive<u64> = 5 * MIB..=512 * MIB;

/// A bucket of S3 or of a server that speaks its protocol.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// Name of the bucket.
    pub bucket: String,
    /// Where the server is.
    pub endpoint: S3Endpoint,
    /// The bucket's region. None asks AWS for it, and takes `us-east-1` elsewhere.
    pub region: Option<String>,
    /// How to sign requests.
    pub credentials: S3Credentials,
    /// Bytes in a part of a multipart upload; 5 MiB to 512 MiB.
    pub part_size: u64,
    /// The security token service for web identities, with scheme. None takes the one of the region.
    pub sts_endpoint: Option<String>,
    /// The HTTP client.
    pub http: S3Http,
}

/// Where an S3 server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Endpoint {
    /// AWS itself. The address follows from bucket and region.
    Aws,
    /// Another server, by URL. The bucket is the first segment of the path.
    Other(String),
}

impl fmt::Display for S3Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws => formatter.write_str("AWS"),
            Self::Other(url) => formatter.write_str(url),
        }
    }
}

/// How requests are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Credentials {
    /// With the keys of the file.
    Keys {
        /// Names the key.
        access_key: Secret,
        /// Signs.
        secret_key: Secret,
    },
    /// With what the environment offers: `AWS_*` keys, web identity, ECS, EKS pod identity, instance metadata.
    Environment,
}

/// The HTTP client of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Http {
    /// After which time an unused connection is closed.
    pub idle_timeout: Duration,
    /// How many unused connections are kept.
    pub max_idle: usize,
    /// How long a server may take from the request to the head of its answer. Zero waits for ever.
    pub response_header_timeout: Duration,
    /// How long to wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// True trusts any server. Never set this.
    pub insecure_skip_verify: bool,
    /// The only authorities to trust (PEM). None trusts the system's.
    pub ca_file: Option<PathBuf>,
}

// The defaults of the reference, but for the connect timeout, which it does not bound as a whole.
const DEFAULT_PART_SIZE: u64 = 8 * MIB;
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_MAX_IDLE: usize = 100;
/// For the TCP part of a connect; the reference's dialler has this bound too.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawS3 {
    bucket: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    aws_sdk_auth: Option<bool>,
    access_key: Secret,
    secret_key: Secret,
    insecure: Option<bool>,
    signature_version2: Option<bool>,
    put_user_metadata: Option<BTreeMap<String, Secret>>,
    http_config: Option<RawHttp>,
    // The gateway's spans cover every request to the store, so there is nothing to switch on.
    trace: Option<RawTrace>,
    list_objects_version: Option<String>,
    part_size: Option<u64>,
    sse_config: Option<RawEncryption>,
    sts_endpoint: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawHttp {
    idle_conn_timeout: Option<GoDuration>,
    response_header_timeout: Option<GoDuration>,
    insecure_skip_verify: Option<bool>,
    tls_handshake_timeout: Option<GoDuration>,
    max_idle_conns: Option<usize>,
    max_idle_conns_per_host: Option<usize>,
    tls_config: Option<RawTls>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawTls {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawTrace {
    enable: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawEncryption {
    r#type: Option<String>,
    kms_key_id: Option<Secret>,
    kms_encryption_context: Option<BTreeMap<String, Secret>>,
    encryption_key: Option<Secret>,
}

/// Full names of the keys above.
pub(super) const S3_KEYS: &[&str] = &[
    "config.bucket",
    "config.endpoint",
    "config.region",
    "config.aws_sdk_auth",
    "config.access_key",
    "config.secret_key",
    "config.insecure",
    "config.signature_version2",
    "config.put_user_metadata",
    "config.http_config",
    "config.http_config.idle_conn_timeout",
    "config.http_config.response_header_timeout",
    "config.http_config.insecure_skip_verify",
    "config.http_config.tls_handshake_timeout",
    "config.http_config.max_idle_conns",
    "config.http_config.max_idle_conns_per_host",
    "config.http_config.tls_config",
    "config.http_config.tls_config.ca_file",
    "config.http_config.tls_config.cert_file",
    "config.http_config.tls_config.key_file",
    "config.http_config.tls_config.server_name",
    "config.trace",
    "config.trace.enable",
    "config.list_objects_version",
    "config.part_size",
    "config.sse_config",
    "config.sse_config.type",
    "config.sse_config.kms_key_id",
    "config.sse_config.kms_encryption_context",
    "config.sse_config.encryption_key",
    "config.sts_endpoint",
];

impl S3Config {
    pub(super) fn read(config: serde_norway::Value, unknown: &mut UnknownKeys) -> Result<Self, StoreConfigError> {
        let raw: RawS3 = unknown.read("config.", S3_KEYS, config)?;
        raw.refuse_unsupported()?;
        let hint = "the name of the bucket";
        let bucket = filled(raw.bucket).ok_or(StoreConfigError::Missing {
            key: "config.bucket",
            hint,
        })?;
        if bucket.contains(['/', ':', '?', '#']) || bucket.chars().any(char::is_whitespace) {
            let reason = format!("{bucket:?} is not the name of a bucket; it is a name alone, without scheme or path");
            return Err(StoreConfigError::Invalid {
                key: "config.bucket",
                reason,
            });
        }
        let (endpoint, endpoint_region) = read_endpoint(filled(raw.endpoint), raw.insecure.unwrap_or_default())?;
        let part_size = raw.part_size.filter(|size| *size != 0).unwrap_or(DEFAULT_PART_SIZE);
        if !PART_SIZES.contains(&part_size) {
            let reason = format!(
                "{part_size} bytes is not allowed; use {} to {}",
                PART_SIZES.start(),
                PART_SIZES.end()
            );
            return Err(StoreConfigError::Invalid {
                key: "config.part_size",
                reason,
            });
        }
        Ok(Self {
            bucket,
            endpoint,
            region: filled(raw.region).or(endpoint_region),
            credentials: read_credentials(raw.aws_sdk_auth.unwrap_or_default(), raw.access_key, raw.secret_key)?,
            part_size,
            sts_endpoint: filled(raw.sts_endpoint).map(|endpoint| match endpoint.contains("://") {
                true => endpoint,
                false => format!("https://{endpoint}"),
            }),
            http: raw.http_config.unwrap_or_default().read(),
        })
    }
}

impl RawS3 {
    fn refuse_unsupported(&self) -> Result<(), StoreConfigError> {
        let refuse = |key, reason| Err(StoreConfigError::Unsupported { key, reason });
        if self.signature_version2 == Some(true) {
            return refuse(
                "config.signature_version2",
                "requests are signed with version 4 only; remove the key",
            );
        }
        if self.list_objects_version.as_deref() == Some("v1") {
            return refuse(
                "config.list_objects_version",
                "only version 2 of the listing is spoken; remove the key",
            );
        }
        if self
            .put_user_metadata
            .as_ref()
            .is_some_and(|metadata| !metadata.is_empty())
        {
            return refuse(
                "config.put_user_metadata",
                "objects would lose it; set the ACL on the bucket instead",
            );
        }
        if self
            .sse_config
            .as_ref()
            .is_some_and(|sse| filled(sse.r#type.clone()).is_some())
        {
            return refuse(
                "config.sse_config",
                "not supported yet; set default encryption on the bucket instead",
            );
        }
        let tls = self.http_config.as_ref().and_then(|http| http.tls_config.as_ref());
        let is_set = |file: &Option<PathBuf>| file.as_ref().is_some_and(|file| !file.as_os_str().is_empty());
        if let Some(tls) = tls {
            if is_set(&tls.cert_file) || is_set(&tls.key_file) {
                return refuse(
                    "config.http_config.tls_config.cert_file",
                    "client certificates are not supported yet",
                );
            }
            if filled(tls.server_name.clone()).is_some() {
                return refuse(
                    "config.http_config.tls_config.server_name",
                    "another server name is not supported yet",
                );
            }
        }
        Ok(())
    }
}

impl RawHttp {
    fn read(self) -> S3Http {
        let or = |duration: Option<GoDuration>, default| duration.map_or(default, |duration| duration.0);
        let ca_file = self
            .tls_config
            .and_then(|tls| tls.ca_file)
            .filter(|file| !file.as_os_str().is_empty());
        // There is one host, so the smaller bound is the one that holds. Zero means no bound in the reference.
        let bound = |count: Option<usize>| count.filter(|count| *count != 0).unwrap_or(usize::MAX);
        let max_idle = bound(self.max_idle_conns).min(bound(self.max_idle_conns_per_host));
        S3Http {
            idle_timeout: or(self.idle_conn_timeout, DEFAULT_IDLE_TIMEOUT),
            max_idle: if max_idle == usize::MAX {
                DEFAULT_MAX_IDLE
            } else {
                max_idle
            },
            response_header_timeout: or(self.response_header_timeout, DEFAULT_HEADER_TIMEOUT),
            connect_timeout: DIAL_TIMEOUT + or(self.tls_handshake_timeout, DEFAULT_HANDSHAKE_TIMEOUT),
            insecure_skip_verify: self.insecure_skip_verify.unwrap_or_default(),
            ca_file,
        }
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn read_credentials(from_sdk: bool, access_key: Secret, secret_key: Secret) -> Result<S3Credentials, StoreConfigError> {
    let missing = |key, hint| Err(StoreConfigError::Missing { key, hint });
    match (access_key.is_empty(), secret_key.is_empty()) {
        (true, true) => Ok(S3Credentials::Environment),
        _ if from_sdk => {
            let reason = "true, but access_key or secret_key is given; give keys or aws_sdk_auth, not both".to_owned();
            Err(StoreConfigError::Invalid {
                key: "config.aws_sdk_auth",
                reason,
            })
        }
        (true, false) => missing(
            "config.access_key",
            "secret_key is given; give both, or none for the environment's",
        ),
        (false, true) => missing(
            "config.secret_key",
            "access_key is given; give both, or none for the environment's",
        ),
        (false, false) => Ok(S3Credentials::Keys { access_key, secret_key }),
    }
}

/// Reads the endpoint, and the region that an AWS endpoint names.
fn read_endpoint(endpoint: Option<String>, insecure: bool) -> Result<(S3Endpoint, Option<String>), StoreConfigError> {
    let invalid = |reason: String| StoreConfigError::Invalid {
        key: "config.endpoint",
        reason,
    };
    let Some(endpoint) = endpoint else {
        return Ok((S3Endpoint::Aws, None));
    };
    if endpoint.contains("://") {
        // The value is not shown: a URL may hold a password.
        return Err(invalid(
            "has a scheme; give host and port alone, and insecure: true for http".to_owned(),
        ));
    }
    let url = format!("{}://{endpoint}", if insecure { "http" } else { "https" });
    let parsed = url::Url::parse(&url).map_err(|error| invalid(format!("is not a host: {error}")))?;
    // A user or password here would end up in logs, and a path or query would be lost.
    let host_only = parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none();
    if !host_only || !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(invalid("must be a host, or host:port, and nothing else".to_owned()));
    }
    let host = parsed.host_str().unwrap_or_default();
    if insecure || !(host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")) {
        return Ok((S3Endpoint::Other(url), None));
    }
    let region = host
        .strip_prefix("s3.")
        .and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    match region {
        // `s3.amazonaws.com` leaves the region open.
        _ if host == "s3.amazonaws.com" => Ok((S3Endpoint::Aws, None)),
        Some(region) if !region.contains('.') => Ok((S3Endpoint::Aws, Some(region.to_owned()))),
        // Dual stack, FIPS, China: the address says more than the region does.
        _ => Ok((S3Endpoint::Other(url), None)),
    }
}

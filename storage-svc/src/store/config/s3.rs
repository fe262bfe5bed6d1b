//! The `config` of type S3. Key by key what the reference understands; what cannot be honoured is refused rather than
//! ignored, because a bucket written without the wanted encryption or ACL is worse than a service that does not start.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use http::HeaderName;
use serde::Deserialize;

use super::{
    StoreConfigError, filled,
    http::{RawHttp, StoreHttp},
    keys::UnknownKeys,
};
use crate::secret::Secret;

const MIB: u64 = 1024 * 1024;

/// S3 takes parts from 5 MiB to 5 GiB. Parts are held in memory, hence the lower upper bound.
const PART_SIZES: std::ops::RangeInclusive<u64> = 5 * MIB..=512 * MIB;

/// Headers of an object, beside those that begin with `x-amz-`.
const OBJECT_HEADERS: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];

/// Headers that a request sets by itself.
const RESERVED_HEADERS: [&str; 5] = [
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-date",
    "x-amz-meta-fedcost-write-id",
    "x-amz-security-token",
];

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
    /// Headers that go along with every new object, signed: metadata, and what S3 itself understands, such as the ACL.
    pub headers: Vec<(HeaderName, Secret)>,
    /// How the server encrypts what it stores. None leaves it to the bucket.
    pub encryption: Option<S3Encryption>,
    /// True traces every request to the store.
    pub trace: bool,
    /// The HTTP client.
    pub http: StoreHttp,
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

/// How the server encrypts what it stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Encryption {
    /// With a key of the server's (SSE-S3).
    Server,
    /// With a key of the key service (SSE-KMS), by its id or name.
    KeyService(Secret),
    /// With a key of ours that goes along with each request (SSE-C): a file of 32 bytes.
    Customer(PathBuf),
}

const DEFAULT_PART_SIZE: u64 = 8 * MIB;

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
    trace: Option<RawTrace>,
    list_objects_version: Option<String>,
    part_size: Option<u64>,
    sse_config: Option<RawEncryption>,
    sts_endpoint: Option<String>,
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
    encryption_key: Option<PathBuf>,
}

/// Full names of the keys above, but for those of `http_config`.
const OWN_KEYS: &[&str] = &[
    "config.bucket",
    "config.endpoint",
    "config.region",
    "config.aws_sdk_auth",
    "config.access_key",
    "config.secret_key",
    "config.insecure",
    "config.signature_version2",
    "config.put_user_metadata",
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

/// Full names of all keys.
pub(super) fn s3_keys() -> Vec<&'static str> {
    [OWN_KEYS, &super::http::HTTP_KEYS].concat()
}

impl S3Config {
    pub(super) fn read(config: serde_norway::Value, unknown: &mut UnknownKeys) -> Result<Self, StoreConfigError> {
        let raw: RawS3 = unknown.read("config.", &s3_keys(), config)?;
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
            headers: read_metadata(raw.put_user_metadata.unwrap_or_default())?,
            encryption: read_encryption(raw.sse_config.unwrap_or_default(), raw.insecure.unwrap_or_default())?,
            trace: raw.trace.and_then(|trace| trace.enable).unwrap_or_default(),
            http: raw.http_config.unwrap_or_default().read()?,
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
        Ok(())
    }
}

/// Sorts metadata as the reference does: names that S3 itself understands are headers of their own, all others go
/// below `x-amz-meta-`.
fn read_metadata(metadata: BTreeMap<String, Secret>) -> Result<Vec<(HeaderName, Secret)>, StoreConfigError> {
    let invalid = |reason| StoreConfigError::Invalid {
        key: "config.put_user_metadata",
        reason,
    };
    metadata
        .into_iter()
        .map(|(name, value)| {
            let lower = name.to_ascii_lowercase();
            if RESERVED_HEADERS.contains(&lower.as_str()) {
                return Err(invalid(format!("`{name}` is set by the request itself")));
            }
            let header = match lower.starts_with("x-amz-") || OBJECT_HEADERS.contains(&lower.as_str()) {
                true => lower,
                false => format!("x-amz-meta-{lower}"),
            };
            let header = HeaderName::try_from(header)
                .map_err(|_| invalid(format!("`{name}` cannot be the name of a header")))?;
            // S3 signs texts of ASCII alone, and the value is not shown because it may be an encryption key.
            let printable = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !printable(value.reveal()) {
                return Err(invalid(format!("the value of `{name}` must be printable ASCII")));
            }
            Ok((header, value))
        })
        .collect()
}

fn read_encryption(raw: RawEncryption, insecure: bool) -> Result<Option<S3Encryption>, StoreConfigError> {
    let missing = |key, hint| StoreConfigError::Missing { key, hint };
    let Some(kind) = filled(raw.r#type) else {
        return Ok(None);
    };
    if raw.kms_encryption_context.is_some_and(|context| !context.is_empty()) {
        return Err(StoreConfigError::Unsupported {
            key: "config.sse_config.kms_encryption_context",
            reason: "the library sends no context; remove the key and its condition from the key's policy",
        });
    }
    match kind.as_str() {
        "SSE-S3" => Ok(Some(S3Encryption::Server)),
        "SSE-KMS" => {
            let key = raw.kms_key_id.filter(|key| !key.is_empty());
            let hint = "the id or the name of the key";
            Ok(Some(S3Encryption::KeyService(
                key.ok_or_else(|| missing("config.sse_config.kms_key_id", hint))?,
            )))
        }
        "SSE-C" if insecure => Err(StoreConfigError::Unsupported {
            key: "config.sse_config.type",
            reason: "SSE-C sends the key along, which needs TLS; remove insecure",
        }),
        "SSE-C" => {
            let file = raw.encryption_key.filter(|file| !file.as_os_str().is_empty());
            let hint = "the file that holds the key, 32 bytes as they are";
            Ok(Some(S3Encryption::Customer(
                file.ok_or_else(|| missing("config.sse_config.encryption_key", hint))?,
            )))
        }
        _ => Err(StoreConfigError::Invalid {
            key: "config.sse_config.type",
            reason: format!("`{kind}` is not allowed; use SSE-S3, SSE-KMS or SSE-C"),
        }),
    }
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

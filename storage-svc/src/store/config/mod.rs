//! `federated-store.yaml`: the file that names the bucket, as users of OpenCost and Kubecost write it.

mod azure;
mod duration;
mod gcs;
mod http;
mod keys;
mod s3;

use std::{fmt, path::PathBuf};

use clap::ValueEnum;
use object_store::path::Path;
use serde::Deserialize;

pub(crate) use self::gcs::credential_type;
use self::keys::UnknownKeys;
pub use self::{
    azure::{AzureConfig, AzureCredentials, AzureRetries},
    gcs::GcsConfig,
    http::{ClientCertificate, StoreHttp},
    s3::{S3Config, S3Credentials, S3Encryption, S3Endpoint},
};
use crate::path::{FolderPath, PathError};

/// The bucket and how to reach it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Where the objects are.
    pub bucket: BucketConfig,
    /// Folder of the bucket that holds everything of ours. Empty is all of the bucket.
    pub prefix: Path,
    /// Who keeps the conditions of writes, which the file does not say.
    pub conditional_writes: ConditionalWrites,
    /// What the operator should know, though it keeps nothing from working.
    pub warnings: Vec<String>,
}

/// Where the objects are.
#[derive(Debug, Clone)]
pub enum BucketConfig {
    /// A local folder.
    Filesystem {
        /// The folder. Created when it is missing.
        directory: PathBuf,
    },
    /// A bucket of S3 or of a server that speaks its protocol.
    S3(Box<S3Config>),
    /// A bucket of Google Cloud Storage.
    Gcs(Box<GcsConfig>),
    /// A container of Azure Blob Storage.
    Azure(Box<AzureConfig>),
}

/// What to do about keys that nobody knows, where the reference ignores them: in `config` of S3 and GCS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownKeyPolicy {
    /// Warn, so that a file that works there works here.
    #[default]
    Warn,
    /// Refuse the file.
    Refuse,
}

impl UnknownKeyPolicy {
    /// To refuse the file, or else to warn.
    #[must_use]
    pub fn strict(strict: bool) -> Self {
        if strict { Self::Refuse } else { Self::Warn }
    }
}

/// Who sees to it that a conditional write takes place only if the object is as the caller expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ConditionalWrites {
    /// The store. One that cannot is refused at the start.
    #[default]
    Store,
    /// This process, which looks at the object before it writes, and lets the writers of one object wait for one
    /// another. Right only as long as nobody else writes to the bucket's `derived/`.
    Gateway,
}

/// Why a `federated-store.yaml` cannot be used. Each text names the key and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum StoreConfigError {
    /// Not YAML, or not of the shape of the file.
    #[error("{0}")]
    Syntax(String),
    /// A store that is not there.
    #[error("type: `{0}` is not a store; allowed are S3, GCS, AZURE and FILESYSTEM")]
    UnknownType(String),
    /// A key that nobody knows, where that is an error.
    #[error("{0}")]
    UnknownKey(String),
    /// A key without a value that is needed.
    #[error("{key} is missing: {hint}")]
    Missing {
        /// The key, with those above it.
        key: &'static str,
        /// What belongs there.
        hint: &'static str,
    },
    /// A value that cannot be.
    #[error("{key}: {reason}")]
    Invalid {
        /// The key, with those above it.
        key: &'static str,
        /// What is wrong with its value. Never holds a secret.
        reason: String,
    },
    /// A key that asks for something we cannot do.
    #[error("{key} cannot be honoured: {reason}")]
    Unsupported {
        /// The key, with those above it.
        key: &'static str,
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// A lock that a local folder has no use for.
    #[error("conditional_writes: found `gateway`, allowed is `store`: a local folder keeps the conditions itself")]
    NeedlessLock,
    /// A prefix that is no folder.
    #[error("prefix: {0}")]
    Prefix(#[from] PathError),
}

#[derive(Deserialize)]
struct RawStore {
    r#type: String,
    #[serde(default)]
    config: serde_norway::Value,
    prefix: Option<String>,
}

#[derive(Deserialize)]
struct RawFilesystem {
    directory: Option<PathBuf>,
}

const TOP_KEYS: &[&str] = &["type", "config", "prefix"];
const FILESYSTEM_KEYS: &[&str] = &["config.directory"];

impl StoreConfig {
    /// A local folder without a prefix.
    #[must_use]
    pub fn directory(directory: PathBuf) -> Self {
        Self {
            bucket: BucketConfig::Filesystem { directory },
            prefix: Path::default(),
            conditional_writes: ConditionalWrites::default(),
            warnings: Vec::new(),
        }
    }

    /// The same bucket, with conditions of writes kept by `keeper`.
    ///
    /// # Errors
    /// When the bucket is a local folder, and not to keep them itself.
    pub fn with_conditional_writes(self, keeper: ConditionalWrites) -> Result<Self, StoreConfigError> {
        if self.is_directory() && keeper == ConditionalWrites::Gateway {
            return Err(StoreConfigError::NeedlessLock);
        }
        Ok(Self {
            conditional_writes: keeper,
            ..self
        })
    }

    /// Whether the bucket is a local folder.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.bucket, BucketConfig::Filesystem { .. })
    }

    /// Reads the text of a `federated-store.yaml`. Unknown keys under S3 and GCS become warnings.
    ///
    /// # Errors
    /// As [`parse_with`](Self::parse_with).
    pub fn parse(text: &str) -> Result<Self, StoreConfigError> {
        Self::parse_with(text, UnknownKeyPolicy::Warn)
    }

    /// Reads the text of a `federated-store.yaml`.
    ///
    /// # Errors
    /// When the text is not such a file, lacks something, or asks for what we cannot do. No text of an error holds a
    /// secret.
    pub fn parse_with(text: &str, policy: UnknownKeyPolicy) -> Result<Self, StoreConfigError> {
        let mut unknown = UnknownKeys::default();
        let raw: RawStore = unknown.read("", TOP_KEYS, serde_norway::Deserializer::from_str(text))?;
        let kind = raw.r#type.to_ascii_uppercase();
        unknown.tolerated = policy == UnknownKeyPolicy::Warn && ["S3", "GCS"].contains(&kind.as_str());
        let bucket = match kind.as_str() {
            "FILESYSTEM" => {
                let raw: RawFilesystem = unknown.read("config.", FILESYSTEM_KEYS, raw.config)?;
                let directory = raw.directory.filter(|directory| !directory.as_os_str().is_empty());
                let hint = "the folder that holds the objects";
                let directory = directory.ok_or(StoreConfigError::Missing {
                    key: "config.directory",
                    hint,
                })?;
                BucketConfig::Filesystem { directory }
            }
            "S3" => BucketConfig::S3(Box::new(S3Config::read(raw.config, &mut unknown)?)),
            "GCS" => BucketConfig::Gcs(Box::new(GcsConfig::read(raw.config, &mut unknown)?)),
            "AZURE" => BucketConfig::Azure(Box::new(AzureConfig::read(raw.config, &mut unknown)?)),
            _ => return Err(StoreConfigError::UnknownType(raw.r#type)),
        };
        // The reference joins prefix and name, so a slash at either end has no meaning there.
        let prefix = raw.prefix.unwrap_or_default();
        let prefix = FolderPath::parse(prefix.trim_matches('/'))?.as_path().clone();
        let mut warnings = unknown.warnings();
        if bucket.http().is_some_and(|http| http.insecure_skip_verify) {
            warnings.push(
                "config.http_config.insecure_skip_verify is true: ANYONE between here and the bucket can read and \
                 change the data and take the credentials; set tls_config.ca_file instead"
                    .to_owned(),
            );
        }
        Ok(Self {
            bucket,
            prefix,
            conditional_writes: ConditionalWrites::default(),
            warnings,
        })
    }
}

impl BucketConfig {
    /// What the file says about HTTP and TLS, where it can.
    fn http(&self) -> Option<&StoreHttp> {
        match self {
            Self::S3(s3) => Some(&s3.http),
            Self::Azure(azure) => Some(&azure.http),
            Self::Filesystem { .. } | Self::Gcs(_) => None,
        }
    }
}

/// A text that is empty in the file counts as left out.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl fmt::Display for StoreConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bucket {
            BucketConfig::Filesystem { directory } => write!(formatter, "folder {}", directory.display())?,
            BucketConfig::S3(s3) => write!(formatter, "S3 bucket {} at {}", s3.bucket, s3.endpoint)?,
            BucketConfig::Gcs(gcs) => write!(formatter, "GCS bucket {}", gcs.bucket)?,
            BucketConfig::Azure(azure) => {
                write!(formatter, "Azure container {} at {}", azure.container, azure.endpoint)?
            }
        }
        if self.prefix.as_ref().is_empty() {
            Ok(())
        } else {
            write!(formatter, " below {}", self.prefix)
        }
    }
}

#[cfg(test)]
mod tests;

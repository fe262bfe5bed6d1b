//! `federated-store.yaml`: the file that names the bucket, as users of OpenCost and Kubecost write it.

mod duration;
mod keys;
mod s3;

use std::{fmt, path::PathBuf};

use object_store::path::Path;
use serde::Deserialize;

use self::keys::UnknownKeys;
pub use self::s3::{S3Config, S3Credentials, S3Endpoint, S3Http};
use crate::path::{FolderPath, PathError};

/// The bucket and how to reach it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Where the objects are.
    pub bucket: BucketConfig,
    /// Folder of the bucket that holds everything of ours. Empty is all of the bucket.
    pub prefix: Path,
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
}

/// Why a `federated-store.yaml` cannot be used. Each text names the key and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum StoreConfigError {
    /// Not YAML, or not of the shape of the file.
    #[error("{0}")]
    Syntax(String),
    /// A store that is not there.
    #[error("type: `{0}` is not a store; allowed are S3 and FILESYSTEM")]
    UnknownType(String),
    /// A store that comes later.
    #[error("type: `{0}` is not supported yet; S3 and FILESYSTEM are")]
    TypeNotYet(&'static str),
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
            warnings: Vec::new(),
        }
    }

    /// Reads the text of a `federated-store.yaml`. Unknown keys become warnings, as the reference ignores them.
    ///
    /// # Errors
    /// When the text is not such a file, lacks something, or asks for what we cannot do. No text of an error holds a
    /// secret.
    pub fn parse(text: &str) -> Result<Self, StoreConfigError> {
        let mut unknown = UnknownKeys::default();
        let raw: RawStore = unknown.read("", TOP_KEYS, serde_norway::Deserializer::from_str(text))?;
        let bucket = match raw.r#type.to_ascii_uppercase().as_str() {
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
            "GCS" => return Err(StoreConfigError::TypeNotYet("GCS")),
            "AZURE" => return Err(StoreConfigError::TypeNotYet("AZURE")),
            _ => return Err(StoreConfigError::UnknownType(raw.r#type)),
        };
        // The reference joins prefix and name, so a slash at either end has no meaning there.
        let prefix = raw.prefix.unwrap_or_default();
        let prefix = FolderPath::parse(prefix.trim_matches('/'))?.as_path().clone();
        let mut warnings = unknown.warnings();
        if let BucketConfig::S3(s3) = &bucket
            && s3.http.insecure_skip_verify
        {
            warnings.push(
                "config.http_config.insecure_skip_verify is true: ANYONE between here and the bucket can read and \
                 change the data and take the credentials; set tls_config.ca_file instead"
                    .to_owned(),
            );
        }
        Ok(Self {
            bucket,
            prefix,
            warnings,
        })
    }
}

impl fmt::Display for StoreConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bucket {
            BucketConfig::Filesystem { directory } => write!(formatter, "folder {}", directory.display())?,
            BucketConfig::S3(s3) => write!(formatter, "S3 bucket {} at {}", s3.bucket, s3.endpoint)?,
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

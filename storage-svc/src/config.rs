//! The service's own file.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use service_kit::config::{CommonConfig, ConfigError, load_yaml};

use crate::store::config::{ConditionalWrites, StoreConfig, StoreConfigError, UnknownKeyPolicy};

/// The configuration of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen, who we are, whom we trust, how to log.
    pub server: CommonConfig,
    /// The bucket.
    pub store: StoreConfig,
    /// What callers may use up.
    pub limits: Limits,
}

/// What callers may use up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Writes at the same time. Each may hold a few parts in memory: see the store's part size.
    pub concurrent_writes: usize,
    /// Listings and downloads at the same time.
    pub concurrent_reads: usize,
    /// Bytes of writes in memory above which no further write begins.
    pub write_bytes: usize,
    /// Calls that each federated cluster may begin in a second; 0 for any number.
    pub cluster_calls_per_second: u32,
    /// How long a caller may leave a write without its next piece.
    #[serde(with = "service_kit::config::duration")]
    pub write_idle: Duration,
    /// How long a caller may leave an answer unread.
    #[serde(with = "service_kit::config::duration")]
    pub read_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        // A writer of a table computes between its pieces, so it may pause for long.
        Self {
            concurrent_writes: 128,
            concurrent_reads: 1024,
            write_bytes: 1024 * 1024 * 1024,
            // Far above what a pusher of one cluster needs.
            cluster_calls_per_second: 200,
            write_idle: Duration::from_secs(10 * 60),
            // A query may pause between the pieces of what it reads.
            read_idle: Duration::from_secs(10 * 60),
        }
    }
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    server: CommonConfig,
    /// Path of a `federated-store.yaml`.
    store: Option<PathBuf>,
    /// A local folder as the bucket, without a file of its own.
    directory: Option<PathBuf>,
    /// Refuse a `federated-store.yaml` with unknown keys, where they would be a warning.
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    conditional_writes: ConditionalWrites,
    #[serde(default)]
    limits: Limits,
}

/// Why the service's configuration cannot be used. Each text is one line and names the file.
#[derive(Debug, thiserror::Error)]
pub enum StorageConfigError {
    /// The service's own file.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// Neither or both ways to name the bucket.
    #[error(
        "{}: give either `store`, the path of a federated-store.yaml, or `directory`, a local folder",
        path.display()
    )]
    Bucket {
        /// The service's own file.
        path: PathBuf,
    },
    /// A limit that would let nothing through.
    #[error("{}: limits.{key}: found 0, allowed is 1 or more", path.display())]
    Nothing {
        /// The service's own file.
        path: PathBuf,
        /// The limit.
        key: &'static str,
    },
    /// The `federated-store.yaml` cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    ReadStore {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The `federated-store.yaml` cannot be used.
    #[error("{}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StoreConfigError,
    },
}

impl Config {
    /// Reads the service's file and the `federated-store.yaml` that it names.
    ///
    /// # Errors
    /// When either cannot be read or used.
    pub fn load(path: &Path) -> Result<Self, StorageConfigError> {
        load_yaml::<RawConfig>(path)?.validate(path)
    }

    /// As [`load`](Self::load), with `strict` whatever the file says of it.
    ///
    /// # Errors
    /// When either cannot be read or used, or the `federated-store.yaml` has unknown keys.
    pub fn load_strictly(path: &Path) -> Result<Self, StorageConfigError> {
        let mut raw: RawConfig = load_yaml(path)?;
        raw.strict = true;
        raw.validate(path)
    }
}

impl RawConfig {
    /// Checks the file, whose path is for messages, and reads the `federated-store.yaml` that it names.
    ///
    /// # Errors
    /// When something does not fit, or the other file cannot be read or used.
    pub fn validate(self, path: &Path) -> Result<Config, StorageConfigError> {
        let path = path.to_owned();
        let Limits {
            concurrent_writes,
            concurrent_reads,
            write_bytes,
            ..
        } = self.limits;
        for (key, limit) in [
            ("concurrent_writes", concurrent_writes),
            ("concurrent_reads", concurrent_reads),
            ("write_bytes", write_bytes),
        ] {
            if limit == 0 {
                return Err(StorageConfigError::Nothing { path, key });
            }
        }
        let store = match (self.store, self.directory) {
            (Some(store), None) => load_store(&store, UnknownKeyPolicy::strict(self.strict))?,
            (None, Some(directory)) => StoreConfig::directory(directory),
            (Some(_), Some(_)) | (None, None) => return Err(StorageConfigError::Bucket { path }),
        };
        let store = store
            .with_conditional_writes(self.conditional_writes)
            .map_err(|source| StorageConfigError::Store { path, source })?;
        Ok(Config {
            server: self.server,
            store,
            limits: self.limits,
        })
    }
}

/// Reads a `federated-store.yaml`.
///
/// # Errors
/// When the file cannot be read or used.
pub fn load_store(path: &Path, policy: UnknownKeyPolicy) -> Result<StoreConfig, StorageConfigError> {
    let text = fs::read_to_string(path).map_err(|source| StorageConfigError::ReadStore {
        path: path.to_owned(),
        source,
    })?;
    StoreConfig::parse_with(&text, policy).map_err(|source| StorageConfigError::Store {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "server: {listen: '127.0.0.1:0', tls: {ca: a, cert: b, key: c}}\n";

    fn load(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("storage.yaml");
        fs::write(&file, format!("{SERVER}{text}")).unwrap();
        fs::write(
            folder.path().join("good.yaml"),
            "type: FILESYSTEM\nconfig: {directory: x}\nprefix: p",
        )
        .unwrap();
        fs::write(
            folder.path().join("unknown.yaml"),
            "type: S3\nconfig: {bucket: b, regoin: x}",
        )
        .unwrap();
        fs::write(folder.path().join("s3.yaml"), "type: S3\nconfig: {bucket: b}").unwrap();
        fs::write(folder.path().join("bad.yaml"), "type: S3\nconfig: {bukcet: x}").unwrap();
        let text = fs::read_to_string(&file)
            .unwrap()
            .replace("FOLDER", folder.path().to_str().unwrap());
        fs::write(&file, text).unwrap();
        Config::load(&file).map_err(|error| error.to_string())
    }

    #[test]
    fn the_sample_can_be_used() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/storage-svc.yaml");
        assert_eq!(Config::load(&path).unwrap().store.to_string(), "folder .fedcost/bucket");
    }

    #[test]
    fn takes_a_folder_or_a_file_that_names_the_bucket() {
        assert_eq!(load("directory: /x").unwrap().store.to_string(), "folder /x");
        let config = load("store: FOLDER/good.yaml\nlimits: {write_idle: 5s}").unwrap();
        assert_eq!(config.store.to_string(), "folder x below p");
        assert_eq!(config.limits.write_idle, Duration::from_secs(5));
        assert_eq!(load("store: FOLDER/unknown.yaml").unwrap().store.warnings.len(), 1);
    }

    #[test]
    fn the_store_keeps_conditions_unless_we_are_to() {
        let kept_by = |text: &str| load(text).unwrap().store.conditional_writes;
        assert_eq!(kept_by("store: FOLDER/s3.yaml"), ConditionalWrites::Store);
        assert_eq!(
            kept_by("store: FOLDER/s3.yaml\nconditional_writes: gateway"),
            ConditionalWrites::Gateway
        );
    }

    #[test]
    fn names_file_and_key_of_what_is_wrong() {
        for (text, expected) in [
            ("", "storage.yaml: give either `store`"),
            (
                "store: FOLDER/unknown.yaml\nstrict: true",
                "unknown.yaml: unknown key `config.regoin`; did you mean `config.region`?",
            ),
            ("directory: /x\nstore: y", "storage.yaml: give either `store`"),
            ("store: FOLDER/none.yaml", "none.yaml: cannot be read"),
            ("store: FOLDER/bad.yaml", "bad.yaml: config.bucket is missing"),
            (
                "directory: /x\nlimits: {concurrent_writes: 0}",
                "limits.concurrent_writes: found 0",
            ),
            (
                "directory: /x\nconditional_writes: gateway",
                "storage.yaml: conditional_writes: found `gateway`, allowed is `store`",
            ),
            (
                "store: FOLDER/s3.yaml\nconditional_writes: none",
                "unknown variant `none`, expected `store` or `gateway`",
            ),
            ("directroy: /x", "unknown field `directroy`"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

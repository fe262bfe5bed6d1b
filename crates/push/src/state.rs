//! What was uploaded, noted in a file that may be lost at any time.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::scan::Stamp;

/// Name of the state file when no other is given.
pub const STATE_FILE: &str = ".fedcost-push.json";

/// The form of the file. Another one is not read.
const VERSION: u32 = 1;

/// What was uploaded of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pushed {
    /// How the file looked.
    #[serde(flatten)]
    pub(crate) stamp: Stamp,
    /// SHA-256 of its content, in hexadecimal digits.
    pub(crate) sha256: String,
}

/// What is known of earlier uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    version: u32,
    /// Whose files these are.
    cluster: String,
    /// Where they went: another gateway may stand before another bucket.
    gateway: String,
    /// Tells this pusher from another one of the same cluster id, across restarts.
    pub(crate) instance: Uuid,
    /// By path below `etl/bingen/`.
    pub(crate) files: BTreeMap<String, Pushed>,
}

impl State {
    pub(crate) fn new(cluster: &str, gateway: &str) -> Self {
        Self {
            version: VERSION,
            cluster: cluster.to_owned(),
            gateway: gateway.to_owned(),
            instance: Uuid::new_v4(),
            files: BTreeMap::new(),
        }
    }

    /// Reads the state, or begins anew: nothing depends on it but work done twice. Blocks.
    pub(crate) fn load(path: &Path, cluster: &str, gateway: &str) -> Self {
        let fresh = || Self::new(cluster, gateway);
        let shown = path.display();
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::info!(path = %shown, "no state yet; what the bucket holds is compared instead");
                return fresh();
            }
            Err(error) => {
                tracing::warn!(path = %shown, %error, "the state cannot be read; what the bucket holds is compared instead");
                return fresh();
            }
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(state) if state.version != VERSION => {
                tracing::warn!(path = %shown, version = state.version, "the state is of another version and not used");
                fresh()
            }
            Ok(state) if (state.cluster.as_str(), state.gateway.as_str()) != (cluster, gateway) => {
                tracing::info!(path = %shown, cluster = state.cluster, gateway = state.gateway, "the state is of other uploads and not used");
                fresh()
            }
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(path = %shown, %error, "the state is damaged; what the bucket holds is compared instead");
                fresh()
            }
        }
    }

    /// Writes the state, as a whole or not at all. Blocks.
    pub(crate) fn save(&self, path: &Path) -> Result<(), SaveError> {
        let write = || -> io::Result<()> {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| SaveError {
            path: path.to_owned(),
            source,
        })
    }
}

/// Why the state cannot be noted.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}", path.display())]
pub(crate) struct SaveError {
    path: PathBuf,
    source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_restart_but_not_another_destination_or_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let mut state = State::load(&path, "a", "https://g:1");
        let stamp = Stamp {
            size: 1,
            modified_ns: 2,
            inode: 3,
        };
        let sha256 = "00".to_owned();
        state
            .files
            .insert("assets/1d/0-86400".to_owned(), Pushed { stamp, sha256 });
        state.save(&path).unwrap();
        assert_eq!(State::load(&path, "a", "https://g:1"), state);
        for (cluster, gateway) in [("b", "https://g:1"), ("a", "https://h:1")] {
            let other = State::load(&path, cluster, gateway);
            assert!(other.files.is_empty() && other.instance != state.instance);
        }
        let text = fs::read(&path).unwrap();
        for damaged in [&text[..text.len() / 2], b"", b"[]", b"\0\xff"] {
            fs::write(&path, damaged).unwrap();
            assert!(State::load(&path, "a", "https://g:1").files.is_empty());
        }
        let error = state.save(&folder.path().join("none/state.json")).unwrap_err();
        assert!(
            error.to_string().contains("none/state.json: cannot be written"),
            "{error}"
        );
    }
}

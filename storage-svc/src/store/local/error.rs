//! Why a local folder could not do what was asked.

use std::io;

use object_store::path::Path;

/// Why a local folder could not do what was asked. Paths are those of objects, never of the machine.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There is no such object.
    #[error("there is no object `{path}`")]
    NotFound {
        /// The object.
        path: String,
    },
    /// A create-only write found an object.
    #[error("there is already an object `{path}`")]
    AlreadyExists {
        /// The object.
        path: String,
    },
    /// The present object is not the one that the writer named.
    #[error("the entity tag of `{path}` is {found}, not {expected}")]
    TagDiffers {
        /// The object.
        path: String,
        /// The tag that the writer named.
        expected: String,
        /// The tag of the present object, or `none`.
        found: String,
    },
    /// A write on a tag or version named none that a folder could know.
    #[error("a conditional write to a local folder needs an entity tag and no version")]
    TagMissing,
    /// An object's name needs a folder where an object is, or is itself a folder of objects.
    #[error("`{path}` cannot be written: a part of it is both an object and a folder")]
    FolderInTheWay {
        /// The object.
        path: String,
    },
    /// The part asked for lies outside the object.
    #[error("the range does not fit `{path}`: {reason}")]
    Range {
        /// The object.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// The file system stores no attributes beside a file.
    #[error("the bucket's file system cannot store attributes: {source}")]
    AttributesUnsupported {
        /// What the system said.
        source: io::Error,
    },
    /// The file system does not allow such a name.
    #[error("the bucket's file system does not allow the name `{path}`: {source}")]
    Name {
        /// The object.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The disk or the quota is full.
    #[error("no space left to write `{path}`: {source}")]
    Full {
        /// The object.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The upload was completed or aborted before.
    #[error("the upload of `{path}` is already over")]
    UploadOver {
        /// The object.
        path: String,
    },
    /// Any other failure of the file system.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The object.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl LocalError {
    /// Sorts a failure of the file system by what can be done about it.
    pub(super) fn on(path: &Path, action: &'static str, source: io::Error) -> Self {
        let path = path.to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::DirectoryNotEmpty => {
                Self::FolderInTheWay { path }
            }
            io::ErrorKind::InvalidFilename => Self::Name { path, source },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Io { action, path, source },
        }
    }
}

impl From<LocalError> for object_store::Error {
    fn from(error: LocalError) -> Self {
        match &error {
            LocalError::NotFound { path } => Self::NotFound {
                path: path.clone(),
                source: error.into(),
            },
            LocalError::AlreadyExists { path } => Self::AlreadyExists {
                path: path.clone(),
                source: error.into(),
            },
            LocalError::TagDiffers { path, .. } => Self::Precondition {
                path: path.clone(),
                source: error.into(),
            },
            LocalError::TagMissing
            | LocalError::FolderInTheWay { .. }
            | LocalError::AttributesUnsupported { .. }
            | LocalError::Name { .. } => Self::NotSupported { source: error.into() },
            LocalError::Range { .. }
            | LocalError::Full { .. }
            | LocalError::UploadOver { .. }
            | LocalError::Io { .. } => Self::Generic {
                store: "local folder",
                source: error.into(),
            },
        }
    }
}

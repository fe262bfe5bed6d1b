//! Writing: to a hidden file beside the target, which is then synced and moved into place.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path as FilePath, PathBuf},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use futures::FutureExt;
use object_store::{
    Attributes, MultipartUpload, PutMode, PutPayload, PutResult, UpdateVersion, UploadPart, path::Path,
};
use uuid::Uuid;
use xattr::FileExt as _;

use super::{Folder, LocalError, PENDING_PREFIX, blocking, etag_of, sync_folder};
use crate::attributes;

/// The extended attribute that holds an object's attributes.
const ATTRIBUTES: &str = "user.fedcost.attributes";

/// How often a write starts over because its new, still empty folder was tidied away by a deletion.
const FOLDER_ATTEMPTS: usize = 16;

/// A file that is being written and that no listing shows. Dropped without a commit, it is removed.
pub(super) struct PendingFile {
    folder: Arc<Folder>,
    /// The object that it becomes.
    path: Path,
    target: PathBuf,
    pending: PathBuf,
    file: File,
    committed: AtomicBool,
}

impl PendingFile {
    pub(super) fn create(folder: Arc<Folder>, path: Path, attributes: &Attributes) -> Result<Self, LocalError> {
        let target = folder.file_of(&path);
        let parent = target.parent().unwrap_or(&folder.root);
        let pending = parent.join(format!("{PENDING_PREFIX}{}", Uuid::new_v4()));
        let mut attempt = 0;
        let file = loop {
            attempt += 1;
            create_parents(&folder, parent).map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => LocalError::FolderInTheWay { path: path.to_string() },
                _ => LocalError::on(&path, "create the folder of", source),
            })?;
            match OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&pending)
            {
                Ok(file) => break file,
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < FOLDER_ATTEMPTS => {}
                Err(source) => return Err(LocalError::on(&path, "create", source)),
            }
        };
        let pending = Self {
            folder,
            path,
            target,
            pending,
            file,
            committed: AtomicBool::new(false),
        };
        if !attributes.is_empty() {
            pending
                .file
                .set_xattr(ATTRIBUTES, &attributes::encode(attributes))
                .map_err(|source| LocalError::AttributesUnsupported { source })?;
        }
        Ok(pending)
    }

    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), LocalError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|source| LocalError::on(&self.path, "write", source))
    }

    /// Makes the object visible. When this returns, it is on disk.
    pub(super) fn commit(&self, mode: &PutMode) -> Result<PutResult, LocalError> {
        let failed = |action| move |source| LocalError::on(&self.path, action, source);
        self.file
            .set_modified(self.folder.next_modified())
            .map_err(failed("date"))?;
        self.file.sync_all().map_err(failed("sync"))?;
        {
            let _lock = self.folder.locks.lock(&self.target);
            if let PutMode::Update(expected) = mode {
                self.check_tag(expected)?;
            }
            let create_only = matches!(mode, PutMode::Create);
            match self.publish(create_only) {
                Err(error) if self.target.is_dir() => {
                    // What a write that was given up left: the system removes it only if it is empty.
                    std::fs::remove_dir(&self.target).map_err(|_| {
                        tracing::debug!(path = %self.path, %error, "folder in the way");
                        LocalError::FolderInTheWay {
                            path: self.path.to_string(),
                        }
                    })?;
                    self.publish(create_only)
                }
                published => published,
            }
            .map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => LocalError::AlreadyExists {
                    path: self.path.to_string(),
                },
                _ => LocalError::on(&self.path, "publish", source),
            })?;
            self.committed.store(true, Ordering::Release);
        }
        self.folder
            .sync_parent(&self.target)
            .map_err(failed("sync the folder of"))?;
        let metadata = self.file.metadata().map_err(failed("look up"))?;
        Ok(PutResult {
            e_tag: Some(etag_of(&metadata)),
            version: None,
        })
    }

    fn publish(&self, create_only: bool) -> io::Result<()> {
        if create_only {
            // Unlike a rename, a link never replaces what is there.
            std::fs::hard_link(&self.pending, &self.target)?;
            std::fs::remove_file(&self.pending)
        } else {
            std::fs::rename(&self.pending, &self.target)
        }
    }

    fn check_tag(&self, expected: &UpdateVersion) -> Result<(), LocalError> {
        let (Some(expected), None) = (&expected.e_tag, &expected.version) else {
            return Err(LocalError::TagMissing);
        };
        let found = match std::fs::metadata(&self.target) {
            Ok(metadata) if metadata.is_file() => etag_of(&metadata),
            Ok(_) => "none".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "none".to_owned(),
            Err(source) => return Err(LocalError::on(&self.path, "look up", source)),
        };
        if found == *expected {
            return Ok(());
        }
        Err(LocalError::TagDiffers {
            path: self.path.to_string(),
            expected: expected.clone(),
            found,
        })
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.committed.load(Ordering::Acquire) {
            // Nothing can be done about a failure here: the next start removes the file.
            let _removed = std::fs::remove_file(&self.pending);
            self.folder.remove_empty_parents(&self.pending);
        }
    }
}

impl fmt::Debug for PendingFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PendingFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Creates missing folders and syncs each one's entry in its parent.
fn create_parents(folder: &Folder, parent: &FilePath) -> io::Result<()> {
    let _folders = folder.folders.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<_> = parent
        .ancestors()
        .take_while(|ancestor| *ancestor != folder.root && !ancestor.is_dir())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(parent)?;
    missing
        .into_iter()
        .filter_map(FilePath::parent)
        .try_for_each(sync_folder)
}

/// Reads the attributes that were stored with a file. None where the file system knows none.
pub(super) fn attributes_of(file: &File, path: &Path) -> Result<Attributes, LocalError> {
    match file.get_xattr(ATTRIBUTES) {
        Ok(stored) => Ok(stored.map(|stored| attributes::decode(&stored)).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(Attributes::new()),
        Err(source) => Err(LocalError::on(path, "read the attributes of", source)),
    }
}

/// Copies content and attributes. A link would be cheaper, but then a program that rewrites one file in place would
/// change both objects.
pub(super) fn copy(folder: Arc<Folder>, from: &Path, to: Path, mode: &PutMode) -> Result<(), LocalError> {
    let source = folder.file_of(from);
    let reading = |source: io::Error| match source.kind() {
        io::ErrorKind::NotADirectory => LocalError::NotFound { path: from.to_string() },
        _ => LocalError::on(from, "copy", source),
    };
    if !std::fs::metadata(&source).map_err(reading)?.is_file() {
        return Err(LocalError::NotFound { path: from.to_string() });
    }
    let source = File::open(source).map_err(reading)?;
    let pending = PendingFile::create(folder, to, &attributes_of(&source, from)?)?;
    // Between two files the standard library lets the kernel copy.
    io::copy(&mut &source, &mut &pending.file).map_err(|source| LocalError::on(&pending.path, "write", source))?;
    pending.commit(mode).map(|_| ())
}

/// A write in parts, which may arrive at the same time.
#[derive(Debug)]
pub(super) struct PendingUpload {
    /// Taken when the upload is over.
    pending: Option<Arc<PendingFile>>,
    path: Path,
    offset: u64,
    mode: PutMode,
}

impl PendingUpload {
    pub(super) fn new(pending: PendingFile, mode: PutMode) -> Self {
        Self {
            path: pending.path.clone(),
            pending: Some(Arc::new(pending)),
            offset: 0,
            mode,
        }
    }

    fn over(&self) -> LocalError {
        LocalError::UploadOver {
            path: self.path.to_string(),
        }
    }
}

#[async_trait]
impl MultipartUpload for PendingUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let Some(pending) = self.pending.clone() else {
            return futures::future::ready(Err(self.over().into())).boxed();
        };
        let mut offset = self.offset;
        self.offset += payload.content_length() as u64;
        blocking(move || {
            for bytes in &payload {
                pending.write_at(bytes, offset)?;
                offset += bytes.len() as u64;
            }
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let pending = self.pending.take().ok_or_else(|| self.over())?;
        let mode = self.mode.clone();
        blocking(move || pending.commit(&mode)).await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        let pending = self.pending.take().ok_or_else(|| self.over())?;
        blocking(move || {
            drop(pending);
            Ok(())
        })
        .await
    }
}

//! A local folder as the bucket.
//!
//! `object_store`'s own `LocalFileSystem` neither syncs to disk nor knows conditional writes on an entity tag, and
//! the lake's release pointer needs both. This backend promises:
//!
//! - **Durability.** A write is acknowledged after the file, its folder entry and every new parent folder are synced.
//! - **Atomicity.** Content goes to a hidden file in the target's folder and is moved into place, so a reader holds
//!   either the old or the new object, also while it is replaced.
//! - **Create-only** holds against every process on the folder: it rests on `link(2)`.
//! - **If-match** holds against writers of the same process, by a lock per path. Other processes can slip in between
//!   check and move; a folder that several processes write to needs create-only.
//! - **Entity tags** are made of inode, modification time and size. The modification time is set by us, in
//!   nanoseconds and never twice the same, because a freed inode number is soon used again.
//!
//! Attributes are stored as an extended attribute of the file, so they change with the content or not at all; where the
//! file system has none, a write with attributes is refused.
//!
//! Empty folders are not objects: they are removed with their last object and do not show up in listings. Symbolic
//! links are followed, so whoever may place links in the folder decides what it holds.

mod error;
mod list;
mod read;
mod write;

use std::{
    fmt,
    fs::{File, Metadata},
    hash::{BuildHasher, RandomState},
    io,
    os::unix::fs::MetadataExt,
    path::{Path as FilePath, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, path::Path,
};

pub use self::error::LocalError;
use self::write::{PendingFile, PendingUpload};

/// Start of the names of files that are being written. No object's name may start like this.
pub(crate) const PENDING_PREFIX: &str = ".fedcost-pending-";

/// A pending file this old was left by a process that died: a write that lives touches its file far more often.
const ABANDONED_AFTER: Duration = Duration::from_secs(15 * 60);

/// Deletions that run at the same time for one caller.
const PARALLEL_DELETES: usize = 10;

/// An object store in a local folder, durable and with conditional writes.
#[derive(Clone)]
pub struct LocalFolder {
    folder: Arc<Folder>,
}

impl LocalFolder {
    /// Opens the folder and creates it when it is missing.
    ///
    /// # Errors
    /// When the folder cannot be created or is not a folder.
    pub fn open(directory: &FilePath) -> Result<Self, LocalError> {
        std::fs::create_dir_all(directory)
            .and_then(|()| directory.canonicalize())
            .map(|root| Self {
                folder: Arc::new(Folder::new(root)),
            })
            .map_err(|source| LocalError::Io {
                action: "open the bucket's folder",
                path: String::new(),
                source,
            })
    }

    /// Removes what writes of dead processes left behind and returns how many files that were. Walks the whole
    /// folder and blocks meanwhile.
    pub fn remove_abandoned(&self) -> usize {
        list::remove_abandoned(&self.folder, ABANDONED_AFTER)
    }
}

impl fmt::Debug for LocalFolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for LocalFolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LocalFolder({})", self.folder.root.display())
    }
}

/// What all requests on one folder share.
struct Folder {
    /// Canonical path of the folder.
    root: PathBuf,
    locks: PathLocks,
    /// Held while folders are created or removed, so that a folder is seen only after its own entry is on disk.
    folders: Mutex<()>,
    /// The modification time given last, in nanoseconds since 1970.
    last_modified: AtomicU64,
}

impl Folder {
    fn new(root: PathBuf) -> Self {
        Self {
            root,
            locks: PathLocks::new(),
            folders: Mutex::new(()),
            last_modified: AtomicU64::new(0),
        }
    }

    fn file_of(&self, path: &Path) -> PathBuf {
        let mut file = self.root.clone();
        file.extend(path.as_ref().split('/').filter(|segment| !segment.is_empty()));
        file
    }

    /// The present time, but later than any that was returned before.
    fn next_modified(&self) -> SystemTime {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let previous = self
            .last_modified
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)))
            .unwrap_or_else(|last| last);
        SystemTime::UNIX_EPOCH + Duration::from_nanos(now.max(previous + 1))
    }

    /// Makes what happened to `file` in its folder durable. When the folder was removed meanwhile, because another
    /// call deleted its last object, that removal is what has to last.
    fn sync_parent(&self, file: &FilePath) -> io::Result<()> {
        for folder in file
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(&self.root))
        {
            match sync_folder(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                synced => return synced,
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Removes the folders above `file` that hold nothing any more, up to the root.
    fn remove_empty_parents(&self, file: &FilePath) {
        let _folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parent = file.parent();
        while let Some(folder) = parent.filter(|folder| *folder != self.root && folder.starts_with(&self.root)) {
            // The system refuses when the folder holds anything, also what came a moment ago.
            if std::fs::remove_dir(folder).is_err() {
                return;
            }
            parent = folder.parent();
        }
    }

    fn delete(&self, path: &Path) -> Result<(), LocalError> {
        let file = self.file_of(path);
        let _lock = self.locks.lock(&file);
        if let Err(source) = std::fs::remove_file(&file) {
            // Systems differ in how they refuse a folder; it is not an object either way.
            if file.is_dir() || source.kind() == io::ErrorKind::NotADirectory {
                return Err(LocalError::NotFound { path: path.to_string() });
            }
            return Err(LocalError::on(path, "delete", source));
        }
        self.sync_parent(&file)
            .map_err(|source| LocalError::on(path, "sync the folder of", source))?;
        self.remove_empty_parents(&file);
        Ok(())
    }
}

/// Locks by path, in a fixed number of stripes so that memory does not grow with the bucket.
struct PathLocks {
    stripes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl PathLocks {
    const STRIPES: usize = 256;

    fn new() -> Self {
        Self {
            stripes: (0..Self::STRIPES).map(|_| Mutex::new(())).collect(),
            hasher: RandomState::new(),
        }
    }

    fn lock(&self, file: &FilePath) -> MutexGuard<'_, ()> {
        let stripe = self.hasher.hash_one(file) as usize % Self::STRIPES;
        // The lock guards no data, so a panic of its last holder leaves nothing half done.
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sync_folder(folder: &FilePath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn etag_of(metadata: &Metadata) -> String {
    let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    format!("{:x}-{modified:x}-{:x}", metadata.ino(), metadata.len())
}

fn meta_of(path: Path, metadata: &Metadata) -> ObjectMeta {
    ObjectMeta {
        location: path,
        last_modified: metadata.modified().map_or(DateTime::UNIX_EPOCH, DateTime::<Utc>::from),
        size: metadata.len(),
        e_tag: Some(etag_of(metadata)),
        version: None,
    }
}

/// Runs file system calls where they may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LocalError> + Send + 'static,
) -> object_store::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await??)
}

#[async_trait]
impl ObjectStore for LocalFolder {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        let (folder, path) = (self.folder.clone(), path.clone());
        blocking(move || {
            let pending = PendingFile::create(folder, path, &options.attributes)?;
            let mut offset = 0;
            for bytes in &payload {
                pending.write_at(bytes, offset)?;
                offset += bytes.len() as u64;
            }
            pending.commit(&options.mode)
        })
        .await
    }

    /// Writes in parts. The condition of the write, a [`PutMode`], may be given as an extension: it is checked when
    /// the upload is completed.
    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let (folder, path) = (self.folder.clone(), path.clone());
        let mode = options.extensions.get::<PutMode>().cloned().unwrap_or_default();
        let pending = blocking(move || PendingFile::create(folder, path, &options.attributes)).await?;
        Ok(Box::new(PendingUpload::new(pending, mode)))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let (folder, path) = (self.folder.clone(), path.clone());
        // Conditions answer in the library's own error type, so this does not go through `blocking`.
        tokio::task::spawn_blocking(move || read::open(&folder, path, &options)).await?
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let folder = self.folder.clone();
        paths
            .map(move |path| {
                let folder = folder.clone();
                async move {
                    let path = path?;
                    blocking(move || folder.delete(&path).map(|()| path)).await
                }
            })
            .buffered(PARALLEL_DELETES)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        list::list(self.folder.clone(), prefix.cloned().unwrap_or_default(), None)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        list::list(
            self.folder.clone(),
            prefix.cloned().unwrap_or_default(),
            Some(offset.clone()),
        )
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        let (folder, prefix) = (self.folder.clone(), prefix.cloned().unwrap_or_default());
        blocking(move || list::list_folder(&folder, &prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        let (folder, from, to) = (self.folder.clone(), from.clone(), to.clone());
        blocking(move || write::copy(folder, &from, to, &mode)).await
    }
}

#[cfg(test)]
mod tests;

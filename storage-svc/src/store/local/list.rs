//! Listing: files that are objects, and folders that hold one.

use std::{cmp::Ordering, collections::BTreeSet, io, path::Path as FilePath, sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{ListResult, ObjectMeta, path::Path};
use walkdir::{DirEntry, WalkDir};

use super::{Folder, LocalError, PENDING_PREFIX, blocking, meta_of};

/// Entries looked at before a listing lets another request have its thread.
const BATCH: usize = 1024;

/// Lists the objects below a prefix, in the order of their paths.
pub(super) fn list(
    folder: Arc<Folder>,
    prefix: Path,
    offset: Option<Path>,
) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
    let walk = walk(&folder, &folder.file_of(&prefix), usize::MAX);
    futures::stream::try_unfold((walk, folder, offset), |(mut walk, folder, offset)| {
        blocking(move || {
            let mut objects = Vec::new();
            for _ in 0..BATCH {
                let Some(entry) = walk.next() else {
                    return Ok((!objects.is_empty()).then_some((objects, (walk, folder, offset))));
                };
                objects.extend(object_of(&folder, entry, offset.as_ref())?);
            }
            Ok(Some((objects, (walk, folder, offset))))
        })
    })
    .map_ok(|objects| futures::stream::iter(objects.into_iter().map(Ok)))
    .try_flatten()
    .boxed()
}

/// Lists one level: its objects, and its folders as common prefixes.
pub(super) fn list_folder(folder: &Folder, prefix: &Path) -> Result<ListResult, LocalError> {
    let mut objects = Vec::new();
    let mut common_prefixes = BTreeSet::new();
    for entry in walk(folder, &folder.file_of(prefix), 1) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {
                if let Some(path) = path_of(folder, entry.path())
                    && holds_object(folder, entry.path())?
                {
                    common_prefixes.insert(path);
                }
            }
            entry => objects.extend(object_of(folder, entry, None)?),
        }
    }
    Ok(ListResult {
        common_prefixes: common_prefixes.into_iter().collect(),
        objects,
    })
}

/// Removes pending files older than `age` and returns how many.
pub(super) fn remove_abandoned(folder: &Folder, age: Duration) -> usize {
    let mut removed = 0;
    for entry in walk(folder, &folder.root, usize::MAX).flatten().filter(is_pending) {
        let written = entry.metadata().ok().and_then(|metadata| metadata.modified().ok());
        let old = written
            .and_then(|written| written.elapsed().ok())
            .is_some_and(|elapsed| elapsed > age);
        if old && std::fs::remove_file(entry.path()).is_ok() {
            removed += 1;
            folder.remove_empty_parents(entry.path());
        }
    }
    removed
}

type Walk = Box<dyn Iterator<Item = walkdir::Result<DirEntry>> + Send>;

/// The order of whole paths, in which a folder's slash counts: `a-b` comes before `a/b`. Buckets list in this order,
/// and Delta Lake's log reader takes it for granted.
fn in_order_of_paths(a: &DirEntry, b: &DirEntry) -> Ordering {
    fn key(entry: &DirEntry) -> impl Iterator<Item = &u8> {
        let slash: &[u8] = if entry.file_type().is_dir() { b"/" } else { b"" };
        entry.file_name().as_encoded_bytes().iter().chain(slash)
    }
    key(a).cmp(key(b))
}

/// Walks what lies below `start`; nothing when it does not exist.
fn walk(folder: &Folder, start: &FilePath, max_depth: usize) -> Walk {
    let at_root = start == folder.root;
    let entries = WalkDir::new(start)
        .min_depth(1)
        .max_depth(max_depth)
        .follow_links(true)
        .sort_by(in_order_of_paths)
        .into_iter();
    // The root of a mounted volume often holds this folder, and only its owner may read it.
    Box::new(entries.filter_entry(move |entry| !(at_root && entry.depth() == 1 && entry.file_name() == "lost+found")))
}

/// The object that an entry is, if it is one.
fn object_of(
    folder: &Folder,
    entry: walkdir::Result<DirEntry>,
    offset: Option<&Path>,
) -> Result<Option<ObjectMeta>, LocalError> {
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => return vanished(folder, error),
    };
    if entry.file_type().is_dir() || is_pending(&entry) {
        return Ok(None);
    }
    let Some(path) = path_of(folder, entry.path()) else {
        return Ok(None);
    };
    // Before the metadata is asked for: on a network file system that is the costly part.
    if offset.is_some_and(|offset| path <= *offset) {
        return Ok(None);
    }
    match entry.metadata() {
        Ok(metadata) => Ok(metadata.is_file().then(|| meta_of(path, &metadata))),
        Err(error) => vanished(folder, error),
    }
}

/// Decides whether a failed look means that something was deleted meanwhile, or that the listing cannot be trusted.
fn vanished(folder: &Folder, error: walkdir::Error) -> Result<Option<ObjectMeta>, LocalError> {
    let path = error.path().and_then(|path| path_of(folder, path)).unwrap_or_default();
    if error.loop_ancestor().is_some() {
        tracing::warn!(%path, "skipped a symbolic link that leads back to a folder above it");
        return Ok(None);
    }
    let source = io::Error::from(error);
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
        _ => Err(LocalError::Io {
            action: "list",
            path: path.to_string(),
            source,
        }),
    }
}

/// The object path of a file, if its name can be one.
fn path_of(folder: &Folder, file: &FilePath) -> Option<Path> {
    let name = file.strip_prefix(&folder.root).ok()?.to_str();
    let path = name.and_then(|name| Path::parse(name).ok());
    if path.is_none() {
        tracing::warn!(file = %file.display(), "skipped a file whose name cannot be an object's");
    }
    path
}

fn holds_object(folder: &Folder, start: &FilePath) -> Result<bool, LocalError> {
    for entry in walk(folder, start, usize::MAX) {
        if object_of(folder, entry, None)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_pending(entry: &DirEntry) -> bool {
    entry
        .file_name()
        .to_str()
        .is_some_and(|name| name.starts_with(PENDING_PREFIX))
}

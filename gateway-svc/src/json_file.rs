//! Small JSON files that the gateway keeps: replaced as a whole, so that a crash leaves the old or the new one, and changed in
//! turn by a lock beside them.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};
use tempfile::NamedTempFile;

/// Why a file cannot be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// What the system said.
    System(io::Error),
    /// It is not what it should be.
    Broken(serde_json::Error),
    /// It is larger than it can be.
    TooLarge,
}

/// The content of a file of at most so many bytes; the default when there is none. As it is replaced as a whole, reading needs
/// no lock.
pub(crate) fn read<T: DeserializeOwned + Default>(path: &Path, largest: u64) -> Result<T, ReadError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(ReadError::System(error)),
    };
    let mut bytes = Vec::new();
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(ReadError::System)?;
    if bytes.len() as u64 > largest {
        return Err(ReadError::TooLarge);
    }
    serde_json::from_slice(&bytes).map_err(ReadError::Broken)
}

/// The turn to change a file, held until what is returned is closed. The file's folder is made if there is none.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    fs::create_dir_all(folder(path))?;
    let lock = File::create(path.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// Replaces a file as a whole. The new one is readable for its owner alone.
pub(crate) fn replace(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let folder = folder(path);
    let mut file = NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, content)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // So that the new name outlives a crash too.
    File::open(folder)?.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

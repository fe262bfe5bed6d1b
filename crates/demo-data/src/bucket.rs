//! Made-up clusters as a folder that can stand in for a bucket.

use std::io::Write;
use std::path::Path;
use std::{fs, io};

use tempfile::NamedTempFile;

use crate::{DemoError, DemoPlan, Summary, for_each_file};

/// Writes the files of `plan` under `dir/federated/<cluster>/`. Each file appears whole or not at all, and replaces
/// one of the same name; whether `dir` should be empty before is for the caller to decide.
///
/// # Errors
/// When the plan makes no sense, or as soon as a file cannot be written. Files written by then stay.
pub fn write_bucket(dir: &Path, plan: &DemoPlan, progress: &mut dyn FnMut(&Summary)) -> Result<Summary, DemoError> {
    for_each_file(plan, progress, |path, bytes| {
        let path = dir.join(path);
        let folder = path.parent().unwrap_or(dir);
        fs::create_dir_all(folder).map_err(|source| DemoError::Write {
            path: folder.to_path_buf(),
            source,
        })?;
        let write = || {
            let mut file = new_file(folder)?;
            file.write_all(&bytes)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source| DemoError::Write {
            path: path.clone(),
            source,
        })
    })
}

fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".demo-");
    // Temporary files are private by default, but a bucket is for all who may read its folder.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder.tempfile_in(folder)
}

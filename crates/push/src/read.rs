//! Reading a file so that what was read is what was looked at, and whole.

use std::{
    fs::{self, File},
    io::{self, Read},
};

use bingen::{AllocationRecord, AssetRecord, CloudCostRecord, DecodeError, Pipeline, SetDecoder, SetRecord};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use object_gateway::checksum::Sha256;

use crate::scan::{LocalFile, Stamp};

/// No set has fewer bytes. A file that is cut within its first bytes looks as if it were of another version.
const SHORTEST_SET: usize = 16;

/// A file's content.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    pub(crate) checksum: Sha256,
}

/// Why a file is not uploaded now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Not a failure: it comes round again.
    #[error("it changed while it was read")]
    Changed,
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    #[error("is damaged, or only half written: {0}")]
    Decode(#[source] DecodeError),
    #[error("is damaged, or only half written: {0}")]
    Unpack(#[source] io::Error),
}

/// Reads and checks a file. Blocks.
pub(crate) fn read(file: &LocalFile) -> Result<Content, ReadError> {
    let bytes = read_as_seen(file)?;
    if file.target.gzip {
        // The sets in it are not decoded, as that would take unbounded memory. The format has a checksum of its own.
        io::copy(&mut MultiGzDecoder::new(bytes.as_ref()), &mut io::sink()).map_err(ReadError::Unpack)?;
    } else {
        check(file, &bytes)?;
    }
    let checksum = Sha256::of(&bytes);
    Ok(Content { bytes, checksum })
}

fn read_as_seen(file: &LocalFile) -> Result<Bytes, ReadError> {
    let failed = |error: io::Error| match error.kind() {
        // The agent has removed it since.
        io::ErrorKind::NotFound => ReadError::Changed,
        _ => ReadError::Read(error),
    };
    let unchanged = |metadata: io::Result<fs::Metadata>| match metadata {
        Ok(metadata) if Stamp::of(&metadata) == file.stamp => Ok(()),
        Ok(_) => Err(ReadError::Changed),
        Err(error) => Err(failed(error)),
    };
    let opened = File::open(&file.path).map_err(failed)?;
    unchanged(opened.metadata())?;
    let size = usize::try_from(file.stamp.size).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(size);
    // One byte more than there should be, so that growth shows.
    let limit = file.stamp.size.saturating_add(1);
    (&opened).take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() != size {
        return Err(ReadError::Changed);
    }
    unchanged(opened.metadata())?;
    // By its name too: another file may have been renamed over the one that is open.
    unchanged(fs::metadata(&file.path))?;
    Ok(bytes.into())
}

fn check(file: &LocalFile, bytes: &[u8]) -> Result<(), ReadError> {
    let checked = match file.target.pipeline {
        Pipeline::Allocations => decode::<AllocationRecord>(bytes),
        Pipeline::Assets => decode::<AssetRecord>(bytes),
        Pipeline::CloudCosts => decode::<CloudCostRecord>(bytes),
    };
    match checked {
        Ok(()) => Ok(()),
        // An agent newer than we are. The bucket keeps the file until the primary cluster can read it.
        Err(error @ DecodeError::UnsupportedVersion { .. }) if bytes.len() >= SHORTEST_SET => {
            tracing::warn!(path = %file.path.display(), %error, "uploading a file whose version is not known here");
            Ok(())
        }
        Err(error) => Err(ReadError::Decode(error)),
    }
}

/// Reads to the end of the set and forgets each record, so that nothing but the file's bytes is held.
fn decode<R: SetRecord>(bytes: &[u8]) -> Result<(), DecodeError> {
    SetDecoder::<R>::new(bytes)?.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bingen::AllocationSet;
    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::scan::scan;

    const KEY: &str = "allocations/1d/1772323200-1772409600";

    fn with(key: &str, bytes: &[u8]) -> (tempfile::TempDir, LocalFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        let file = scan(folder.path(), "a").unwrap().files.remove(0);
        (folder, file)
    }

    fn set() -> Vec<u8> {
        let mut set = AllocationSet::default();
        set.allocations.insert("a".to_owned(), bingen::Allocation::default());
        set.encode().unwrap()
    }

    #[test]
    fn a_whole_file_is_read_as_it_is() {
        let set = set();
        let (_folder, file) = with(KEY, &set);
        let content = read(&file).unwrap();
        assert_eq!(content.bytes, set);
        assert_eq!(content.checksum, Sha256::of(&set));
    }

    #[test]
    fn every_cut_is_noticed() {
        let set = set();
        for length in 0..set.len() {
            let (_folder, file) = with(KEY, &set[..length]);
            assert!(
                matches!(read(&file), Err(ReadError::Decode(_))),
                "{length} of {}",
                set.len()
            );
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&set).unwrap();
        let packed = packed.finish().unwrap();
        let key = format!("{KEY}.gz");
        let (_folder, file) = with(&key, &packed);
        assert_eq!(read(&file).unwrap().bytes, packed);
        for length in 0..packed.len() {
            let (_folder, file) = with(&key, &packed[..length]);
            assert!(
                matches!(read(&file), Err(ReadError::Unpack(_))),
                "{length} of {}",
                packed.len()
            );
        }
    }

    #[test]
    fn a_file_that_is_not_as_it_was_seen_is_left_for_later() {
        let set = set();
        let (folder, file) = with(KEY, &set);
        let path = folder.path().join(KEY);
        fs::write(&path, [set.as_slice(), b"more"].concat()).unwrap();
        assert!(matches!(read(&file), Err(ReadError::Changed)));
        // Even one of the same size and time, renamed over it.
        let (folder, file) = with(KEY, &set);
        let (path, other) = (folder.path().join(KEY), folder.path().join("other"));
        fs::write(&other, &set).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(matches!(read(&file), Err(ReadError::Changed)));
        fs::remove_file(&path).unwrap();
        assert!(matches!(read(&file), Err(ReadError::Changed)));
    }

    #[test]
    fn a_version_from_the_future_is_let_through() {
        let mut set = set();
        let newest = *bingen::ALLOCATION_VERSIONS.end();
        // The version is the first byte that is the newest known one.
        let at = set.iter().position(|byte| *byte == newest).unwrap();
        set[at] = newest + 1;
        let (_folder, file) = with(KEY, &set);
        assert!(read(&file).is_ok());
    }
}

//! Paths as callers give them, checked once and then trusted.
//!
//! A path is compared with the rules of access segment by segment, so it must mean the same to us, to the store and
//! to every server behind it. What could be read in two ways is therefore refused, not cleaned up.

use std::fmt;

use object_store::path::Path;
use percent_encoding::percent_decode_str;

use crate::store::local::PENDING_PREFIX;

/// Longest path in bytes, as S3 has it.
const MAX_BYTES: usize = 1024;

/// How often a segment is percent-decoded in search of a hidden `..`. No server decodes this often.
const MAX_DECODES: usize = 4;

/// Why a path is refused. The text is meant for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// An object's path names something.
    #[error("must not be empty")]
    Empty,
    /// Too long for a store.
    #[error("must not be longer than {MAX_BYTES} bytes")]
    TooLong,
    /// `/a`, `a/` or `a//b`.
    #[error("must not start or end with `/` or hold an empty segment")]
    EmptySegment,
    /// `.` or `..`.
    #[error("must not hold a `.` or `..` segment, in any encoding")]
    Relative,
    /// A character that cannot be shown.
    #[error("must not hold control characters, in any encoding")]
    Control,
    /// The name of a file that is being written.
    #[error("must not hold a segment that starts with `{PENDING_PREFIX}`")]
    Reserved,
}

/// The path of an object, relative to the configured prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPath(Path);

impl ObjectPath {
    /// Checks an object's path.
    ///
    /// # Errors
    /// When the path is empty, too long, or could be read in two ways.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        check(path).map(Self)
    }

    /// The path for the store.
    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// The path of a folder, relative to the configured prefix. Empty is the whole bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderPath(Path);

impl FolderPath {
    /// Checks a folder's path.
    ///
    /// # Errors
    /// When the path is too long or could be read in two ways.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        if path.is_empty() {
            Ok(Self(Path::default()))
        } else {
            check(path).map(Self)
        }
    }

    /// The path for the store.
    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for FolderPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

fn check(path: &str) -> Result<Path, PathError> {
    if path.len() > MAX_BYTES {
        return Err(PathError::TooLong);
    }
    for segment in path.split('/') {
        if segment.is_empty() {
            return Err(PathError::EmptySegment);
        }
        if segment.starts_with(PENDING_PREFIX) {
            return Err(PathError::Reserved);
        }
        check_encoded(segment)?;
    }
    // Nothing is left that the library would refuse; should it ever, its reason is one of ours.
    Path::parse(path).map_err(|_| PathError::Relative)
}

/// Looks through a segment's percent encodings. Encoded segments are legal names and are stored as they are, but not
/// if a server that decodes once too often would leave the folder.
fn check_encoded(segment: &str) -> Result<(), PathError> {
    let mut segment = segment.to_owned();
    for _ in 0..MAX_DECODES {
        if segment.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        if segment.split(['/', '\\']).any(|part| part == "." || part == "..") {
            return Err(PathError::Relative);
        }
        let decoded = percent_decode_str(&segment).decode_utf8_lossy().into_owned();
        if decoded == segment {
            return Ok(());
        }
        segment = decoded;
    }
    Err(PathError::Relative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_that_mean_one_thing() {
        for path in [
            "a",
            "federated/prod-eu/etl/bingen/allocations/1d/1",
            "a/b%2Fc/foo.file",
            "%48%45%4C%4C%4F/foo.parquet",
            "%Q.parquet",
            "🇦🇺/$shenanigans@@~.txt",
            "foo bar/...",
            "a/..b/c..",
            ".hidden",
        ] {
            assert_eq!(
                ObjectPath::parse(path).map(|path| path.to_string()),
                Ok(path.to_owned())
            );
        }
        assert_eq!(FolderPath::parse("").map(|path| path.to_string()), Ok(String::new()));
    }

    #[test]
    fn refuses_tricks() {
        let long = "a".repeat(1025);
        for (path, error) in [
            ("", PathError::Empty),
            (long.as_str(), PathError::TooLong),
            ("/", PathError::EmptySegment),
            ("/a", PathError::EmptySegment),
            ("a/", PathError::EmptySegment),
            ("a//b", PathError::EmptySegment),
            ("..", PathError::Relative),
            (".", PathError::Relative),
            ("a/../b", PathError::Relative),
            ("a/./b", PathError::Relative),
            ("a/%2e%2e/b", PathError::Relative),
            ("a/%2E./b", PathError::Relative),
            ("a/..%2f..%2fb", PathError::Relative),
            ("a/..\\b", PathError::Relative),
            ("a/%252e%252e/b", PathError::Relative),
            ("a/%25252525252e/b", PathError::Relative),
            ("a/%5c..%5cb", PathError::Relative),
            ("a\0b", PathError::Control),
            ("a%00b", PathError::Control),
            ("a\nb", PathError::Control),
            ("a/\u{7f}", PathError::Control),
            ("a/\u{85}", PathError::Control),
            ("a/.fedcost-pending-1", PathError::Reserved),
            (".fedcost-pending-1/b", PathError::Reserved),
        ] {
            assert_eq!(ObjectPath::parse(path), Err(error), "{path:?}");
            if !path.is_empty() {
                assert_eq!(FolderPath::parse(path), Err(error), "{path:?}");
            }
        }
    }
}

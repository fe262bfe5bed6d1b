//! The checksum by which a write is proved.

use std::fmt;

use aws_lc_rs::digest;
use bytes::Bytes;

/// Bytes in a SHA-256.
const LENGTH: usize = digest::SHA256_OUTPUT_LEN;

/// The SHA-256 of an object's content. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256([u8; LENGTH]);

impl Sha256 {
    /// The checksum of content that is at hand as a whole.
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Sha256Hasher::default();
        hasher.update(content);
        hasher.finish()
    }

    /// The checksum that a message holds. None unless it is 32 bytes.
    pub fn from_message(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As a message holds it.
    pub fn to_message(self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Computes the checksum of content that comes piece by piece.
#[derive(Clone)]
pub struct Sha256Hasher(digest::Context);

impl Default for Sha256Hasher {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Sha256Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The checksum of all pieces.
    pub fn finish(self) -> Sha256 {
        let mut checksum = [0; LENGTH];
        checksum.copy_from_slice(self.0.finish().as_ref());
        Sha256(checksum)
    }
}

impl fmt::Debug for Sha256Hasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sha256Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_the_whole_agree_with_the_standard() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut hasher = Sha256Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish().to_string(), expected);
        let checksum = Sha256::of(b"abc");
        assert_eq!(checksum.to_string(), expected);
        assert_eq!(Sha256::from_message(&checksum.to_message()), Some(checksum));
        assert_eq!(Sha256::from_message(b"short"), None);
    }
}

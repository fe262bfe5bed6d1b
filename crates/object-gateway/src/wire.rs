//! What both ends of the interface must say alike: names, reasons, sizes, times.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::Attribute;
use prost_types::Timestamp;

/// Most content bytes in one message.
pub const PIECE_BYTES: usize = 1024 * 1024;

/// Domain of the reasons in an answer's ErrorInfo.
pub const ERROR_DOMAIN: &str = "fedcost.storage.v1";

/// Reasons in an answer's ErrorInfo, where the code alone does not tell.
pub mod reason {
    /// FAILED_PRECONDITION: the object was not modified, as the caller's condition foresaw.
    pub const NOT_MODIFIED: &str = "NOT_MODIFIED";
    /// FAILED_PRECONDITION: the object is not the one that the caller named.
    pub const PRECONDITION: &str = "PRECONDITION";
    /// RESOURCE_EXHAUSTED: too many writes at once. Nothing was done, so any call may be tried again.
    pub const BUSY: &str = "BUSY";
}

/// Start of the name of an attribute that the user made up.
const METADATA: &str = "metadata:";

/// The name of an attribute. None for a kind that the interface does not know.
pub fn attribute_name(attribute: &Attribute) -> Option<Cow<'static, str>> {
    Some(match attribute {
        Attribute::ContentType => "content-type".into(),
        Attribute::ContentEncoding => "content-encoding".into(),
        Attribute::ContentDisposition => "content-disposition".into(),
        Attribute::ContentLanguage => "content-language".into(),
        Attribute::CacheControl => "cache-control".into(),
        Attribute::StorageClass => "storage-class".into(),
        Attribute::Metadata(name) => format!("{METADATA}{name}").into(),
        // The library may add kinds.
        _ => return None,
    })
}

/// The attribute of a name.
pub fn attribute_named(name: &str) -> Option<Attribute> {
    Some(match name {
        "content-type" => Attribute::ContentType,
        "content-encoding" => Attribute::ContentEncoding,
        "content-disposition" => Attribute::ContentDisposition,
        "content-language" => Attribute::ContentLanguage,
        "cache-control" => Attribute::CacheControl,
        "storage-class" => Attribute::StorageClass,
        _ => Attribute::Metadata(
            name.strip_prefix(METADATA)
                .filter(|name| !name.is_empty())?
                .to_owned()
                .into(),
        ),
    })
}

/// Cuts bytes into pieces for one message each, without a copy.
pub fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!bytes.is_empty()).then(|| bytes.split_to(PIECE_BYTES.min(bytes.len()))))
}

/// A time as a message holds it.
pub fn timestamp(time: DateTime<Utc>) -> Timestamp {
    // A leap second counts more than a billion nanoseconds, which the message does not allow.
    let nanos = time.timestamp_subsec_nanos().min(999_999_999);
    Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

/// The time that a message holds. None when it is out of range.
pub fn time(timestamp: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(timestamp.seconds, u32::try_from(timestamp.nanos).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_attributes() {
        for attribute in [
            Attribute::ContentType,
            Attribute::ContentEncoding,
            Attribute::ContentDisposition,
            Attribute::ContentLanguage,
            Attribute::CacheControl,
            Attribute::StorageClass,
            Attribute::Metadata("a name".into()),
        ] {
            assert_eq!(attribute_named(&attribute_name(&attribute).unwrap()), Some(attribute));
        }
        assert_eq!(attribute_named("metadata:"), None);
        assert_eq!(attribute_named("x-amz-acl"), None);
    }

    #[test]
    fn pieces_add_up() {
        let bytes = Bytes::from(vec![7; 2 * PIECE_BYTES + 1]);
        let sizes: Vec<_> = pieces(bytes).map(|piece| piece.len()).collect();
        assert_eq!(sizes, [PIECE_BYTES, PIECE_BYTES, 1]);
        assert_eq!(pieces(Bytes::new()).count(), 0);
    }

    #[test]
    fn times_survive() {
        let now = Utc::now();
        assert_eq!(time(timestamp(now)), Some(now));
        assert_eq!(time(Timestamp { seconds: 0, nanos: -1 }), None);
    }
}

//! Attributes of an object: their names on the wire and beside a local file.

use std::borrow::Cow;

use object_store::{Attribute, Attributes};

/// Start of the name of an attribute that the user made up.
const METADATA: &str = "metadata:";

/// Between name and value, and between attributes. The service refuses it in either.
const SEPARATOR: char = '\0';

/// The wire name of an attribute. None for a kind that the interface does not know.
pub(crate) fn name_of(attribute: &Attribute) -> Option<Cow<'static, str>> {
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

/// The attribute of a wire name.
pub(crate) fn named(name: &str) -> Option<Attribute> {
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

/// Attributes as bytes to store beside a local file.
pub(crate) fn encode(attributes: &Attributes) -> Vec<u8> {
    let mut stored = String::new();
    for (attribute, value) in attributes {
        if let Some(name) = name_of(attribute) {
            stored.push_str(&name);
            stored.push(SEPARATOR);
            stored.push_str(value);
            stored.push(SEPARATOR);
        }
    }
    stored.into_bytes()
}

/// Reads what [`encode`] wrote. What does not fit is left out: attributes describe an object, they are not its content.
pub(crate) fn decode(stored: &[u8]) -> Attributes {
    let stored = String::from_utf8_lossy(stored);
    let mut parts = stored.split_terminator(SEPARATOR);
    let mut attributes = Attributes::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        if let Some(attribute) = named(name) {
            attributes.insert(attribute, value.to_owned().into());
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_being_stored() {
        let attributes = Attributes::from_iter([
            (Attribute::ContentType, "text/html; charset=utf-8"),
            (Attribute::StorageClass, "STANDARD"),
            (Attribute::Metadata("a name".into()), "ünïcode and  spaces"),
            (Attribute::Metadata("empty".into()), ""),
        ]);
        assert_eq!(decode(&encode(&attributes)), attributes);
        assert_eq!(decode(b""), Attributes::new());
        assert_eq!(decode(b"content-type"), Attributes::new());
        assert_eq!(named("metadata:"), None);
        assert_eq!(named("x-amz-acl"), None);
    }
}

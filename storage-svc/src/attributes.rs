//! Attributes of an object, as they are stored beside a local file.

use object_gateway::wire;
use object_store::Attributes;

/// Between name and value, and between attributes. The service refuses it in either.
const SEPARATOR: char = '\0';

/// Attributes as bytes to store beside a local file.
pub(crate) fn encode(attributes: &Attributes) -> Vec<u8> {
    let mut stored = String::new();
    for (attribute, value) in attributes {
        if let Some(name) = wire::attribute_name(attribute) {
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
        if let Some(attribute) = wire::attribute_named(name) {
            attributes.insert(attribute, value.to_owned().into());
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use object_store::Attribute;

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
    }
}

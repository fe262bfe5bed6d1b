//! Between the messages of the interface and the types of `object_store`.

use chrono::{DateTime, Utc};
use fedcost_proto::storage::v1::{self as proto, byte_range};
use object_gateway::{checksum::Sha256, wire};
use object_store::{Attributes, GetOptions, GetRange, ObjectMeta, PutMode, UpdateVersion};
use prost_types::Timestamp;
use uuid::Uuid;

use crate::{error::StorageError, turns::Attempt};

pub(super) fn meta(path: String, meta: ObjectMeta) -> proto::ObjectMeta {
    proto::ObjectMeta {
        path,
        size: meta.size,
        last_modified: Some(wire::timestamp(meta.last_modified)),
        etag: meta.e_tag,
        version: meta.version,
    }
}

pub(super) fn attributes(attributes: &Attributes) -> Vec<proto::Attribute> {
    let named = attributes
        .iter()
        .filter_map(|(attribute, value)| Some((wire::attribute_name(attribute)?, value)));
    named
        .map(|(name, value)| proto::Attribute {
            name: name.into_owned(),
            value: value.as_ref().to_owned(),
        })
        .collect()
}

pub(super) fn read_attributes(given: Vec<proto::Attribute>) -> Result<Attributes, StorageError> {
    let mut attributes = Attributes::new();
    for proto::Attribute { name, value } in given {
        let attribute = wire::attribute_named(&name)
            .ok_or_else(|| StorageError::field("header.attributes.name", format!("{name:?} is not an attribute")))?;
        // They become HTTP headers of the store.
        if name.chars().chain(value.chars()).any(char::is_control) {
            return Err(StorageError::field(
                "header.attributes",
                "must not hold control characters",
            ));
        }
        if attributes.insert(attribute, value.into()).is_some() {
            return Err(StorageError::field(
                "header.attributes.name",
                format!("{name:?} is given twice"),
            ));
        }
    }
    Ok(attributes)
}

/// The checksum that the content must have, if the caller gave one.
pub(super) fn checksum(header: &proto::PutHeader) -> Result<Option<Sha256>, StorageError> {
    let Some(given) = &header.sha256 else { return Ok(None) };
    let checksum = Sha256::from_message(given);
    checksum
        .map(Some)
        .ok_or_else(|| StorageError::field("header.sha256", format!("has {} bytes, not 32", given.len())))
}

/// Which attempt at a change a call is, if it says so. `field` is for the message.
pub(super) fn attempt(field: &'static str, given: Option<proto::Attempt>) -> Result<Option<Attempt>, StorageError> {
    let Some(proto::Attempt { change, number }) = given else {
        return Ok(None);
    };
    let change = Uuid::from_slice(&change)
        .map_err(|_| StorageError::field(field, format!("has {} bytes, not 16", change.len())))?;
    Ok(Some(Attempt { change, number }))
}

pub(super) fn mode(header: &proto::PutHeader) -> Result<PutMode, StorageError> {
    let mode = proto::PutMode::try_from(header.mode)
        .map_err(|_| StorageError::field("header.mode", format!("{} is not a mode", header.mode)))?;
    let has_condition = header.if_match.is_some() || header.if_version_match.is_some();
    match mode {
        proto::PutMode::IfMatch if !has_condition => Err(StorageError::field(
            "header.if_match",
            "must name the present object in this mode",
        )),
        proto::PutMode::IfMatch => Ok(PutMode::Update(UpdateVersion {
            e_tag: header.if_match.clone(),
            version: header.if_version_match.clone(),
        })),
        // A condition that nobody checks would be a lost update waiting to happen.
        proto::PutMode::Unspecified | proto::PutMode::Overwrite | proto::PutMode::Create if has_condition => {
            Err(StorageError::field("header.if_match", "is for PUT_MODE_IF_MATCH only"))
        }
        proto::PutMode::Unspecified | proto::PutMode::Overwrite => Ok(PutMode::Overwrite),
        proto::PutMode::Create => Ok(PutMode::Create),
    }
}

pub(super) fn get_options(
    range: Option<proto::ByteRange>,
    conditions: Option<proto::GetConditions>,
    version: Option<String>,
) -> Result<GetOptions, StorageError> {
    let conditions = conditions.unwrap_or_default();
    Ok(GetOptions {
        if_match: conditions.if_match,
        if_none_match: conditions.if_none_match,
        if_modified_since: time("conditions.if_modified_since", conditions.if_modified_since)?,
        if_unmodified_since: time("conditions.if_unmodified_since", conditions.if_unmodified_since)?,
        range: range.map(read_range).transpose()?,
        version,
        ..Default::default()
    })
}

fn read_range(range: proto::ByteRange) -> Result<GetRange, StorageError> {
    let range = match range.range {
        Some(byte_range::Range::Bounded(byte_range::Bounded { start, end })) => GetRange::Bounded(start..end),
        Some(byte_range::Range::Offset(offset)) => GetRange::Offset(offset),
        Some(byte_range::Range::Suffix(suffix)) => GetRange::Suffix(suffix),
        None => {
            return Err(StorageError::field(
                "range",
                "holds no range; leave it out for the whole object",
            ));
        }
    };
    range
        .is_valid()
        .map_err(|error| StorageError::field("range", error.to_string()))?;
    Ok(range)
}

fn time(field: &'static str, time: Option<Timestamp>) -> Result<Option<DateTime<Utc>>, StorageError> {
    let Some(given) = time else { return Ok(None) };
    let time = wire::time(given);
    time.map(Some)
        .ok_or_else(|| StorageError::field(field, "is not a time"))
}

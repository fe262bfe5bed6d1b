//! Maps from string to string.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, MapArray, StringViewArray, StructArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, FieldRef},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::EmitTo,
};

use super::MergeState;

/// A column of maps of the lake's type, from one iterator of entries per row.
pub fn string_map<'a, Row>(rows: impl IntoIterator<Item = Row>) -> Result<MapArray>
where
    Row: IntoIterator<Item = (&'a str, &'a str)>,
{
    let DataType::Map(entries, _) = lake::schema::string_map() else {
        return exec_err!("the lake's type of maps is not a map");
    };
    map_array(&entries, rows)
}

fn map_array<'a, Row>(entries: &FieldRef, rows: impl IntoIterator<Item = Row>) -> Result<MapArray>
where
    Row: IntoIterator<Item = (&'a str, &'a str)>,
{
    let DataType::Struct(fields) = entries.data_type() else {
        return exec_err!("entries of a map are structs, not {}", entries.data_type());
    };
    let (mut keys, mut values, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let before = keys.len();
        for (key, value) in row {
            keys.push(key);
            values.push(value);
        }
        lengths.push(keys.len() - before);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringViewArray::from(keys)),
        Arc::new(StringViewArray::from(values)),
    ];
    let structs = StructArray::try_new(fields.clone(), columns, None)?;
    Ok(MapArray::try_new(
        Arc::clone(entries),
        OffsetBuffer::from_lengths(lengths),
        structs,
        None,
        false,
    )?)
}

/// The entries that all of a group's maps have in common; `None` before the first map.
#[derive(Debug)]
pub(super) struct CommonEntries {
    entries: FieldRef,
    groups: Vec<Option<BTreeMap<Box<str>, Box<str>>>>,
}

impl CommonEntries {
    pub(super) fn new(data_type: &DataType) -> Self {
        let entries = match data_type {
            DataType::Map(entries, _) => Arc::clone(entries),
            other => Arc::new(Field::new("key_value", other.clone(), false)),
        };
        Self {
            entries,
            groups: Vec::new(),
        }
    }
}

impl MergeState for CommonEntries {
    fn merge(&mut self, values: &ArrayRef, groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, None);
        let maps = values.as_map();
        let (keys, values) = (maps.keys().as_string_view(), maps.values().as_string_view());
        let offsets = maps.value_offsets();
        for (row, group) in groups.iter().enumerate() {
            if maps.is_null(row) {
                continue;
            }
            let span = offsets[row] as usize..offsets[row + 1] as usize;
            match &mut self.groups[*group] {
                Some(common) => common.retain(|key, value| {
                    span.clone()
                        .any(|at| keys.value(at) == key.as_ref() && values.value(at) == value.as_ref())
                }),
                unseen => {
                    *unseen = Some(
                        span.map(|at| (keys.value(at).into(), values.value(at).into()))
                            .collect(),
                    )
                }
            }
        }
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        let rows = groups.iter().map(|group| {
            group
                .iter()
                .flatten()
                .map(|(key, value)| (key.as_ref(), value.as_ref()))
        });
        Ok(Arc::new(map_array(&self.entries, rows)?))
    }

    fn size(&self) -> usize {
        // A label's key and value take some tens of bytes each.
        self.groups.iter().flatten().map(|common| 16 + common.len() * 96).sum()
    }
}

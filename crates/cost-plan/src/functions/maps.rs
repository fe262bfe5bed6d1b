//! Functions of maps from string to string, and of lists of strings.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, MapArray, StringViewArray, StructArray, UInt64Array},
    buffer::OffsetBuffer,
    compute::take,
    datatypes::{DataType, Field, FieldRef},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, EmitTo, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

use super::MergeState;

/// The value of an entry of a map, null when the map has none of this key.
pub fn map_get(map: Expr, key: &str) -> Expr {
    let pick = Pick::MapValue { key: key.to_owned() };
    ScalarUDF::new_from_impl(PickFunction::new(pick)).call(vec![map])
}

/// The first item of a list, null when it is empty.
pub fn first_item(list: Expr) -> Expr {
    ScalarUDF::new_from_impl(PickFunction::new(Pick::FirstItem)).call(vec![list])
}

/// Which string of a nested value is picked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pick {
    MapValue { key: String },
    FirstItem,
}

#[derive(Debug, PartialEq, Eq)]
struct PickFunction {
    pick: Pick,
    name: String,
    signature: Signature,
}

impl Hash for PickFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pick.hash(state);
    }
}

impl PickFunction {
    fn new(pick: Pick) -> Self {
        // The key is part of the name, since columns of a plan are told apart by what they print.
        let name = match &pick {
            Pick::MapValue { key } => format!("map_get[{key}]"),
            Pick::FirstItem => "first_item".to_owned(),
        };
        Self {
            pick,
            name,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for PickFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [value] = values.as_slice() else {
            return exec_err!("{} takes one argument, not {}", self.name, values.len());
        };
        let picked = match &self.pick {
            Pick::MapValue { key } => {
                let map = value.as_map();
                let keys = map.keys().as_string_view();
                let offsets = map.value_offsets();
                let indices: UInt64Array = (0..map.len())
                    .map(|row| {
                        (offsets[row] as u64..offsets[row + 1] as u64)
                            .find(|at| map.is_valid(row) && keys.value(*at as usize) == key)
                    })
                    .collect();
                take(map.values(), &indices, None)?
            }
            Pick::FirstItem => {
                let list = value.as_list::<i32>();
                let offsets = list.value_offsets();
                let indices: UInt64Array = (0..list.len())
                    .map(|row| (list.is_valid(row) && offsets[row] < offsets[row + 1]).then(|| offsets[row] as u64))
                    .collect();
                take(list.values(), &indices, None)?
            }
        };
        Ok(ColumnarValue::Array(picked))
    }
}

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

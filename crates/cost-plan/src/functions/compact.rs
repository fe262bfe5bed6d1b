//! Copying rows out of the batch they came in.

use std::sync::Arc;

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, ListArray, MapArray, StructArray, UInt64Array},
    compute::take,
    datatypes::DataType,
    error::ArrowError,
};

/// These rows of a column, in memory of their own: a string that is merely referred to would keep all strings of its
/// batch alive, and be counted with all of them.
pub(super) fn copied(values: &ArrayRef, rows: Vec<u64>) -> Result<ArrayRef, ArrowError> {
    compact(take(values, &UInt64Array::from(rows), None)?)
}

fn compact(values: ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match values.data_type() {
        DataType::Utf8View => Arc::new(values.as_string_view().gc()),
        DataType::List(item) => {
            let lists = values.as_list::<i32>();
            let items = compact(Arc::clone(lists.values()))?;
            let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?)
        }
        DataType::Map(entries, ordered) => {
            let maps = values.as_map();
            let structs = compact_struct(maps.entries())?;
            let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
            Arc::new(MapArray::try_new(
                Arc::clone(entries),
                offsets,
                structs,
                nulls,
                *ordered,
            )?)
        }
        DataType::Struct(_) => Arc::new(compact_struct(values.as_struct())?),
        _ => values,
    })
}

fn compact_struct(structs: &StructArray) -> Result<StructArray, ArrowError> {
    let columns = structs.columns().iter().cloned().map(compact);
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new(structs.fields().clone(), columns, structs.nulls().cloned())
}

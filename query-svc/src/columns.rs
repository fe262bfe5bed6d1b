//! Reading the columns of a coded result by name. One that is missing, or of another type, is an error: the plan that
//! made the result and its reader do not agree.

use arrow::{
    array::{ArrowPrimitiveType, AsArray as _, ListArray, RecordBatch},
    datatypes::{Float64Type, TimestampMicrosecondType, UInt32Type},
};
use cost_plan::dictionary::Code;
use datafusion::error::{DataFusionError, Result};

fn unexpected(column: &str) -> DataFusionError {
    DataFusionError::Internal(format!("column {column} of the result is missing or of another type"))
}

fn values<'a, T: ArrowPrimitiveType>(batch: &'a RecordBatch, column: &str) -> Result<&'a [T::Native]> {
    let found = batch.column_by_name(column);
    let found = found.and_then(|column| column.as_primitive_opt::<T>());
    Ok(found.ok_or_else(|| unexpected(column))?.values())
}

pub(crate) fn codes<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a [Code]> {
    values::<UInt32Type>(batch, column)
}

pub(crate) fn numbers<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a [f64]> {
    values::<Float64Type>(batch, column)
}

/// Microseconds since the Unix epoch.
pub(crate) fn times<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a [i64]> {
    values::<TimestampMicrosecondType>(batch, column)
}

/// The structs of a row's list.
pub(crate) fn structs(batch: &RecordBatch, column: &str, row: usize) -> Result<RecordBatch> {
    let lists: Option<&ListArray> = batch.column_by_name(column).and_then(|column| column.as_list_opt());
    let items = lists.ok_or_else(|| unexpected(column))?.value(row);
    let structs = items.as_struct_opt().ok_or_else(|| unexpected(column))?;
    Ok(RecordBatch::from(structs))
}

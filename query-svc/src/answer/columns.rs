//! Reading the columns of a result.

use std::collections::HashMap;

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, RecordBatch},
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use chrono::DateTime;
use cost_model::Window;
use datafusion::error::{DataFusionError, Result};
use lake::schema::allocations;

/// A batch whose columns are read by name and row. A column that is missing, or of another type, is an error: the
/// plan that made the batch and its reader do not agree.
pub(super) struct Columns<'a>(&'a RecordBatch);

impl<'a> Columns<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        Self(batch)
    }

    fn column(&self, name: &str) -> Result<&'a ArrayRef> {
        self.0.column_by_name(name).ok_or_else(|| unexpected(name, "missing"))
    }

    pub(super) fn string(&self, name: &str, row: usize) -> Result<String> {
        let strings = self.column(name)?.as_string_view_opt();
        let strings = strings.ok_or_else(|| unexpected(name, "not of strings"))?;
        Ok(strings.value(row).to_owned())
    }

    /// Zero where the value is null, which a sum over nothing is.
    pub(super) fn number(&self, name: &str, row: usize) -> Result<f64> {
        Ok(self.optional_number(name, row)?.unwrap_or_default())
    }

    pub(super) fn optional_number(&self, name: &str, row: usize) -> Result<Option<f64>> {
        let numbers = self.column(name)?.as_primitive_opt::<Float64Type>();
        let numbers = numbers.ok_or_else(|| unexpected(name, "not of numbers"))?;
        Ok(numbers.is_valid(row).then(|| numbers.value(row)))
    }

    pub(super) fn numbers<const N: usize>(&self, names: [&str; N], row: usize) -> Result<[f64; N]> {
        let mut values = [0.0; N];
        for (value, name) in values.iter_mut().zip(names) {
            *value = self.number(name, row)?;
        }
        Ok(values)
    }

    /// All of the values, or none when one is null.
    pub(super) fn all_known<const N: usize>(&self, names: [&str; N], row: usize) -> Result<Option<[f64; N]>> {
        let mut values = [0.0; N];
        for (value, name) in values.iter_mut().zip(names) {
            match self.optional_number(name, row)? {
                Some(known) => *value = known,
                None => return Ok(None),
            }
        }
        Ok(Some(values))
    }

    pub(super) fn count(&self, name: &str, row: usize) -> Result<i64> {
        let counts = self.column(name)?.as_primitive_opt::<Int64Type>();
        Ok(counts
            .ok_or_else(|| unexpected(name, "not of whole numbers"))?
            .value(row))
    }

    pub(super) fn flag(&self, name: &str, row: usize) -> Result<bool> {
        let flags = self.column(name)?.as_boolean_opt();
        Ok(flags.ok_or_else(|| unexpected(name, "not of booleans"))?.value(row))
    }

    /// Microseconds since the Unix epoch.
    pub(super) fn time(&self, name: &str, row: usize) -> Result<i64> {
        let times = self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
        Ok(times.ok_or_else(|| unexpected(name, "not of times"))?.value(row))
    }

    /// The hull of the windows of the members' files.
    pub(super) fn window(&self, row: usize) -> Result<Option<Window>> {
        let start = DateTime::from_timestamp_micros(self.time(allocations::WINDOW_START, row)?);
        let end = DateTime::from_timestamp_micros(self.time(allocations::WINDOW_END, row)?);
        Ok(start.zip(end).and_then(|(start, end)| Window::new(start, end)))
    }

    /// Empty where the value is null.
    pub(super) fn map(&self, name: &str, row: usize) -> Result<HashMap<String, String>> {
        let maps = self.column(name)?.as_map_opt();
        let maps = maps.ok_or_else(|| unexpected(name, "not of maps"))?;
        if maps.is_null(row) {
            return Ok(HashMap::new());
        }
        let (keys, values) = (maps.keys().as_string_view(), maps.values().as_string_view());
        let offsets = maps.value_offsets();
        Ok((offsets[row] as usize..offsets[row + 1] as usize)
            .map(|at| (keys.value(at).to_owned(), values.value(at).to_owned()))
            .collect())
    }

    /// The items of a list; none where it is null.
    pub(super) fn list(&self, name: &str, row: usize) -> Result<Option<ArrayRef>> {
        let lists = self.column(name)?.as_list_opt::<i32>();
        let lists = lists.ok_or_else(|| unexpected(name, "not of lists"))?;
        Ok(lists.is_valid(row).then(|| lists.value(row)))
    }

    /// The items of a list of structs.
    pub(super) fn structs(&self, name: &str, row: usize) -> Result<RecordBatch> {
        let items = self.list(name, row)?;
        let items = items.as_ref().and_then(|items| items.as_struct_opt());
        items
            .map(RecordBatch::from)
            .ok_or_else(|| unexpected(name, "not of lists of structs"))
    }
}

fn unexpected(column: &str, what: &str) -> DataFusionError {
    DataFusionError::Internal(format!("column {column} of the result is {what}"))
}

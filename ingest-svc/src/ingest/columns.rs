//! Building Arrow columns from decoded records without a string per field: records hold symbols, a column of
//! strings is the file's string table taken at those symbols.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanArray, Float64Array, ListArray, MapArray, RecordBatch, StringViewArray, StructArray,
        TimestampMicrosecondArray, UInt32Array,
    },
    buffer::OffsetBuffer,
    compute::take,
    datatypes::{DataType, Field, SchemaRef},
    error::ArrowError,
};
use bingen::{StringTable, Symbol, Timestamp};
use chrono::{DateTime, Utc};

/// A file's strings, of which each column of strings shares the bytes.
pub(super) struct Strings {
    table: StringViewArray,
}

impl Strings {
    pub(super) fn new(table: &StringTable<'_>) -> Self {
        Self {
            table: table.strings().iter().map(|string| Some(string.as_ref())).collect(),
        }
    }

    /// Which of the symbols stand for this text.
    pub(super) fn are(&self, symbols: &[u32], text: &str) -> BooleanArray {
        let matches: Vec<bool> = self.table.iter().map(|string| string == Some(text)).collect();
        symbols.iter().map(|symbol| Some(matches[*symbol as usize])).collect()
    }

    pub(super) fn column(&self, symbols: Vec<u32>) -> Result<ArrayRef, ArrowError> {
        take(&self.table, &UInt32Array::from(symbols), None)
    }
}

pub(super) fn index(symbol: Symbol) -> u32 {
    // The decoder numbers strings with 32 bits.
    symbol.index() as u32
}

/// Lists of varying length: where each ends, and how many items there are so far.
pub(super) struct Lengths(Vec<i32>);

impl Lengths {
    pub(super) fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self(offsets)
    }

    /// Ends a row after `items` items in all.
    pub(super) fn end_row(&mut self, items: usize) {
        self.0.push(i32::try_from(items).unwrap_or(i32::MAX));
    }

    fn offsets(self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(self.0.into())
    }

    /// The lists, whose items are `items`, as a column of this type.
    pub(super) fn list(self, field: &Field, items: ArrayRef) -> Result<ArrayRef, ArrowError> {
        let DataType::List(item) = field.data_type() else {
            return Err(wrong_type(field, "a list"));
        };
        Ok(Arc::new(ListArray::try_new(
            Arc::clone(item),
            self.offsets(),
            items,
            None,
        )?))
    }
}

fn wrong_type(field: &Field, wanted: &str) -> ArrowError {
    ArrowError::SchemaError(format!(
        "column {} is {}, not {wanted}",
        field.name(),
        field.data_type()
    ))
}

/// A column of maps.
pub(super) struct MapColumn {
    keys: Vec<u32>,
    values: Vec<u32>,
    lengths: Lengths,
}

impl MapColumn {
    pub(super) fn new(rows: usize) -> Self {
        Self {
            keys: Vec::new(),
            values: Vec::new(),
            lengths: Lengths::new(rows),
        }
    }

    pub(super) fn push(&mut self, entries: &[(Symbol, Symbol)]) {
        self.keys.extend(entries.iter().map(|(key, _)| index(*key)));
        self.values.extend(entries.iter().map(|(_, value)| index(*value)));
        self.lengths.end_row(self.keys.len());
    }

    pub(super) fn finish(self, field: &Field, strings: &Strings) -> Result<ArrayRef, ArrowError> {
        let DataType::Map(entries, sorted) = field.data_type() else {
            return Err(wrong_type(field, "a map"));
        };
        let columns = vec![strings.column(self.keys)?, strings.column(self.values)?];
        let structs = structs(entries, columns)?;
        Ok(Arc::new(MapArray::try_new(
            Arc::clone(entries),
            self.lengths.offsets(),
            structs,
            None,
            *sorted,
        )?))
    }
}

/// Structs of a field that declares them.
pub(super) fn structs(field: &Field, columns: Vec<ArrayRef>) -> Result<StructArray, ArrowError> {
    let DataType::Struct(fields) = field.data_type() else {
        return Err(wrong_type(field, "a struct"));
    };
    StructArray::try_new(fields.clone(), columns, None)
}

/// The item type of a list.
pub(super) fn item(field: &Field) -> Result<&Field, ArrowError> {
    match field.data_type() {
        DataType::List(item) => Ok(item),
        _ => Err(wrong_type(field, "a list")),
    }
}

pub(super) fn numbers(values: Vec<f64>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

pub(super) fn optional_numbers(values: Vec<Option<f64>>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

pub(super) fn times(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

pub(super) fn same_string(value: &str, rows: usize) -> ArrayRef {
    let strings = StringViewArray::from(vec![value]);
    take(&strings, &UInt32Array::from(vec![0; rows]), None).unwrap_or_else(|_| Arc::new(strings))
}

pub(super) fn same_time(value: DateTime<Utc>, rows: usize) -> ArrayRef {
    times(vec![value.timestamp_micros(); rows])
}

/// Microseconds since the Unix epoch; `otherwise` where the agent gave no time.
pub(super) fn micros(time: Timestamp, otherwise: DateTime<Utc>) -> i64 {
    if time.is_unset() {
        return otherwise.timestamp_micros();
    }
    time.unix_seconds()
        .saturating_mul(1_000_000)
        .saturating_add(i64::from(time.subsecond_nanos() / 1_000))
}

/// Puts columns into the schema's order. Each must be there once.
pub(super) fn batch(schema: SchemaRef, mut columns: Vec<(&'static str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let ordered = schema
        .fields()
        .iter()
        .map(|field| {
            let at = columns
                .iter()
                .position(|(name, _)| name == field.name())
                .ok_or_else(|| ArrowError::SchemaError(format!("column {} was not built", field.name())))?;
            Ok(columns.swap_remove(at).1)
        })
        .collect::<Result<Vec<_>, ArrowError>>()?;
    RecordBatch::try_new(schema, ordered)
}

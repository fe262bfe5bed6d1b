//! Columns of the tables. Costs are in the configured currency, times in UTC, durations in hours.

pub mod allocations;
pub mod assets;
pub mod source_files;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// A point in time: microseconds since the Unix epoch, UTC.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Names and values, such as labels.
pub fn string_map() -> DataType {
    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8View, false),
        Field::new("value", DataType::Utf8View, true),
    ]);
    DataType::Map(
        Arc::new(Field::new("key_value", DataType::Struct(entries), false)),
        false,
    )
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", item, true)))
}

fn string(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, false)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Float64, false)
}

fn optional_number(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

fn time(name: &str) -> Field {
    Field::new(name, timestamp(), false)
}

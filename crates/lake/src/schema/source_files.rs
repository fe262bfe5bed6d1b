//! The ETL files that were read, and what became of each.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::{string, time};

fn named(value: DataType) -> DataType {
    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8View, false),
        Field::new("value", value, true),
    ]);
    DataType::Map(
        Arc::new(Field::new("key_value", DataType::Struct(entries), false)),
        false,
    )
}

/// Names and whole numbers.
fn counts() -> DataType {
    named(DataType::Int64)
}

/// Names and numbers.
fn figures() -> DataType {
    named(DataType::Float64)
}

/// All columns.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            string("federated_cluster"),
            string("pipeline"),
            time("window_start"),
            time("window_end"),
            string("path"),
            Field::new("etag", DataType::Utf8View, true),
            Field::new("size", DataType::Int64, false),
            time("last_modified"),
            Field::new("rows", DataType::Int64, false),
            // Why the file was set aside; null when it was not.
            Field::new("error", DataType::Utf8View, true),
            time("ingested"),
            // What was odd, and how often; null when nothing was.
            Field::new("warnings", counts(), true),
            // Figures on the quality of the data, by name.
            Field::new("figures", figures(), true),
        ]))
    });
    Arc::clone(&SCHEMA)
}

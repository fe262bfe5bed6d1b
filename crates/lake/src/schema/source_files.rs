//! The ETL files that were read, and what became of each.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{string, time};

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
        ]))
    });
    Arc::clone(&SCHEMA)
}

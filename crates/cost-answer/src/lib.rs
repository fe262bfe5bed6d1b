//! Answers about costs as Arrow columns, which for large answers are many times faster to write and to read than
//! messages.
//!
//! The rows of an answer are ordered by set, and in a set as they are to be shown. Any column but `set` and `name` may
//! be left out: a number that is left out is 0, a text is empty, a list or map has nothing in it, and what may be
//! unknown is unknown.

pub mod allocation;
pub mod asset;
mod columns;
mod decode;
pub mod items;
mod per_value;

/// Rows of an answer, by columns.
pub use arrow::record_batch::RecordBatch;

pub use allocation::{AllocationColumns, AllocationRow};
pub use asset::{AssetColumns, AssetKind, AssetRow};
pub use columns::{ColumnsError, Entries, Texts};
pub use decode::{DecodeError, Decoder};
pub use per_value::PerValue;

/// The column that says which set a row is of, counted from 0.
pub const SET: &str = "set";
/// The column with the name of the item in its set.
pub const NAME: &str = "name";

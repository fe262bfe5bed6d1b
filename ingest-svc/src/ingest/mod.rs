//! From ETL files to base rows: finding them, decoding them, and remembering which were read.

mod allocations;
mod assets;
mod census;
mod check;
mod columns;
mod decode;
mod find;
mod source_files;

pub(crate) use decode::{DecodeFileError, Decoded, FileWindow, decode};
pub(crate) use find::{FindError, Found, FoundFile, PIPELINES, find};
pub(crate) use source_files::{SourceFile, from_batches, to_batch};

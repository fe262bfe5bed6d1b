//! DataFusion plans and functions that add up allocations and assets.
//!
//! One plan serves both sides: ingest derives the fast tables with it, and query answers with it. What it adds up
//! has the columns of what it reads, so it can be applied to its own result. Tables are read in coded form: a
//! [`dictionary`] gives each text a number, and plans see numbers only.

pub mod aggregate;
pub mod coded;
pub mod dictionary;
pub mod functions;

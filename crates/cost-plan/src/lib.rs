//! DataFusion plans and functions that add up allocations and assets.
//!
//! One plan serves both sides: ingest derives the fast tables with it, and query answers with it. What it adds up
//! has the columns of what it reads, so it can be applied to its own result.

pub mod aggregate;
pub mod functions;
pub mod table;

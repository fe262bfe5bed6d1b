//! DataFusion plans and functions that add up allocations and assets.

//! Tests across the services live in `tests/`; this library is empty.

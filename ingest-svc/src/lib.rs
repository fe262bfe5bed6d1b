//! ingest-svc

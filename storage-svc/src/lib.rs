//! storage-svc

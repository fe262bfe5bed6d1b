//! The real services, asked as users ask them.

mod bucket;
mod crash;
mod golden;
mod ingest;
mod network;
mod processes;
mod releases;

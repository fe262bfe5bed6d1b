//! The process of ingest.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use ingest_svc::{Config, SERVICE_NAME, serve};
use mimalloc::MiMalloc;
use service_kit::process;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Ingests the ETL files of a bucket into tables, every ten minutes.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The service's file (YAML): `server`, `storage`, and how to ingest.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    process::run(
        SERVICE_NAME,
        Config::load(&arguments.config),
        |config| &config.server,
        serve,
    )
}

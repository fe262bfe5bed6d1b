//! The process of query.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use query_svc::{Config, SERVICE_NAME, serve};
use service_kit::process;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Answers allocation and asset questions over the newest release.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The service's file (YAML): `server`, `storage`, and how to query.
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

//! The process of the storage gateway.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use service_kit::process;
use storage_svc::{Config, SERVICE_NAME, serve};

/// The storage gateway: serves the objects of one bucket to the other services and to federated clusters.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The service's file (YAML): `server`, `store` or `directory`, and optionally `limits`.
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

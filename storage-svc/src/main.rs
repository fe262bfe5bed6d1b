//! The process of the storage gateway.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use service_kit::process;
use storage_svc::{Config, SERVICE_NAME, serve};

/// The storage gateway: serves the objects of one bucket to the other services and to federated clusters.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The service's file (YAML): `server`, `store` or `directory`, and optionally `strict`, `conditional_writes` and `limits`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Refuse a federated-store.yaml with unknown keys, where they would be a warning.
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = if arguments.strict {
        Config::load_strictly(&arguments.config)
    } else {
        Config::load(&arguments.config)
    };
    process::run(SERVICE_NAME, config, |config| &config.server, serve)
}

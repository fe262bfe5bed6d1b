//! The process of the gateway.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use gateway_svc::{Config, SERVICE_NAME, serve};
use mimalloc::MiMalloc;
use service_kit::process;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The gateway: answers the HTTP API of OpenCost and Kubecost from the costs of all clusters.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The service's file (YAML): `server`, `query`, `ingest`, and optionally `access`, `utc_offset` and `limits`.
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

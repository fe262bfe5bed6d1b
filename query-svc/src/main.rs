//! The process of query.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use service_kit::{config::EXIT_CODE, shutdown, telemetry, tls};
use query_svc::{Config, serve};
use tokio::net::TcpListener;

/// Answers allocation and asset questions over the newest release.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The service's file (YAML): `server`, `storage`, and how to query.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tls::install_crypto_provider();
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(error) => return fail(&error, EXIT_CODE),
    };
    let _telemetry = match telemetry::init(&config.server.log) {
        Ok(guard) => guard,
        Err(error) => return fail(&error, EXIT_CODE),
    };
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref(), 1),
    }
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = shutdown::on_signals()?;
    let listen = config.server.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    Ok(serve(config, listener, shutdown).await?)
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("query-svc: {error}");
    ExitCode::from(code)
}

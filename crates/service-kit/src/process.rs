//! The process of a service: everything between its arguments and its exit code.

use std::{error::Error, fmt::Display, future::Future, io, process::ExitCode};

use tokio::{net::TcpListener, runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{self, CommonConfig},
    shutdown, telemetry, tls,
};

/// The exit code of a process that failed after it had started.
pub const EXIT_CODE_FAILED: u8 = 1;

/// Runs the service `name` until a signal: logging, signals, the listener, then `serve`.
///
/// Returns 64 when the configuration cannot be used, 1 when the service fails, and 0 when it was told to stop; a
/// failure is one line on stderr.
pub fn run<C, L: Error, S: Error>(
    name: &str,
    config: Result<C, L>,
    common: impl FnOnce(&C) -> &CommonConfig,
    serve: impl AsyncFnOnce(C, TcpListener, CancellationToken) -> Result<(), S>,
) -> ExitCode {
    tls::install_crypto_provider();
    let config = match config {
        Ok(config) => config,
        Err(error) => return fail(name, error, config::EXIT_CODE),
    };
    let CommonConfig {
        listen, log, tracing, ..
    } = common(&config);
    let listen = *listen;
    // Dropped when all else has ended, so that the last spans are sent.
    let _telemetry = match telemetry::init_service(name, log, tracing.as_ref()) {
        Ok(guard) => guard,
        Err(error) => return fail(name, error, config::EXIT_CODE),
    };
    let work = async {
        let shutdown = shutdown::on_signals().map_err(|error| error.to_string())?;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
        serve(config, listener, shutdown)
            .await
            .map_err(|error| error.to_string())
    };
    match block_on(work) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(name, error, EXIT_CODE_FAILED),
        Err(error) => fail(name, error, EXIT_CODE_FAILED),
    }
}

/// Runs `work` on a runtime of many threads, and returns as soon as it ends: threads that still compute for work
/// that was given up are not waited for, as they would hold up the end of the process.
///
/// # Errors
/// When the system gives no threads.
pub fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(result)
}

/// Says on stderr why the process `name` ends, and returns the code to end with.
pub fn fail(name: &str, error: impl Display, code: u8) -> ExitCode {
    eprintln!("{name}: {error}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn work_that_was_given_up_does_not_hold_up_the_end() {
        let started = Instant::now();
        let result = block_on(async {
            let _given_up = tokio::task::spawn_blocking(|| thread::sleep(Duration::from_secs(20)));
            7
        });
        assert_eq!(result.unwrap(), 7);
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

//! Logs on stderr, and spans to a collector.

mod context;
mod export;

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use opentelemetry::trace::TracerProvider as _;
use serde::Deserialize;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, FilterFn, LevelFilter},
    fmt::MakeWriter,
    layer::SubscriberExt,
    reload,
    util::{SubscriberInitExt, TryInitError},
};

pub(crate) use self::context::note_rpc_end;
use self::export::Export;
pub use self::{
    context::{TRACEPARENT, continue_trace, inject, is_recording, note_trace, trace_id, traceparent},
    export::{ExportError, Protocol, TracingConfig},
};

/// By this the filter of the process's subscriber is changed. It belongs to that one global.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Directives that hold unless others are given for the same targets. The libraries of the lake tell each step of each
/// table at `info`, and call a table that is not there yet an error; what matters of it comes back to us as results.
const QUIET_LIBRARIES: &str = "buoyant_kernel=off,deltalake_core=warn";

/// The same libraries.
const QUIET_TARGETS: [&str; 2] = ["buoyant_kernel", "deltalake_core"];

/// How to log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// A level such as `info`, or directives such as `warn,storage_svc=debug`. Libraries that tell too much are quiet
    /// unless they are named. The variable `RUST_LOG` wins over all of it.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Pretty,
            level: "info,buoyant_kernel=off,deltalake_core=warn".to_owned(),
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text, coloured on a terminal.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Held by `main` until the process ends, so that what is still buffered can be written when it is dropped.
#[must_use = "dropping it ends telemetry"]
#[derive(Debug)]
pub struct TelemetryGuard {
    _export: Option<Export>,
}

/// Installs the process's tracing subscriber, which writes to stderr.
///
/// # Errors
/// When the filter cannot be read, or a subscriber is already installed.
pub fn init(config: &LogConfig) -> Result<TelemetryGuard, TelemetryError> {
    install(config, None, io::stderr)
}

/// As [`init`], and sends the spans of `service` to a collector when `tracing` says where that is.
///
/// # Errors
/// As [`init`], and when spans cannot be exported as configured. A collector that does not answer is no error.
pub fn init_service(
    service: &str,
    config: &LogConfig,
    tracing: Option<&TracingConfig>,
) -> Result<TelemetryGuard, TelemetryError> {
    install(config, tracing.map(|tracing| (service, tracing)), io::stderr)
}

/// As [`init`], for a process that shows more on stderr than logs: `writer` keeps them apart, and must end there.
///
/// # Errors
/// As [`init`].
pub fn init_with_writer<W>(config: &LogConfig, writer: W) -> Result<TelemetryGuard, TelemetryError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    install(config, None, writer)
}

fn install<W>(
    config: &LogConfig,
    tracing: Option<(&str, &TracingConfig)>,
    writer: W,
) -> Result<TelemetryGuard, TelemetryError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(config, std::env::var("RUST_LOG").ok())?);
    let export = tracing
        .map(|(service, tracing)| Export::start(service, tracing))
        .transpose()?;
    let spans = export.as_ref().map(|export| {
        tracing_opentelemetry::layer()
            .with_tracer(export.provider.tracer("fedcost"))
            // The places of our source are of no use to those who run us.
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(recorded())
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match config.format {
        LogFormat::Pretty => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let lines = if export.is_some() {
        // So that a line at any level has the id of its trace.
        lines.with_filter(filter.or(recorded())).boxed()
    } else {
        lines.with_filter(filter).boxed()
    };
    // The filter's handle is of a layer that lies right upon the registry.
    tracing_subscriber::registry().with(lines).with(spans).try_init()?;
    // The subscriber was installed just now, so nobody has set it before.
    let _first = FILTER.set(handle);
    if export.is_some() {
        context::begin();
    }
    Ok(TelemetryGuard { _export: export })
}

/// What goes to a collector, whatever is logged: spans, and in them what ails.
fn recorded() -> FilterFn {
    fn is_recorded(metadata: &Metadata<'_>) -> bool {
        let least = if metadata.is_span() { Level::INFO } else { Level::WARN };
        let is_quiet = QUIET_TARGETS.iter().any(|quiet| metadata.target().starts_with(quiet));
        *metadata.level() <= least && !is_quiet
    }
    FilterFn::new(is_recorded as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::INFO)
}

/// What is logged now, as directives; `None` before [`init`].
pub fn log_filter() -> Option<String> {
    FILTER.get()?.with_current(ToString::to_string).ok()
}

/// Changes what is logged until the process ends.
///
/// # Errors
/// When the directives cannot be read; then nothing changes.
pub fn set_log_filter(directives: &str) -> Result<(), TelemetryError> {
    let config = LogConfig {
        level: directives.to_owned(),
        ..LogConfig::default()
    };
    let filter = filter(&config, None)?;
    FILTER
        .get()
        .ok_or(TelemetryError::NotInstalled)?
        .reload(filter)
        .map_err(|_| TelemetryError::NotInstalled)
}

fn filter(config: &LogConfig, environment: Option<String>) -> Result<EnvFilter, TelemetryError> {
    let (origin, directives, quiet) = match environment {
        Some(directives) if !directives.trim().is_empty() => ("RUST_LOG", directives, ""),
        _ => ("log.level", config.level.clone(), QUIET_LIBRARIES),
    };
    EnvFilter::builder()
        // Of two directives for one target the last one counts.
        .parse(format!("{quiet},{directives}"))
        .map_err(|source| TelemetryError::Filter {
            origin,
            directives,
            source,
        })
}

/// Why telemetry cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A level or directive that does not exist.
    #[error(
        "{origin}: found {directives:?}, allowed is a level (error, warn, info, debug, trace, off) or directives such as \"warn,storage_svc=debug\": {source}"
    )]
    Filter {
        /// `RUST_LOG` or the key of the configuration.
        origin: &'static str,
        /// What stands there.
        directives: String,
        /// What the library said.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A second call in one process.
    #[error("logging is already set up in this process: {0}")]
    AlreadyInstalled(#[from] TryInitError),
    /// There is no subscriber of ours.
    #[error("logging is not set up in this process")]
    NotInstalled,
    /// Spans cannot be exported as configured.
    #[error(transparent)]
    Export(#[from] ExportError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_wins_unless_empty() {
        let config = LogConfig::default();
        let shown = |environment: Option<&str>| {
            let filter = filter(&config, environment.map(str::to_owned)).unwrap();
            filter.to_string()
        };
        assert_eq!(shown(None), "deltalake_core=warn,buoyant_kernel=off,info");
        assert_eq!(shown(Some(" ")), shown(None));
        assert_eq!(shown(Some("debug")), "debug");
    }

    #[test]
    fn a_quiet_library_speaks_when_it_is_named() {
        let config = LogConfig {
            level: "warn,buoyant_kernel=debug".to_owned(),
            ..LogConfig::default()
        };
        assert_eq!(
            filter(&config, None).unwrap().to_string(),
            "deltalake_core=warn,buoyant_kernel=debug,warn"
        );
    }

    #[test]
    fn a_bad_level_says_where_it_stands() {
        let config = LogConfig {
            level: "storage_svc=loud".to_owned(),
            ..LogConfig::default()
        };
        let error = filter(&config, None).unwrap_err().to_string();
        assert!(
            error.starts_with("log.level: found \"storage_svc=loud\", allowed is a level"),
            "{error}"
        );
    }
}

//! Spans by OTLP to a collector, on threads of their own: whatever ails the collector is not felt by the service.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter as ExportsSpans,
    },
};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::timeout,
};
use tonic::transport::Endpoint;
use tower::{Service, service_fn};
use tracing::{info, warn};

use crate::{config, tls};

/// Spans that may wait to be sent; further ones are dropped.
const QUEUE: usize = 4096;
/// Spans in one message to the collector.
const BATCH: usize = 512;
/// From a span's end to its being sent, at most, while the collector answers.
const DELAY: Duration = Duration::from_secs(1);
/// How long the last spans may take at shutdown.
const FLUSH: Duration = Duration::from_secs(3);
/// More than this is no answer to an export.
const MOST_ANSWER_BYTES: usize = 1 << 20;

/// Where spans go. Without this part of the file, none are recorded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracingConfig {
    /// The collector: `http://…` or `https://…`, mostly with port 4317 (gRPC) or 4318 (HTTP).
    pub endpoint: String,
    /// How OTLP is spoken.
    #[serde(default)]
    pub protocol: Protocol,
    /// Of the traces that begin here, the share that is kept, 0 to 1; a caller's decision is followed. 1 by default.
    #[serde(default = "all")]
    pub sample_ratio: f64,
    /// PEM of the authorities that the collector's certificate is checked against; the system's by default.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// How long one export may take.
    #[serde(default = "default_timeout", with = "config::duration")]
    pub timeout: Duration,
}

fn all() -> f64 {
    1.0
}

fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// gRPC over HTTP/2.
    #[default]
    Grpc,
    /// Protocol buffers over HTTP/1.1, to `/v1/traces` below the endpoint.
    Http,
}

/// Why spans cannot be exported as configured.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Not an address of a collector.
    #[error("tracing.endpoint: found {0:?}, allowed is an address such as https://collector:4317")]
    Endpoint(String),
    /// Not a share.
    #[error("tracing.sample_ratio: found {0}, allowed is 0 to 1")]
    Ratio(f64),
    /// The file of authorities cannot be read.
    #[error("tracing.ca: {}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of authorities, or the system's, cannot be used.
    #[error("tracing.ca: {0}")]
    Authorities(String),
    /// The threads for it cannot be started.
    #[error("tracing: no thread for it: {0}")]
    Thread(#[source] std::io::Error),
    /// The exporter cannot be built.
    #[error("tracing: {0}")]
    Build(#[from] ExporterBuildError),
}

/// The way of spans out of the process. Dropping it sends what waits, within a bounded time.
#[derive(Debug)]
pub(super) struct Export {
    pub(super) provider: SdkTracerProvider,
    runtime: Option<Runtime>,
}

impl Export {
    pub(super) fn start(service: &str, config: &TracingConfig) -> Result<Self, ExportError> {
        if !(0.0..=1.0).contains(&config.sample_ratio) {
            return Err(ExportError::Ratio(config.sample_ratio));
        }
        let endpoint = endpoint(&config.endpoint)?;
        let connector = connector(config)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("otlp")
            .enable_all()
            .build()
            .map_err(ExportError::Thread)?;
        let exporter = {
            let _entered = runtime.enter();
            match config.protocol {
                Protocol::Grpc => grpc(&endpoint, connector, config.timeout)?,
                Protocol::Http => http(&endpoint, connector, config.timeout)?,
            }
        };
        let exporter = OnRuntime {
            inner: Arc::new(exporter),
            runtime: runtime.handle().clone(),
            limit: config.timeout,
            failing: AtomicBool::new(false),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let resource = Resource::builder()
            .with_service_name(service.to_owned())
            .with_attributes([
                KeyValue::new("service.namespace", "fedcost"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                config.sample_ratio,
            ))))
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .build();
        Ok(Self {
            provider,
            runtime: Some(runtime),
        })
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // Whatever is not sent by then is lost, as it is when the collector is away.
        let _sent = self.provider.shutdown_with_timeout(FLUSH);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn endpoint(text: &str) -> Result<Uri, ExportError> {
    let uri: Uri = text.parse().map_err(|_| ExportError::Endpoint(text.to_owned()))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(ExportError::Endpoint(text.to_owned())),
    }
}

type Connector = HttpsConnector<HttpConnector>;

fn connector(config: &TracingConfig) -> Result<Connector, ExportError> {
    tls::install_crypto_provider();
    let builder = ClientConfig::builder();
    let builder = match &config.ca {
        None => builder
            .with_native_roots()
            .map_err(|error| ExportError::Authorities(error.to_string()))?,
        Some(path) => builder.with_root_certificates(authorities(path)?),
    };
    let tls = builder.with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    Ok(match config.protocol {
        Protocol::Grpc => builder.enable_http2().build(),
        Protocol::Http => builder.enable_http1().build(),
    })
}

fn authorities(path: &Path) -> Result<RootCertStore, ExportError> {
    let text = fs::read(path).map_err(|source| ExportError::Read {
        path: path.to_owned(),
        source,
    })?;
    let certificates =
        tls::parse_certificates(path, &text).map_err(|error| ExportError::Authorities(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| ExportError::Authorities(format!("{}: {error}", path.display())))?;
    }
    Ok(roots)
}

fn grpc(endpoint: &Uri, connector: Connector, limit: Duration) -> Result<SpanExporter, ExportError> {
    let bad = || ExportError::Endpoint(endpoint.to_string());
    // tonic refuses https where it does not do the TLS itself.
    let dialled = Uri::builder()
        .scheme("http")
        .authority(endpoint.authority().ok_or_else(bad)?.clone())
        .path_and_query("/")
        .build()
        .map_err(|_| bad())?;
    let target = endpoint.clone();
    let connect = service_fn(move |_: Uri| {
        let mut connector = connector.clone();
        connector.call(target.clone())
    });
    let channel = Endpoint::from(dialled)
        .origin(endpoint.clone())
        .timeout(limit)
        .connect_timeout(limit)
        .connect_with_connector_lazy(connect);
    Ok(SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_timeout(limit)
        .build()?)
}

fn http(endpoint: &Uri, connector: Connector, limit: Duration) -> Result<SpanExporter, ExportError> {
    let traces = format!("{}/v1/traces", endpoint.to_string().trim_end_matches('/'));
    Ok(SpanExporter::builder()
        .with_http()
        .with_http_client(Collector {
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
        .with_endpoint(traces)
        .with_timeout(limit)
        .build()?)
}

#[derive(Debug)]
struct Collector {
    client: Client<Connector, Full<Bytes>>,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let (head, body) = self.client.request(request.map(Full::new)).await?.into_parts();
        let body = Limited::new(body, MOST_ANSWER_BYTES).collect().await?.to_bytes();
        Ok(http::Response::from_parts(head, body))
    }
}

/// Runs an exporter on a runtime, since the thread that batches spans has none.
#[derive(Debug)]
struct OnRuntime {
    inner: Arc<SpanExporter>,
    runtime: Handle,
    limit: Duration,
    /// Whether the last export failed, so that a failure is logged once, not every second.
    failing: AtomicBool,
}

impl OnRuntime {
    fn note(&self, result: &OTelSdkResult) {
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !was_failing => warn!(%error, "spans are not taken by the collector"),
            Ok(()) if was_failing => info!("spans are taken by the collector again"),
            _ => {}
        }
    }
}

impl ExportsSpans for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (inner, limit) = (Arc::clone(&self.inner), self.limit);
        let sent = self
            .runtime
            .spawn(async move { timeout(limit, inner.export(batch)).await });
        let result = match sent.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(OTelSdkError::Timeout(limit)),
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        };
        self.note(&result);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(text: &str) -> Result<Export, String> {
        let config: TracingConfig = serde_norway::from_str(text).map_err(|error| error.to_string())?;
        Export::start("test", &config).map_err(|error| error.to_string())
    }

    #[test]
    fn says_what_is_allowed() {
        for (text, expected) in [
            ("endpoint: collector", "tracing.endpoint: found \"collector\""),
            ("endpoint: ftp://collector", "tracing.endpoint: found"),
            (
                "{endpoint: 'http://c:1', sample_ratio: 1.5}",
                "tracing.sample_ratio: found 1.5, allowed is 0 to 1",
            ),
            (
                "{endpoint: 'https://c:1', ca: /nowhere.pem}",
                "tracing.ca: /nowhere.pem: cannot be read",
            ),
            ("{endpoint: 'http://c:1', protocol: udp}", "unknown variant `udp`"),
        ] {
            let error = start(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_collector_that_is_away_does_not_hold_up_the_end() {
        use opentelemetry::trace::{Tracer, TracerProvider};

        for protocol in ["grpc", "http"] {
            let export = start(&format!("{{endpoint: 'http://127.0.0.1:1', protocol: {protocol}}}")).unwrap();
            let tracer = export.provider.tracer("test");
            for _ in 0..2 * QUEUE {
                drop(tracer.start("span"));
            }
            drop(export);
        }
    }
}

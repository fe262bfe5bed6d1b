//! What a service tells those who run it, by plain HTTP on a port of its own: `/metrics`, `/livez`, `/readyz`, `/log`.
//!
//! Nothing about costs is told there. Kubernetes' probes and Prometheus have no certificates of ours, so it is not behind
//! mutual TLS; who may reach the port is the network's matter.

use std::{convert::Infallible, fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::{encoding::text, registry::Registry};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::{server::Health, telemetry};

/// Connections at once; further ones wait.
const CONNECTIONS: usize = 32;
/// How long a caller may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest directives for logging that are taken.
const MOST_BODY_BYTES: usize = 4096;
/// After a failure to accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const EXPOSITION: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Where to listen for those who run the service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Such as `0.0.0.0:9464`; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Whether a service can do its work.
pub trait Readiness: Send + Sync + 'static {
    /// Why it cannot, one text for each reason; none when it can.
    fn reasons(&self) -> BoxFuture<'_, Vec<String>>;
}

impl fmt::Debug for dyn Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Readiness")
    }
}

impl Readiness for Health {
    fn reasons(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { self.reason().into_iter().collect() })
    }
}

/// Why the port cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("admin: cannot listen on {address}: {source}")]
pub struct AdminError {
    address: SocketAddr,
    source: io::Error,
}

/// Answers on the port for as long as the handle is held: longer than the service itself, so that the way down is seen.
///
/// # Errors
/// When the port is taken.
pub async fn serve(
    config: &AdminConfig,
    server: &'static str,
    registry: impl Into<Arc<Registry>>,
    readiness: Arc<dyn Readiness>,
) -> Result<Admin, AdminError> {
    let failed = |source| AdminError {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    info!(server, %address, "telling metrics and readiness");
    let answers = Answers {
        registry: registry.into(),
        readiness,
    };
    let task = tokio::spawn(accept(listener, answers).instrument(info_span!("admin", server)));
    Ok(Admin {
        address,
        _task: AbortOnDropHandle::new(task),
    })
}

/// As [`serve`], where the file asks for it and the service has a registry of its own.
///
/// # Errors
/// As [`serve`].
pub async fn serve_if_asked(
    config: Option<&AdminConfig>,
    server: &'static str,
    registry: Option<impl Into<Arc<Registry>>>,
    readiness: Arc<dyn Readiness>,
) -> Result<Option<Admin>, AdminError> {
    match (config, registry) {
        (Some(config), Some(registry)) => serve(config, server, registry, readiness).await.map(Some),
        _ => Ok(None),
    }
}

/// Where a service tells about itself. Dropping it ends that.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Admin {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[derive(Clone)]
struct Answers {
    registry: Arc<Registry>,
    readiness: Arc<dyn Readiness>,
}

async fn accept(listener: TcpListener, answers: Answers) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let answers = answers.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answers = answers.clone();
                async move { Ok::<_, Infallible>(answers.answer(request, peer).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                debug!(%error, "connection ended");
            }
            drop(permit);
        });
    }
}

impl Answers {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/livez") => plain(StatusCode::OK, "ok\n"),
            (&Method::GET | &Method::HEAD, "/readyz") => {
                let reasons = self.readiness.reasons().await;
                if reasons.is_empty() {
                    plain(StatusCode::OK, "ready\n")
                } else {
                    plain(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
                }
            }
            (&Method::GET | &Method::HEAD, "/metrics") => self.metrics(),
            (&Method::GET | &Method::HEAD, "/log") => match telemetry::log_filter() {
                Some(filter) => plain(StatusCode::OK, filter + "\n"),
                None => plain(StatusCode::NOT_FOUND, "logging is not set up\n"),
            },
            // From within the pod alone, as by `kubectl port-forward`: there is no other proof of who asks.
            (&Method::PUT, "/log") if peer.ip().to_canonical().is_loopback() => set_log(request).await,
            (&Method::PUT, "/log") => plain(StatusCode::FORBIDDEN, "allowed from the loopback interface alone\n"),
            (_, "/livez" | "/readyz" | "/metrics" | "/log") => {
                plain(StatusCode::METHOD_NOT_ALLOWED, "no such method\n")
            }
            _ => plain(StatusCode::NOT_FOUND, "there are /metrics, /livez, /readyz and /log\n"),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut body = String::new();
        match text::encode(&mut body, &self.registry) {
            Ok(()) => {
                let mut response = Response::new(Full::from(body));
                response.headers_mut().insert(header::CONTENT_TYPE, EXPOSITION);
                response
            }
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

async fn set_log(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let body = match Limited::new(request.into_body(), MOST_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    let directives = String::from_utf8_lossy(&body);
    match telemetry::set_log_filter(directives.trim()) {
        Ok(()) => {
            info!(directives = directives.trim(), "logging was changed");
            plain(StatusCode::OK, telemetry::log_filter().unwrap_or_default() + "\n")
        }
        Err(error) => plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

fn plain(code: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, TEXT);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

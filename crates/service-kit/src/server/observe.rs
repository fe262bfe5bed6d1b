//! A span and the numbers of each call, from the request's head to the last frame of the response.

use std::{
    collections::HashSet,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame};
use tonic::{Code, Status, body::Body};
use tower::Service;
use tracing::{Instrument, Span, debug, field, info_span, warn};

use super::peer::PeerInfo;
use crate::{
    metrics::{ServerMetrics, code_name},
    telemetry,
};

/// What the metrics call a method that does not exist, so that a caller cannot fill them with inventions.
const UNKNOWN_METHOD: &str = "unknown";

/// What is the same for all calls of a server.
#[derive(Debug)]
pub(super) struct Observer {
    pub(super) server: &'static str,
    pub(super) metrics: ServerMetrics,
    /// Every `/package.Service/Method` that the descriptors know.
    pub(super) methods: HashSet<String>,
}

/// Records each call.
#[derive(Clone, Debug)]
pub(super) struct Observe<S> {
    inner: S,
    observer: Arc<Observer>,
}

impl<S> Observe<S> {
    pub(super) fn new(inner: S, observer: Arc<Observer>) -> Self {
        Self { inner, observer }
    }
}

impl<S> Service<Request<Body>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let record = Record::begin(Arc::clone(&self.observer), &request);
        // The clone that stays behind need not be ready; the one that goes along was asked.
        let fresh = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, fresh);
        let span = record.span.clone();
        let call = async move {
            let (head, body) = inner.call(request).await?.into_parts();
            if let Some(code) = code_of(&head.headers) {
                record.end(code);
                return Ok(Response::from_parts(head, body));
            }
            if body.is_end_stream() {
                // Not a gRPC answer: tonic refuses some requests, such as a wrong content type, in plain HTTP.
                record.end(Code::Unknown);
                return Ok(Response::from_parts(head, body));
            }
            let body = Body::new(ObservedBody {
                inner: body,
                record: Some(record),
            });
            Ok(Response::from_parts(head, body))
        };
        Box::pin(call.instrument(span))
    }
}

/// One call. When it is dropped before its end, the caller has gone or the deadline has passed.
struct Record {
    observer: Arc<Observer>,
    method: String,
    begun: Instant,
    span: Span,
    ended: bool,
}

impl Record {
    fn begin(observer: Arc<Observer>, request: &Request<Body>) -> Self {
        let path = request.uri().path();
        let peer = request.extensions().get::<PeerInfo>();
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let span = info_span!(
            "rpc",
            otel.name = path.trim_start_matches('/'),
            otel.kind = "server",
            otel.status_code = field::Empty,
            trace_id = field::Empty,
            rpc.system = "grpc",
            rpc.server = observer.server,
            rpc.service = service,
            rpc.method = method,
            rpc.grpc.status_code = field::Empty,
            peer.identity = peer.map(|peer| field::display(peer.identity())),
            peer.address = peer.map(|peer| field::display(peer.address())),
        );
        telemetry::continue_trace(&span, request.headers());
        let method = observer
            .methods
            .get(path)
            .map_or(UNKNOWN_METHOD, String::as_str)
            .to_owned();
        observer.metrics.rpc_begun(observer.server);
        Self {
            observer,
            method,
            begun: Instant::now(),
            span,
            ended: false,
        }
    }

    fn end(mut self, code: Code) {
        self.note_end(code);
    }

    fn note_end(&mut self, code: Code) {
        self.ended = true;
        let duration = self.begun.elapsed();
        self.observer
            .metrics
            .rpc_ended(self.observer.server, &self.method, code, duration);
        let (code_name, duration_ms) = (code_name(code), duration.as_millis());
        telemetry::note_rpc_end(&self.span, code);
        self.span.in_scope(|| match code {
            Code::Internal | Code::Unknown | Code::DataLoss => warn!(code = code_name, duration_ms, "call failed"),
            _ => debug!(code = code_name, duration_ms, "call ended"),
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.ended {
            self.note_end(Code::Cancelled);
        }
    }
}

struct ObservedBody {
    inner: Body,
    // Taken when the end was seen.
    record: Option<Record>,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        // A streaming handler does its work here, so what it logs belongs to the call.
        let _entered = this.record.as_ref().map(|record| record.span.clone().entered());
        let frame = std::task::ready!(Pin::new(&mut this.inner).poll_frame(context));
        let code = match &frame {
            Some(Ok(frame)) => frame
                .trailers_ref()
                .map(|trailers| code_of(trailers).unwrap_or(Code::Unknown)),
            Some(Err(status)) => Some(status.code()),
            None => Some(Code::Unknown),
        };
        if let Some(code) = code
            && let Some(record) = this.record.take()
        {
            record.end(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

/// The status code that ends a call, from the trailers, or from the head when there is nothing else.
fn code_of(headers: &HeaderMap) -> Option<Code> {
    let text = headers.get("grpc-status")?.to_str().ok()?;
    Some(Code::from_i32(text.parse().ok()?))
}

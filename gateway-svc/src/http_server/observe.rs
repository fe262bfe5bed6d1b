//! A request id, a span and numbers for every request, until the last byte of its answer.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};
use service_kit::telemetry::{self, TRACEPARENT};
use tracing::{Instrument, Span, field, info_span};
use url::form_urlencoded;
use uuid::Uuid;

use crate::metrics::GatewayMetrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;
/// Characters of a parameter that a span keeps.
const LONGEST_NOTE: usize = 256;

/// Label of requests that no route takes: paths are the clients' to choose, and must not become labels.
const NO_ROUTE: &str = "none";

pub(super) async fn observe(State(metrics): State<GatewayMetrics>, request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(NO_ROUTE, MatchedPath::as_str)
        .to_owned();
    let span = info_span!(
        "request",
        otel.name = field::Empty,
        otel.kind = "server",
        otel.status_code = field::Empty,
        trace_id = field::Empty,
        request.id = id.to_str().unwrap_or_default(),
        http.request.method = %request.method(),
        http.route = route,
        url.path = request.uri().path(),
        http.response.status_code = field::Empty,
        window = field::Empty,
        aggregate = field::Empty,
    );
    if telemetry::is_recording() {
        telemetry::continue_trace(&span, request.headers());
        span.record("otel.name", format!("{} {route}", request.method()));
        note_question(&span, request.uri().query().unwrap_or_default());
    }
    let traceparent = telemetry::traceparent(&span);
    let mut ending = Ending::begin(metrics, route, span.clone());
    let mut response = next.run(request).instrument(span).await;
    ending.code = response.status().as_u16();
    response.headers_mut().insert(REQUEST_ID, id);
    if let Some(traceparent) = traceparent {
        response.headers_mut().insert(TRACEPARENT, traceparent);
    }
    response.map(|inner| Body::new(Observed { inner, ending }))
}

/// What is asked about, as the client wrote it, so that traces can be found by it.
fn note_question(span: &Span, query: &str) {
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if matches!(name.as_ref(), "window" | "aggregate") {
            let value: String = value.chars().take(LONGEST_NOTE).collect();
            span.record(name.as_ref(), value);
        }
    }
}

/// The caller's, if it looks like one, else a new one.
fn request_id(request: &Request) -> HeaderValue {
    request
        .headers()
        .get(&REQUEST_ID)
        .filter(|id| (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic))
        .cloned()
        .or_else(|| HeaderValue::try_from(Uuid::now_v7().to_string()).ok())
        .unwrap_or(HeaderValue::from_static(NO_ROUTE))
}

/// Counts the request when dropped: at the end of the answer, or when the client has gone.
struct Ending {
    metrics: GatewayMetrics,
    route: String,
    span: Span,
    started: Instant,
    code: u16,
}

/// What counts for a request whose client left before there was an answer, as nginx has it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Ending {
    fn begin(metrics: GatewayMetrics, route: String, span: Span) -> Self {
        metrics.begin();
        Self {
            metrics,
            route,
            span,
            started: Instant::now(),
            code: CLIENT_CLOSED_REQUEST,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        self.metrics.end(&self.route, self.code, duration);
        let (code, duration_ms) = (self.code, duration.as_millis());
        self.span.record("http.response.status_code", code);
        if code >= 500 {
            self.span.record("otel.status_code", "ERROR");
        }
        self.span
            .in_scope(|| tracing::debug!(code, duration_ms, "request ended"));
    }
}

/// An answer's body that keeps its request's span, and ends it.
struct Observed {
    inner: Body,
    ending: Ending,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let _entered = this.ending.span.enter();
        Pin::new(&mut this.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

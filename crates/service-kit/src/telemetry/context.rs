//! The context of a trace, from one service to the next: the W3C's `traceparent` and `tracestate`.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Whether the process's subscriber records traces. Belongs to that one global, so that everything below costs one
/// look at it when they are off.
static RECORDING: AtomicBool = AtomicBool::new(false);

/// The header that carries a trace's and a span's id.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub(super) fn begin() {
    RECORDING.store(true, Ordering::Relaxed);
}

/// Whether spans are recorded at all.
pub fn is_recording() -> bool {
    RECORDING.load(Ordering::Relaxed)
}

/// Makes `span`, which must be new, a child of the span that the headers name, and notes the trace's id in its field
/// `trace_id`, so that each line that is logged in it has the id.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    if is_recording() {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        // It fails when the span has begun already or is not recorded; then it stays the root of its trace.
        let _is_root = span.set_parent(parent);
        note_trace(span);
    }
}

/// Notes the trace's id in the field `trace_id` of a span that begins a trace.
pub fn note_trace(span: &Span) {
    if let Some(id) = trace_id(span) {
        span.record("trace_id", field::display(id));
    }
}

/// The id of the trace that a span belongs to, as 32 hexadecimal digits; `None` while traces are off.
pub fn trace_id(span: &Span) -> Option<String> {
    if !is_recording() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// Notes how a call ended in the span of either side of it. What the caller did wrong is no error of the server, by the
/// conventions of OpenTelemetry, and to read what is not there is none of the caller's either.
pub(crate) fn note_rpc_end(span: &Span, code: Code) {
    span.record("rpc.grpc.status_code", code as i32);
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        span.record("otel.status_code", "ERROR");
    }
}

/// Adds the context of `span` to the headers of a request.
pub fn inject(span: &Span, headers: &mut HeaderMap) {
    if is_recording() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(headers));
    }
}

/// What a server answers as `traceparent`: the span in which it answered. `None` while traces are off.
pub fn traceparent(span: &Span) -> Option<HeaderValue> {
    if !is_recording() {
        return None;
    }
    let mut headers = HeaderMap::new();
    inject(span, &mut headers);
    headers.remove(TRACEPARENT)
}

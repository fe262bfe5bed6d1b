//! `/`: what there is, and how far ingest has come.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};

const PAGE: &str = include_str!("../start_page/index.html");
const STYLE: &str = include_str!("../start_page/start.css");
const SCRIPT: &str = include_str!("../start_page/start.js");

/// Nothing but our own three files and our own API.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
// A new version of the service is seen at the next visit.
const NO_CACHE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));

pub(crate) async fn page() -> Response {
    file("text/html; charset=utf-8", PAGE)
}

pub(crate) async fn style() -> Response {
    file("text/css; charset=utf-8", STYLE)
}

pub(crate) async fn script() -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let referrer = (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    (
        [kind, NO_CACHE, referrer, (header::CONTENT_SECURITY_POLICY, POLICY)],
        text,
    )
        .into_response()
}

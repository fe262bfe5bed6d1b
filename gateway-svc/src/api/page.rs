//! Our own pages: a file each of HTML, CSS and JavaScript, and nothing from other hosts.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};

/// Nothing but our own files and our own API.
pub(crate) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
// A new version of the service is seen at the next visit.
pub(crate) const NO_CACHE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));

pub(crate) fn html(text: impl Into<Cow<'static, str>>) -> Response {
    file("text/html; charset=utf-8", text.into())
}

pub(crate) fn css(text: &'static str) -> Response {
    file("text/css; charset=utf-8", text.into())
}

pub(crate) fn javascript(text: &'static str) -> Response {
    file("text/javascript; charset=utf-8", text.into())
}

pub(crate) const NO_REFERRER: (HeaderName, HeaderValue) =
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));

fn file(kind: &'static str, text: Cow<'static, str>) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    (
        [kind, NO_CACHE, NO_REFERRER, (header::CONTENT_SECURITY_POLICY, POLICY)],
        text,
    )
        .into_response()
}

//! `/`: the web page of `ui/`, when it was built before this program; otherwise a page that says how to build it.

use axum::{
    body::Body,
    extract::Path,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use rust_embed::{Embed, EmbeddedFile};

use super::{
    page::{NO_CACHE, NO_REFERRER, POLICY},
    start_page,
};
use crate::error::ApiError;

/// What `make ui` builds: each file as it is, and packed beside it with `.br` and `.gz` after its name.
#[derive(Embed)]
#[folder = "../ui/built/page"]
#[allow_missing = true]
struct Built;

const INDEX: &str = "index.html";

/// Files under `/static` have a hash of their content in their names.
const IMMUTABLE: (HeaderName, HeaderValue) = (
    header::CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=31536000, immutable"),
);

/// The packings, the smallest first, by the name that HTTP has for them and what ends a file's name.
const PACKINGS: [(&str, &str); 2] = [("br", "br"), ("gzip", "gz")];

/// True when the page was there when this program was built.
pub(crate) fn is_built() -> bool {
    Built::get(INDEX).is_some()
}

pub(crate) async fn index(headers: HeaderMap) -> Response {
    match packed(INDEX, &headers) {
        Some(file) => (NO_CACHE_AND_POLICY, file.into_response(&headers)).into_response(),
        None => start_page::without_web_page(),
    }
}

pub(crate) async fn file(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    match packed(&format!("static/{name}"), &headers) {
        Some(file) => Ok(([IMMUTABLE], file.into_response(&headers)).into_response()),
        None => Err(ApiError::NotFound {
            path: uri.path().to_owned(),
        }),
    }
}

const NO_CACHE_AND_POLICY: [(HeaderName, HeaderValue); 3] =
    [NO_CACHE, NO_REFERRER, (header::CONTENT_SECURITY_POLICY, POLICY)];

/// A file as it is sent.
struct Packed {
    file: EmbeddedFile,
    kind: &'static str,
    packing: Option<&'static str>,
}

/// The smallest form of the file that the client takes.
fn packed(name: &str, headers: &HeaderMap) -> Option<Packed> {
    let kind = kind(name)?;
    let smaller = PACKINGS.into_iter().find_map(|(packing, ending)| {
        let file = takes(headers, packing).then(|| Built::get(&format!("{name}.{ending}")))??;
        Some((file, Some(packing)))
    });
    let (file, packing) = match smaller {
        Some(found) => found,
        None => (Built::get(name)?, None),
    };
    Some(Packed { file, kind, packing })
}

/// What the page consists of; nothing else is served.
fn kind(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

/// True when the client takes the packing: it names it, and not to say that it does not.
fn takes(headers: &HeaderMap, packing: &str) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(packing));
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            is_named && weight.is_none_or(|weight| weight > 0.0)
        })
}

impl Packed {
    fn into_response(self, request: &HeaderMap) -> Response {
        let hash = self.file.metadata.sha256_hash();
        let tag = hash[..12]
            .iter()
            .fold(String::from("\""), |tag, byte| format!("{tag}{byte:02x}"))
            + "\"";
        let is_known = request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag);
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Body::from(match self.file.data {
                std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
            })
            .into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        if !is_known {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
            if let Some(packing) = self.packing {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(packing));
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn packings_are_taken_when_they_are_named() {
        for (value, packing, expected) in [
            ("gzip, deflate, br", "br", true),
            ("gzip, BR;q=0.5", "br", true),
            ("gzip, br;q=0", "br", false),
            ("gzip, br; q=0.0", "br", false),
            ("gzip", "br", false),
            ("brotli", "br", false),
        ] {
            let headers = asking(header::ACCEPT_ENCODING, value);
            assert_eq!(takes(&headers, packing), expected, "{value}");
        }
        assert!(!takes(&HeaderMap::new(), "gzip"));
    }

    #[test]
    fn only_what_a_page_consists_of_is_served() {
        assert_eq!(kind("index.html"), Some("text/html; charset=utf-8"));
        assert_eq!(kind("static/a-1.js"), Some("text/javascript; charset=utf-8"));
        for name in ["static/a.js.br", "static/a", "", "static/a.map"] {
            assert_eq!(kind(name), None, "{name}");
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let file = || Packed {
            file: EmbeddedFile {
                data: b"body".as_slice().into(),
                metadata: rust_embed::Metadata::__rust_embed_new([7; 32], None, None),
            },
            kind: "text/css; charset=utf-8",
            packing: Some("br"),
        };
        let response = file().into_response(&HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "br");
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
        let tag = response.headers()[header::ETAG].clone();
        assert_eq!(tag, "\"070707070707070707070707\"");
        for known in [
            "\"070707070707070707070707\"",
            "\"x\", W/\"070707070707070707070707\"",
            "*",
        ] {
            let response = file().into_response(&asking(header::IF_NONE_MATCH, known));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[header::ETAG], tag);
        }
        let response = file().into_response(&asking(header::IF_NONE_MATCH, "\"other\""));
        assert_eq!(response.status(), StatusCode::OK);
    }
}

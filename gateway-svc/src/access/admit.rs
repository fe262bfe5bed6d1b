//! Letting requests in: who asks, what the path needs, and whether a browser asks of its own accord.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::task::spawn_blocking;
use url::Url;

use super::{
    Access, Caller, Known, Means, Need,
    audit::{self, Outcome},
    roles::Holder,
    tokens::{TokenRefused, Tokens},
    trusted_header::HeaderRefused,
};
use crate::{Gateway, api, error::ApiError};

/// Where the request's connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// By which Kubecost's clients send a key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// By which browsers say who made them ask; no page can set it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why somebody is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKnown {
    /// There is nothing to know it by.
    #[error("no credentials were sent")]
    Nothing,
    #[error(transparent)]
    Token(#[from] TokenRefused),
    #[error("API tokens are not taken here")]
    NoTokens,
    #[error(transparent)]
    Header(#[from] HeaderRefused),
}

/// Lets a request in, or not. What it lets in has a [`Caller`].
pub(crate) async fn admit(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let access = Arc::clone(&gateway.access);
    if access.is_open() {
        request.extensions_mut().insert(Arc::new(Caller::anybody()));
        return next.run(request).await;
    }
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let need = api::need(route, request.method());
    let peer = request.extensions().get::<Peer>().map(|Peer(address)| address.ip());
    let known = identify(&access, request.headers(), peer).await;
    let (caller, why) = match known {
        Ok(caller) => (Some(Arc::new(caller)), None),
        Err(why) => (None, Some(why)),
    };
    if need == Need::Nothing {
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        return next.run(request).await;
    }
    let record = audit::Record::of(&request);
    let refused = match (&caller, why) {
        (None, why) => Some(ApiError::NotSignedIn {
            why: why.unwrap_or(NotKnown::Nothing).to_string(),
            people: access.oidc().is_some(),
        }),
        (Some(caller), _) => check(caller, need).or_else(|| check_intent(caller, need, &request)),
    };
    if let Some(error) = refused {
        record.write(
            &access,
            caller.as_deref(),
            error.status(),
            Outcome::Denied(&error.to_string()),
        );
        return private(error.into_response());
    }
    if let Some(caller) = &caller {
        request.extensions_mut().insert(Arc::clone(caller));
    }
    let response = next.run(request).await;
    record.write(&access, caller.as_deref(), response.status(), Outcome::Answered);
    private(response)
}

/// What is for one person must not be kept for others, by a proxy in between.
fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-cache"));
    headers.append(
        header::VARY,
        HeaderValue::from_static("Cookie, Authorization, X-API-KEY"),
    );
    response
}

/// Who asks. A token that is sent is looked at first, and its refusal is final.
async fn identify(access: &Arc<Access>, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Caller, NotKnown> {
    if let Some(token) = token(headers) {
        return by_token(access, token).await;
    }
    match &access.people {
        Known::Open => Ok(Caller::anybody()),
        Known::Nobody => Err(NotKnown::Nothing),
        Known::Oidc(_, sessions) => {
            let session = sessions
                .signed_in(headers, Utc::now().timestamp())
                .ok_or(NotKnown::Nothing)?;
            let holder = Holder::Person {
                user: &session.user,
                groups: &session.groups,
            };
            Ok(Caller {
                means: Means::Session,
                rights: access.roles.rights(holder),
                user: session.user,
                name: session.name,
                groups: session.groups,
                until: Some(session.until),
            })
        }
        Known::TrustedHeader(trusted) => {
            let named = trusted.named(headers, peer)?.ok_or(NotKnown::Nothing)?;
            let holder = Holder::Person {
                user: &named.user,
                groups: &named.groups,
            };
            Ok(Caller {
                means: Means::Proxy,
                rights: access.roles.rights(holder),
                name: named.user.clone(),
                user: named.user,
                groups: named.groups,
                until: None,
            })
        }
    }
}

/// A token that was sent, in either way. Other credentials are not ours, and left alone.
fn token(headers: &HeaderMap) -> Option<String> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::trim).map(str::to_owned);
    let bearer = headers.get(header::AUTHORIZATION).and_then(text).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    let key = || headers.get(&API_KEY).and_then(text);
    // Clients of Kubecost may send a key that it never looked at.
    bearer.or_else(|| key().filter(|key| Tokens::is_token(key)))
}

async fn by_token(access: &Arc<Access>, token: String) -> Result<Caller, NotKnown> {
    if access.tokens.is_none() {
        return Err(NotKnown::NoTokens);
    }
    let access = Arc::clone(access);
    // It may read the file.
    let found = spawn_blocking(move || {
        let tokens = access.tokens.as_ref().ok_or(NotKnown::NoTokens)?;
        let record = tokens.find(&token, Utc::now())?;
        Ok(Caller {
            means: Means::Token,
            rights: access.roles.rights(Holder::Token { name: &record.name }),
            name: record.name.clone(),
            user: record.name,
            groups: Vec::new(),
            until: record.expires.map(|expires| expires.timestamp()),
        })
    });
    found.await.unwrap_or(Err(NotKnown::Token(TokenRefused::Unreadable)))
}

/// Whether somebody may do what a path is for.
fn check(caller: &Caller, need: Need) -> Option<ApiError> {
    let rights = &caller.rights;
    let lacks = |what: &'static str| {
        Some(ApiError::Forbidden {
            who: caller.name.clone(),
            what,
        })
    };
    match need {
        Need::Nothing => None,
        Need::View if rights.view.is_nothing() => lacks("see costs"),
        Need::ViewAll if !rights.view.is_everything() && !rights.operate.is_everything() => {
            lacks("see what is told of all clusters together")
        }
        Need::Save if !rights.save || rights.view.is_nothing() => lacks("save views"),
        Need::Operate if rights.operate.is_nothing() => lacks("have files read again"),
        Need::View | Need::ViewAll | Need::Save | Need::Operate => None,
    }
}

/// Whether a browser that changes something does so for our own page, or for who typed the address, rather than for a
/// page of another host.
fn check_intent(caller: &Caller, need: Need, request: &Request) -> Option<ApiError> {
    let is_change = matches!(need, Need::Save | Need::Operate) || !is_safe(request.method());
    if !is_change || !caller.is_ambient() {
        return None;
    }
    let headers = request.headers();
    let is_own = match headers.get(&FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(site) => matches!(site, b"same-origin" | b"none"),
        // Browsers say it over TLS and to this machine; elsewhere, they may say from where alone.
        None => is_own_origin(headers),
    };
    (!is_own).then_some(ApiError::OtherSite)
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_own_origin(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else {
        return false;
    };
    Url::parse(origin).is_ok_and(|origin| origin[url::Position::BeforeHost..url::Position::AfterPort] == *host)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn caller(means: Means) -> Caller {
        Caller {
            means,
            ..Caller::anybody()
        }
    }

    #[test]
    fn pages_of_other_hosts_change_nothing() {
        let refused = |means, method: Method, need, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri("/x");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            check_intent(&caller(means), need, &request.body(Body::empty()).unwrap()).is_some()
        };
        let host = ("host", "costs.example.org:9090");
        for (headers, expected) in [
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "same-site")], true),
            (vec![("sec-fetch-site", "cross-site"), host], true),
            (
                vec![
                    ("sec-fetch-site", "cross-site"),
                    host,
                    ("origin", "http://costs.example.org:9090"),
                ],
                true,
            ),
            (vec![host, ("origin", "http://costs.example.org:9090")], false),
            (vec![host, ("origin", "http://costs.example.org")], true),
            (vec![host, ("origin", "https://evil.example")], true),
            (vec![host, ("origin", "null")], true),
            (vec![host], true),
        ] {
            for (method, need) in [
                (Method::GET, Need::Operate),
                (Method::PUT, Need::Save),
                (Method::POST, Need::View),
            ] {
                assert_eq!(
                    refused(Means::Session, method.clone(), need, &headers),
                    expected,
                    "{headers:?}"
                );
                assert_eq!(
                    refused(Means::Proxy, method.clone(), need, &headers),
                    expected,
                    "{headers:?}"
                );
                // A token is sent by who has it, and by nobody else's doing.
                assert!(!refused(Means::Token, method, need, &headers));
            }
            assert!(!refused(Means::Session, Method::GET, Need::View, &headers));
        }
    }

    #[test]
    fn tokens_are_found_where_clients_put_them() {
        for (name, value, expected) in [
            ("authorization", "Bearer fct_a_b", Some("fct_a_b")),
            ("authorization", "bearer  other", Some("other")),
            ("authorization", "Basic fct_a_b", None),
            ("x-api-key", "fct_a_b", Some("fct_a_b")),
            ("x-api-key", "unused", None),
        ] {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            assert_eq!(token(&headers).as_deref(), expected, "{name}: {value}");
        }
    }
}

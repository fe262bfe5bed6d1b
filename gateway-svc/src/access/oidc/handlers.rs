//! `/auth/login`, `/auth/callback` and `/auth/logout`.

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    SIGN_IN_LASTS, Session, SignInError,
    provider::{Person, Provider},
    session::Sessions,
};
use crate::{
    Gateway,
    access::{Access, audit},
    error::ApiError,
};

/// The longest address that people are sent back to; it travels in a cookie.
const LONGEST_BACK: usize = 1500;

#[derive(Debug, Deserialize)]
pub(crate) struct Login {
    /// Where to go on, within this host.
    back: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Callback {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

fn oidc(access: &Access) -> Result<(&Provider, &Sessions), ApiError> {
    let oidc = access.oidc().ok_or(SignInError::Off)?;
    Ok(oidc)
}

/// A path of this host, with what follows it; the page's own otherwise.
fn within(back: Option<&str>) -> String {
    // Read as a browser reads it: `//other`, `/\other` and the like are other hosts.
    let here = || Url::parse("http://here.invalid/").ok();
    let path = back
        .filter(|back| back.starts_with('/') && back.len() <= LONGEST_BACK)
        .and_then(|back| {
            let (base, url) = (here()?, here()?.join(back).ok()?);
            (url.origin() == base.origin()).then(|| url[url::Position::BeforePath..].to_owned())
        });
    path.filter(|path| !path.starts_with("//"))
        .unwrap_or_else(|| "/".to_owned())
}

fn redirect(to: &str, cookies: impl IntoIterator<Item = Option<HeaderValue>>) -> Result<Response, ApiError> {
    let to = HeaderValue::try_from(to).map_err(|_| SignInError::NotBelieved)?;
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies.into_iter().flatten() {
        headers.append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Sends somebody to the issuer.
pub(crate) async fn login(State(gateway): State<Gateway>, Query(login): Query<Login>) -> Result<Response, ApiError> {
    let (provider, sessions) = oidc(&gateway.access)?;
    let until = Utc::now().timestamp() + SIGN_IN_LASTS;
    let (url, begun) = provider.begin(within(login.back.as_deref()), until).await?;
    redirect(url.as_str(), [sessions.begin(&begun)])
}

/// Where the issuer sends people back to.
pub(crate) async fn callback(
    State(gateway): State<Gateway>,
    Query(callback): Query<Callback>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (provider, sessions) = oidc(&gateway.access)?;
    let signed_in = finish(provider, sessions, callback, &headers).await;
    let (person, back) = signed_in.inspect_err(|error| audit::not_signed_in(&gateway.access, error))?;
    let lifetime = i64::try_from(provider.config().session.as_secs()).unwrap_or_default();
    let session = Session::new(person, Utc::now().timestamp() + lifetime, |group| {
        gateway.access.names_group(group)
    });
    audit::signed_in(&gateway.access, &session.user, &session.groups);
    redirect(&back, [sessions.sign_in(&session, lifetime), sessions.forget_begun()])
}

async fn finish(
    provider: &Provider,
    sessions: &Sessions,
    callback: Callback,
    headers: &HeaderMap,
) -> Result<(Person, String), SignInError> {
    let begun = sessions
        .begun(headers, Utc::now().timestamp())
        .filter(|begun| callback.state.as_deref() == Some(begun.state.as_str()))
        .ok_or(SignInError::NotBegun)?;
    if let Some(error) = callback.error {
        let said = callback.error_description.unwrap_or(error);
        let said: String = said.chars().filter(|letter| !letter.is_control()).take(200).collect();
        return Err(SignInError::Refused(said));
    }
    let code = callback.code.ok_or(SignInError::NotBegun)?;
    let person = provider.finish(code, &begun).await?;
    Ok((person, within(Some(&begun.back))))
}

#[derive(Serialize)]
struct SignedOut {
    /// Where to go on.
    to: String,
}

/// Forgets the session, and says where the browser goes on.
pub(crate) async fn logout(State(gateway): State<Gateway>) -> Result<Response, ApiError> {
    let (provider, sessions) = oidc(&gateway.access)?;
    let to = provider.sign_out().await.map_or_else(|| "/".to_owned(), Into::into);
    let mut response = Json(SignedOut { to }).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = sessions.sign_out() {
        headers.append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_host() {
        for (back, expected) in [
            (Some("/"), "/"),
            (Some("/?view=assets&by=type#x"), "/?view=assets&by=type#x"),
            (Some("/a/../b"), "/b"),
            (None, "/"),
            (Some(""), "/"),
            (Some("assets"), "/"),
            (Some("https://evil.example/"), "/"),
            (Some("//evil.example/"), "/"),
            (Some("/\\evil.example/"), "/"),
            (Some("/\t/evil.example/"), "/"),
            (Some("/\n/evil.example/"), "/"),
            (Some("/.//evil.example"), "/"),
            (Some("javascript:alert(1)"), "/"),
        ] {
            assert_eq!(within(back), expected, "{back:?}");
        }
        assert_eq!(within(Some(&format!("/?{}", "x".repeat(LONGEST_BACK)))), "/");
    }
}

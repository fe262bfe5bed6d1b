//! `/auth/me`: who is signed in, for the web page.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, SecondsFormat};
use http::{HeaderValue, header};
use serde::Serialize;

use super::{Caller, Known, Means};
use crate::Gateway;

/// Who is signed in, and what the page offers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Who {
    /// `open`, `oidc`, `trusted-header` or `tokens`.
    mode: &'static str,
    /// Where to be signed in; none where that is not the gateway's matter.
    sign_in: Option<&'static str>,
    /// Where to be signed out.
    sign_out: Option<&'static str>,
    /// None for who is not known, and where nobody is.
    user: Option<User>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User {
    name: String,
    id: String,
    roles: Vec<String>,
    /// Whether there are costs that it does not see.
    limited: bool,
    /// Whether it sees any costs.
    views: bool,
    saves: bool,
    operates: bool,
    /// When the session ends.
    until: Option<String>,
}

impl User {
    fn of(caller: &Caller) -> Self {
        let until = caller.until.and_then(|until| DateTime::from_timestamp(until, 0));
        Self {
            name: caller.name.clone(),
            id: caller.user.clone(),
            roles: caller.rights.roles.clone(),
            limited: !caller.sees_everything(),
            views: !caller.rights.view.is_nothing(),
            saves: caller.rights.save,
            operates: !caller.rights.operate.is_nothing(),
            until: until.map(|until| until.to_rfc3339_opts(SecondsFormat::Secs, true)),
        }
    }
}

/// Who asks. Answered to everybody, so that a page can find out how people are signed in.
pub(crate) async fn who(State(gateway): State<Gateway>, caller: Option<Extension<Arc<Caller>>>) -> Response {
    let (mode, sign_in, sign_out) = match gateway.access.people {
        Known::Open => ("open", None, None),
        Known::Nobody => ("tokens", None, None),
        Known::Oidc(..) => ("oidc", Some("/auth/login"), Some("/auth/logout")),
        Known::TrustedHeader(_) => ("trusted-header", None, None),
    };
    let caller = caller.map(|Extension(caller)| caller);
    let who = Who {
        mode,
        sign_in,
        sign_out: sign_out.filter(|_| caller.as_ref().is_some_and(|caller| caller.means == Means::Session)),
        user: caller
            .filter(|caller| caller.means != Means::Open)
            .map(|caller| User::of(&caller)),
    };
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    ([no_store], Json(who)).into_response()
}

//! People who are signed in by an OpenID Connect issuer: the authorization code flow with PKCE and a nonce.
//!
//! What the issuer said is kept in a cookie of the person's browser, which only gateways with the same key can read or
//! write. So gateways need no common store.

mod config;
mod handlers;
mod provider;
mod session;

pub(super) use self::{
    config::{OidcConfig, RawOidc},
    session::{SIGN_IN_LASTS, Session, Sessions},
};
pub(crate) use self::{
    handlers::{callback, login, logout},
    provider::{Provider, SignInError},
};

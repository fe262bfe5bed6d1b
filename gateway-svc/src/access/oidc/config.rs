//! The issuer, who we are to it, and what it says of people.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use service_kit::{config::ConfigError, tls::check_authorities};
use url::Url;

use super::super::config::Place;

/// How long people stay signed in unless told.
const SESSION: Duration = Duration::from_secs(8 * 3600);
/// The longest that they may.
const LONGEST_SESSION: Duration = Duration::from_secs(30 * 24 * 3600);

/// The least that a key of sessions must hold, in bytes.
const SHORTEST_KEY: usize = 32;

/// Where the issuer sends people back to.
pub(in crate::access) const CALLBACK: &str = "/auth/callback";

/// A text that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// An issuer, fit for use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::access) struct OidcConfig {
    pub(super) issuer: Url,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    pub(super) redirect_url: Url,
    pub(super) post_logout_redirect_url: Option<Url>,
    pub(super) sign_out_at_issuer: bool,
    pub(super) scopes: Vec<String>,
    pub(super) user_claim: String,
    pub(super) name_claim: String,
    pub(super) groups_claim: Option<String>,
    /// PEM of the authorities that vouch for the issuer, beside those of the system.
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) session: Duration,
    /// From which the key of sessions comes; one of this process alone when not given.
    pub(super) session_key: Option<Secret>,
}

impl OidcConfig {
    /// Whether browsers reach us by TLS, by which cookies can be kept from all else.
    pub(super) fn is_secure(&self) -> bool {
        self.redirect_url.scheme() == "https"
    }
}

/// The issuer as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::access) struct RawOidc {
    issuer: String,
    client_id: String,
    client_secret_file: Option<PathBuf>,
    client_secret_env: Option<String>,
    redirect_url: String,
    post_logout_redirect_url: Option<String>,
    #[serde(default = "yes")]
    sign_out_at_issuer: bool,
    #[serde(default = "scopes")]
    scopes: Vec<String>,
    #[serde(default = "user_claim")]
    user_claim: String,
    #[serde(default = "name_claim")]
    name_claim: String,
    groups_claim: Option<String>,
    ca: Option<PathBuf>,
    #[serde(default)]
    session: RawSession,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSession {
    #[serde(with = "service_kit::config::duration")]
    lifetime: Duration,
    key_file: Option<PathBuf>,
    key_env: Option<String>,
}

impl Default for RawSession {
    fn default() -> Self {
        Self {
            lifetime: SESSION,
            key_file: None,
            key_env: None,
        }
    }
}

fn yes() -> bool {
    true
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn user_claim() -> String {
    "sub".to_owned()
}

fn name_claim() -> String {
    "name".to_owned()
}

/// An address of https, or of this machine.
fn address(place: &Place<'_>, text: &str) -> Result<Url, ConfigError> {
    let allowed = "an address of https, or of http on a loopback address";
    let url: Url = text
        .parse()
        .map_err(|error| place.invalid(format!("{text:?} ({error})"), allowed))?;
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let is_fit = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback,
        _ => false,
    };
    if !is_fit || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(place.invalid(format!("{text:?}"), allowed));
    }
    Ok(url)
}

impl RawOidc {
    pub(in crate::access) fn validate(self, place: &Place<'_>) -> Result<OidcConfig, ConfigError> {
        let redirect = place.at("redirect_url");
        let redirect_url = address(&redirect, &self.redirect_url)?;
        if redirect_url.path() != CALLBACK || redirect_url.query().is_some() {
            return Err(redirect.invalid(
                format!("{:?}", self.redirect_url),
                format!("the address at which browsers reach the gateway, with the path {CALLBACK}"),
            ));
        }
        for (key, text) in [
            ("client_id", &self.client_id),
            ("user_claim", &self.user_claim),
            ("name_claim", &self.name_claim),
        ] {
            if text.trim().is_empty() {
                return Err(place.at(key).invalid("nothing", "a name"));
            }
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            let found = format!("{:?}", self.scopes);
            return Err(place.at("scopes").invalid(found, "scopes of which one is openid"));
        }
        let post_logout = place.at("post_logout_redirect_url");
        let post_logout_redirect_url = self.post_logout_redirect_url.as_deref();
        let session = place.at("session");
        if !(Duration::from_secs(1)..=LONGEST_SESSION).contains(&self.session.lifetime) {
            let found = format!("{:?}", self.session.lifetime);
            return Err(session.at("lifetime").invalid(found, "1s to 30d"));
        }
        let key_place = session.at("key_file");
        let key = key_place.secret(self.session.key_file.as_deref(), self.session.key_env.as_deref())?;
        if let Some(key) = key.as_ref().filter(|key| key.len() < SHORTEST_KEY) {
            return Err(key_place.invalid(
                format!("{} bytes", key.len()),
                format!("{SHORTEST_KEY} or more, such as `openssl rand -base64 48` gives"),
            ));
        }
        let secret_place = place.at("client_secret_file");
        let secret = secret_place.secret(self.client_secret_file.as_deref(), self.client_secret_env.as_deref())?;
        Ok(OidcConfig {
            issuer: address(&place.at("issuer"), &self.issuer)?,
            client_id: self.client_id,
            client_secret: secret.map(Secret),
            redirect_url,
            post_logout_redirect_url: post_logout_redirect_url
                .map(|text| address(&post_logout, text))
                .transpose()?,
            sign_out_at_issuer: self.sign_out_at_issuer,
            scopes: self.scopes,
            user_claim: self.user_claim,
            name_claim: self.name_claim,
            groups_claim: self.groups_claim.filter(|claim| !claim.trim().is_empty()),
            authorities: self.ca.map(|path| authorities(&place.at("ca"), &path)).transpose()?,
            session: self.session.lifetime,
            session_key: key.map(Secret),
        })
    }
}

fn authorities(place: &Place<'_>, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let allowed = "a PEM file of the authorities that vouch for the issuer";
    let text = std::fs::read(path).map_err(|error| place.invalid(format!("{} ({error})", path.display()), allowed))?;
    check_authorities(path, &text, SystemTime::now()).map_err(|error| place.invalid(error.to_string(), allowed))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use service_kit::config::parse_yaml;

    use super::*;

    const FILE: &str =
        "issuer: https://id.example.org\nclient_id: costs\nredirect_url: https://costs.example.org/auth/callback\n";

    fn load(text: &str) -> Result<OidcConfig, String> {
        let path = Path::new("gateway.yaml");
        parse_yaml::<RawOidc>(path, text)
            .and_then(|raw| raw.validate(&Place::new(path, "access.oidc")))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn little_has_to_be_said() {
        let config = load(FILE).unwrap();
        assert!(config.is_secure() && config.client_secret.is_none() && config.sign_out_at_issuer);
        assert_eq!((config.session, config.user_claim.as_str()), (SESSION, "sub"));
        let here = FILE.replace("https://costs.example.org", "http://127.0.0.1:9090");
        assert!(!load(&here).unwrap().is_secure());
    }

    #[test]
    fn secrets_come_from_files_and_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, key) = (folder.path().join("secret"), folder.path().join("key"));
        std::fs::write(&secret, "hush-hush\n").unwrap();
        std::fs::write(&key, "k".repeat(31)).unwrap();
        let with = |more: String| load(&format!("{FILE}{more}"));
        let config = with(format!("client_secret_file: {}", secret.display())).unwrap();
        assert_eq!(config.client_secret.as_ref().unwrap().0, "hush-hush");
        assert!(!format!("{config:?}").contains("hush"));
        let error = with(format!("session: {{key_file: {}}}", key.display())).unwrap_err();
        assert!(
            error.contains("access.oidc.session.key_file: found 31 bytes"),
            "{error}"
        );
        let error = with("client_secret_env: FEDCOST_NOT_SET_ANYWHERE".to_owned()).unwrap_err();
        assert!(error.contains("FEDCOST_NOT_SET_ANYWHERE, which is not set"), "{error}");
    }

    #[test]
    fn errors_name_the_key() {
        for (from, to, expected) in [
            (
                "https://id.",
                "http://id.",
                "access.oidc.issuer: found \"http://id.example.org\"",
            ),
            ("https://id.", "ftp://id.", "access.oidc.issuer"),
            ("/auth/callback", "/", "access.oidc.redirect_url: found"),
            ("/auth/callback", "/auth/callback#a", "access.oidc.redirect_url: found"),
            ("https://costs.", "http://costs.", "access.oidc.redirect_url: found"),
            (
                "client_id: costs",
                "client_id: ''",
                "access.oidc.client_id: found nothing",
            ),
            (
                "client_id: costs",
                "client_id: costs\nscopes: [email]",
                "access.oidc.scopes",
            ),
            (
                "client_id: costs",
                "client_id: costs\nsession: {lifetime: 31d}",
                "access.oidc.session.lifetime",
            ),
            (
                "client_id: costs",
                "client_id: costs\nca: /nowhere.pem",
                "access.oidc.ca: found /nowhere.pem",
            ),
            (
                "client_id: costs",
                "client_id: costs\nclient_secret: a",
                "unknown field `client_secret`",
            ),
        ] {
            let message = load(&FILE.replace(from, to)).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}

//! The part of the service's file that says who may see what.

use std::{
    collections::BTreeSet,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use http::HeaderName;
use ipnet::IpNet;
use serde::Deserialize;
use service_kit::config::{ConfigError, load_yaml};

use super::{
    oidc::{OidcConfig, RawOidc},
    roles::{RawRole, Role, Roles},
    trusted_header::TrustedHeader,
};

/// Who may see what, fit for use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessConfig {
    pub(super) people: People,
    /// The file of API tokens.
    pub(super) tokens: Option<PathBuf>,
    pub(super) roles: Roles,
    /// The file of the audit log.
    pub(super) audit: Option<PathBuf>,
}

/// How people are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum People {
    /// They are not: everybody sees everything.
    #[default]
    Open,
    /// They are not, and see nothing: there are API tokens alone.
    Nobody,
    /// By an issuer's word, which it gives to their browsers.
    Oidc(Box<OidcConfig>),
    /// By a proxy's word, in headers.
    TrustedHeader(TrustedHeader),
}

impl AccessConfig {
    /// Everybody sees everything.
    #[must_use]
    pub fn open() -> Self {
        Self::default()
    }

    /// Reads a file that holds what stands under `access` in the gateway's.
    ///
    /// # Errors
    /// When it cannot be read or used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        load_yaml::<RawAccess>(path)?.validate(path, "")
    }

    /// Whether everybody sees everything.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.people == People::Open
    }

    /// Access for a gateway that listens here when its file says nothing of it: open to this machine alone.
    ///
    /// # Errors
    /// When others could reach it.
    pub fn unless_given(listen: SocketAddr, path: &Path) -> Result<Self, ConfigError> {
        if listen.ip().to_canonical().is_loopback() {
            return Ok(Self::open());
        }
        Err(ConfigError::Invalid {
            path: path.to_owned(),
            key: "access".to_owned(),
            found: format!("nothing, and others can reach {listen}"),
            allowed: "a mode of oidc, trusted-header or tokens with roles (docs/operations/access.md), or \
                      `access: {mode: open}` if everybody who reaches the port may see all costs; on a loopback address \
                      nothing need be said"
                .to_owned(),
        })
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Open,
    Oidc,
    TrustedHeader,
    Tokens,
}

/// The part as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAccess {
    mode: Mode,
    oidc: Option<RawOidc>,
    trusted_header: Option<RawTrustedHeader>,
    tokens: Option<RawTokens>,
    #[serde(default)]
    roles: Vec<RawRole>,
    audit: Option<RawAudit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTrustedHeader {
    user: String,
    groups: Option<String>,
    /// Networks from which the headers are believed.
    peers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTokens {
    file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAudit {
    file: PathBuf,
}

/// Makes errors of the keys below one.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    path: &'a Path,
    key: String,
}

impl<'a> Place<'a> {
    pub(super) fn new(path: &'a Path, key: &str) -> Self {
        Self {
            path,
            key: key.to_owned(),
        }
    }

    pub(super) fn at(&self, key: &str) -> Self {
        let key = if self.key.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.key)
        };
        Self { path: self.path, key }
    }

    pub(super) fn invalid(&self, found: impl Into<String>, allowed: impl Into<String>) -> ConfigError {
        ConfigError::Invalid {
            path: self.path.to_owned(),
            key: self.key.clone(),
            found: found.into(),
            allowed: allowed.into(),
        }
    }

    /// A secret from a file, or from the environment.
    pub(super) fn secret(&self, file: Option<&Path>, variable: Option<&str>) -> Result<Option<String>, ConfigError> {
        let secret = match (file, variable) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(self.invalid("a file and a variable", "one of both")),
            (Some(file), None) => fs::read_to_string(file)
                .map_err(|error| self.invalid(format!("{} ({error})", file.display()), "a file that can be read"))?,
            (None, Some(variable)) => env::var(variable).map_err(|_| {
                self.invalid(
                    format!("{variable}, which is not set"),
                    "an environment variable that is",
                )
            })?,
        };
        let secret = secret.trim();
        if secret.is_empty() {
            return Err(self.invalid("an empty secret", "one that is not empty"));
        }
        Ok(Some(secret.to_owned()))
    }
}

impl RawAccess {
    /// Checks what was read from the file at `path`, where it stands under `key`.
    pub(crate) fn validate(self, path: &Path, key: &str) -> Result<AccessConfig, ConfigError> {
        let place = Place::new(path, key);
        for (mode, key, is_there) in [
            ("oidc", "oidc", self.oidc.is_some()),
            ("trusted-header", "trusted_header", self.trusted_header.is_some()),
        ] {
            let is_of_mode = matches!(
                (self.mode, key),
                (Mode::Oidc, "oidc") | (Mode::TrustedHeader, "trusted_header")
            );
            if is_there && !is_of_mode {
                return Err(place
                    .at(key)
                    .invalid("settings of another mode", format!("none, or mode: {mode}")));
            }
        }
        if matches!(self.mode, Mode::Open) {
            if !self.roles.is_empty() || self.tokens.is_some() || self.audit.is_some() {
                return Err(place.at("mode").invalid(
                    "open, beside roles, tokens or audit",
                    "oidc, trusted-header or tokens, or nothing beside it: where access is open, nobody is told apart",
                ));
            }
            return Ok(AccessConfig::open());
        }
        let missing = |key: &str| {
            place
                .at(key)
                .invalid("nothing", "its settings, as the mode asks for them")
        };
        let people = match self.mode {
            Mode::Open => People::Open,
            Mode::Tokens => People::Nobody,
            Mode::Oidc => {
                let oidc = self.oidc.ok_or_else(|| missing("oidc"))?;
                People::Oidc(Box::new(oidc.validate(&place.at("oidc"))?))
            }
            Mode::TrustedHeader => {
                let header = self.trusted_header.ok_or_else(|| missing("trusted_header"))?;
                People::TrustedHeader(header.validate(&place.at("trusted_header"))?)
            }
        };
        if matches!(self.mode, Mode::Tokens) && self.tokens.is_none() {
            return Err(missing("tokens"));
        }
        let roles = roles(self.roles, &place.at("roles"))?;
        Ok(AccessConfig {
            people,
            tokens: self.tokens.map(|tokens| tokens.file),
            roles,
            audit: self.audit.map(|audit| audit.file),
        })
    }
}

fn roles(raw: Vec<RawRole>, place: &Place<'_>) -> Result<Roles, ConfigError> {
    if raw.is_empty() {
        return Err(place.invalid("none", "at least one: whoever holds no role sees nothing"));
    }
    let mut names = BTreeSet::new();
    let mut roles: Vec<Role> = Vec::with_capacity(raw.len());
    for (at, raw) in raw.into_iter().enumerate() {
        let place = place.at(&at.to_string());
        let role = raw
            .validate()
            .map_err(|(key, found, allowed)| place.at(key).invalid(found, allowed))?;
        if !names.insert(role.name.clone()) {
            return Err(place
                .at("name")
                .invalid(format!("{:?} again", role.name), "a name of its own for each role"));
        }
        roles.push(role);
    }
    Ok(Roles::new(roles))
}

impl RawTrustedHeader {
    fn validate(self, place: &Place<'_>) -> Result<TrustedHeader, ConfigError> {
        let header = |key: &str, text: &str| {
            text.parse::<HeaderName>()
                .map_err(|_| place.at(key).invalid(format!("{text:?}"), "the name of a header"))
        };
        let user = header("user", &self.user)?;
        let groups = self.groups.as_deref().map(|text| header("groups", text)).transpose()?;
        if self.peers.is_empty() {
            return Err(place
                .at("peers")
                .invalid("none", "networks of the proxy, such as [\"10.1.0.0/16\"]"));
        }
        let peers = self.peers.iter().map(|text| {
            text.parse::<IpNet>().map_err(|_| {
                place
                    .at("peers")
                    .invalid(format!("{text:?}"), "a network such as 10.1.0.0/16 or ::1/128")
            })
        });
        Ok(TrustedHeader {
            user,
            groups,
            peers: peers.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use service_kit::config::parse_yaml;

    use super::*;

    fn load(text: &str) -> Result<AccessConfig, String> {
        let path = Path::new("gateway.yaml");
        parse_yaml::<RawAccess>(path, text)
            .and_then(|raw| raw.validate(path, "access"))
            .map_err(|error| error.to_string())
    }

    const ROLE: &str = "roles: [{name: all, clusters: ['*'], everyone: true}]\n";

    #[test]
    fn modes_have_their_own_settings() {
        assert!(load("mode: open").unwrap().is_open());
        let tokens = load(&format!("mode: tokens\ntokens: {{file: t.json}}\n{ROLE}")).unwrap();
        assert!(!tokens.is_open() && tokens.people == People::Nobody);
        let header = "mode: trusted-header\ntrusted_header: {user: X-User, groups: X-Groups, peers: [10.0.0.0/8]}\n";
        assert!(matches!(
            load(&format!("{header}{ROLE}")).unwrap().people,
            People::TrustedHeader(_)
        ));
    }

    #[test]
    fn errors_name_file_key_found_and_allowed() {
        for (text, expected) in [
            (
                "mode: shut",
                "unknown variant `shut`, expected one of `open`, `oidc`, `trusted-header`, `tokens`",
            ),
            ("mode: open\ntoken: {}", "unknown field `token`"),
            (
                &format!("mode: open\n{ROLE}"),
                "gateway.yaml: access.mode: found open, beside roles",
            ),
            (
                &format!("mode: oidc\n{ROLE}"),
                "gateway.yaml: access.oidc: found nothing, allowed is its settings",
            ),
            (
                &format!("mode: tokens\n{ROLE}"),
                "gateway.yaml: access.tokens: found nothing",
            ),
            (
                "mode: tokens\ntokens: {file: t}",
                "gateway.yaml: access.roles: found none, allowed is at least one",
            ),
            (
                "mode: tokens\ntokens: {file: t}\nroles: [{name: a, clusters: ['*']}]",
                "gateway.yaml: access.roles.0.users: found nobody who holds the role",
            ),
            (
                "mode: tokens\ntokens: {file: t}\nroles: [{name: a, clusters: ['a**'], everyone: true}]",
                "gateway.yaml: access.roles.0.clusters: found \"a**\" is not a name or pattern",
            ),
            (
                "mode: tokens\ntokens: {file: t}\nroles: [{name: a, clusters: [], everyone: true}]",
                "gateway.yaml: access.roles.0.clusters: found none",
            ),
            (
                "mode: tokens\ntokens: {file: t}\nroles: [{name: a, clusters: [b], permissions: [all], everyone: true}]",
                "unknown variant `all`",
            ),
            (
                &format!("mode: trusted-header\ntrusted_header: {{user: X-User, peers: [ten]}}\n{ROLE}"),
                "gateway.yaml: access.trusted_header.peers: found \"ten\", allowed is a network",
            ),
            (
                &format!("mode: trusted-header\ntrusted_header: {{user: X-User, peers: []}}\n{ROLE}"),
                "gateway.yaml: access.trusted_header.peers: found none",
            ),
            (
                &format!("mode: tokens\ntokens: {{file: t}}\ntrusted_header: {{user: a, peers: ['::1/128']}}\n{ROLE}"),
                "gateway.yaml: access.trusted_header: found settings of another mode",
            ),
        ] {
            let message = load(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn only_loopback_is_open_without_a_word() {
        let path = Path::new("gateway.yaml");
        for open in ["127.0.0.1:0", "[::1]:9090", "127.8.0.1:1"] {
            assert!(
                AccessConfig::unless_given(open.parse().unwrap(), path)
                    .unwrap()
                    .is_open()
            );
        }
        for others in ["0.0.0.0:9090", "[::]:9090", "10.0.0.7:1"] {
            let error = AccessConfig::unless_given(others.parse().unwrap(), path).unwrap_err();
            assert!(error.to_string().contains("`access: {mode: open}`"), "{error}");
        }
    }
}

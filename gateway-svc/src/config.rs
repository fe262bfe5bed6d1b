//! The service's file.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::FixedOffset;
use cost_model::Calendar;
use serde::Deserialize;
use service_kit::{
    Identity, TrustDomain,
    client::{Endpoint, EndpointConfig},
    config::{CommonConfig, ConfigError, load_yaml},
};

use crate::access::{AccessConfig, RawAccess};

/// The names that query-svc and ingest-svc carry in their certificates.
const QUERY_SERVICE: &str = "query-svc";
const INGEST_SERVICE: &str = "ingest-svc";

/// The configuration of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen for HTTP, who we are to the other services, how to log.
    pub server: CommonConfig,
    /// Where query-svc is.
    pub query: Endpoint,
    /// Where ingest-svc is.
    pub ingest: Endpoint,
    /// Where days begin.
    pub calendar: Calendar,
    /// What costs are in: an ISO 4217 code such as `USD`.
    pub currency: String,
    /// What clients may use up.
    pub limits: Limits,
    /// Folder for the views that people save; without it none are kept. Created when it is missing.
    pub views: Option<PathBuf>,
    /// Who may see what.
    pub access: AccessConfig,
}

/// Where views of the web page are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewsConfig {
    directory: PathBuf,
}

/// What costs are in unless the file says something else.
const CURRENCY: &str = "USD";

/// What clients may use up, and how long things may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How long an answer may take, from the request's head to its last byte.
    #[serde(with = "service_kit::config::duration")]
    pub request_timeout: Duration,
    /// Sets that an answer may have before they are accumulated.
    pub sets: u64,
    /// Connections at once; further ones wait in the system's queue.
    pub connections: usize,
    /// After the signal to stop: how long `/readyz` refuses, so that balancers notice, before connections are.
    #[serde(with = "service_kit::config::duration")]
    pub drain_delay: Duration,
    /// After that: how long requests under way may take to end.
    #[serde(with = "service_kit::config::duration")]
    pub drain_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(120),
            // Eleven years of hours.
            sets: 100_000,
            connections: 4096,
            drain_delay: Duration::ZERO,
            drain_deadline: Duration::from_secs(30),
        }
    }
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    server: CommonConfig,
    query: EndpointConfig,
    ingest: EndpointConfig,
    /// Such as `+02:00`; UTC by default.
    utc_offset: Option<String>,
    /// An ISO 4217 code; `USD` by default. It is told to clients, and converts nothing.
    currency: Option<String>,
    #[serde(default)]
    limits: Limits,
    /// Where views of the web page are kept; nowhere by default.
    views: Option<ViewsConfig>,
    /// Who may see what; everybody everything by default, if nobody but this machine can ask.
    access: Option<RawAccess>,
}

impl Config {
    /// Reads the service's file.
    ///
    /// # Errors
    /// When it cannot be read or used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        load_yaml::<RawConfig>(path)?.validate(path)
    }

    /// A configuration with defaults for what is not asked.
    ///
    /// # Errors
    /// When an address cannot be used, or others can reach ours and nothing is said of who may see what.
    pub fn new(
        server: CommonConfig,
        query: &EndpointConfig,
        ingest: &EndpointConfig,
        access: Option<AccessConfig>,
    ) -> Result<Self, ConfigError> {
        let raw = RawConfig {
            server,
            query: query.clone(),
            ingest: ingest.clone(),
            utc_offset: None,
            currency: None,
            limits: Limits::default(),
            views: None,
            access: None,
        };
        raw.validated(Path::new("gateway-svc"), access)
    }
}

impl RawConfig {
    /// Checks what was read from the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for the first value that cannot be meant.
    pub fn validate(mut self, path: &Path) -> Result<Config, ConfigError> {
        let access = self.access.take().map(|access| access.validate(path, "access"));
        self.validated(path, access.transpose()?)
    }

    fn validated(self, path: &Path, access: Option<AccessConfig>) -> Result<Config, ConfigError> {
        let trust_domain = &self.server.trust_domain;
        let invalid = |key: &str, found: String, allowed: &str| ConfigError::Invalid {
            path: path.to_owned(),
            key: key.to_owned(),
            found,
            allowed: allowed.to_owned(),
        };
        let calendar = match &self.utc_offset {
            None => Calendar::utc(),
            Some(text) => Calendar::at(
                text.parse::<FixedOffset>()
                    .map_err(|_| invalid("utc_offset", format!("{text:?}"), "an offset such as \"+02:00\""))?,
            ),
        };
        let currency = self.currency.unwrap_or_else(|| CURRENCY.to_owned());
        if currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
            return Err(invalid(
                "currency",
                format!("{currency:?}"),
                "a code of three capital letters such as \"EUR\"",
            ));
        }
        for (key, value) in [
            ("limits.sets", self.limits.sets),
            ("limits.connections", self.limits.connections as u64),
            ("limits.request_timeout", self.limits.request_timeout.as_millis() as u64),
        ] {
            if value == 0 {
                return Err(invalid(key, "0".to_owned(), "more than that"));
            }
        }
        let access = match access {
            Some(access) => access,
            None => AccessConfig::unless_given(self.server.listen, path)?,
        };
        Ok(Config {
            access,
            query: endpoint(path, "query", &self.query, QUERY_SERVICE, trust_domain)?,
            ingest: endpoint(path, "ingest", &self.ingest, INGEST_SERVICE, trust_domain)?,
            server: self.server,
            calendar,
            currency,
            limits: self.limits,
            views: self.views.map(|views| views.directory),
        })
    }
}

fn endpoint(
    path: &Path,
    key: &str,
    config: &EndpointConfig,
    service: &str,
    trust_domain: &TrustDomain,
) -> Result<Endpoint, ConfigError> {
    let invalid = |reason: String| ConfigError::Invalid {
        path: path.to_owned(),
        key: format!("{key}.address"),
        found: format!("{:?} ({reason})", config.address),
        allowed: "https://host:port".to_owned(),
    };
    let expected = Identity::service(trust_domain.clone(), service).map_err(|error| invalid(error.to_string()))?;
    Endpoint::new(config, expected).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use service_kit::config::parse_yaml;

    use super::*;

    const FILE: &str = "\
server:
  listen: 127.0.0.1:0
  tls: {ca: ca.pem, cert: cert.pem, key: key.pem}
query: {address: 'https://127.0.0.1:7003'}
ingest: {address: 'https://127.0.0.1:7002'}
";

    fn load(text: &str) -> Result<Config, String> {
        let path = Path::new("gateway.yaml");
        parse_yaml::<RawConfig>(path, text)
            .and_then(|raw| raw.validate(path))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn little_has_to_be_said() {
        let config = load(FILE).unwrap();
        assert_eq!(config.calendar, Calendar::utc());
        assert_eq!(config.currency, "USD");
        assert_eq!(config.limits.request_timeout, Duration::from_secs(120));
    }

    #[test]
    fn errors_name_file_key_found_and_allowed() {
        let cases = [
            (
                "utc_offset: Berlin",
                "gateway.yaml: utc_offset: found \"Berlin\", allowed is an offset such as \"+02:00\"",
            ),
            (
                "currency: euros",
                "gateway.yaml: currency: found \"euros\", allowed is a code of three capital letters such as \"EUR\"",
            ),
            (
                "limits: {sets: 0}",
                "gateway.yaml: limits.sets: found 0, allowed is more than that",
            ),
            ("limits: {set: 1}", "unknown field `set`"),
            ("colour: red", "unknown field `colour`"),
            ("access: {mode: tokens}", "gateway.yaml: access.tokens: found nothing"),
        ];
        for (line, expected) in cases {
            let message = load(&format!("{FILE}{line}\n")).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        let others = FILE.replace("127.0.0.1:0", "0.0.0.0:9090");
        let message = load(&others).unwrap_err();
        assert!(
            message.starts_with("gateway.yaml: access: found nothing, and others"),
            "{message}"
        );
        assert!(
            load(&format!("{others}access: {{mode: open}}\n"))
                .unwrap()
                .access
                .is_open()
        );
        let message = load(&FILE.replace("https://127.0.0.1:7003", "127.0.0.1:7003")).unwrap_err();
        assert!(
            message.starts_with("gateway.yaml: query.address: found \"127.0.0.1:7003\""),
            "{message}"
        );
    }
}

//! The `http_config` of S3 and AZURE: how to talk HTTP and TLS to the bucket.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{StoreConfigError, duration::GoDuration, filled};

/// How to talk HTTP and TLS to the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHttp {
    /// After which time an unused connection is closed.
    pub idle_timeout: Duration,
    /// How many unused connections are kept.
    pub max_idle: usize,
    /// How long a server may take from the request to the head of its answer. Zero waits for ever.
    pub response_header_timeout: Duration,
    /// How long an answer may pause once it has begun, if that is longer than the wait for its head.
    pub longest_pause: Duration,
    /// How long to wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// True trusts any server. Never set this.
    pub insecure_skip_verify: bool,
    /// The only authorities to trust (PEM). None trusts the system's.
    pub ca_file: Option<PathBuf>,
    /// What to show to a bucket that asks for a certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// The name that the bucket's certificate must have. None takes the endpoint's.
    pub server_name: Option<String>,
}

/// The files of a client certificate (PEM).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, followed by any intermediates.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

// The defaults of the reference, but for the connect timeout, which it does not bound as a whole.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any store leaves an answer that it has begun. Without a bound, a copy whose answer stays half said would
/// keep all other changes of the object waiting.
const LONGEST_PAUSE: Duration = Duration::from_secs(90);
const DEFAULT_MAX_IDLE: usize = 100;
/// For the TCP part of a connect; the reference's dialler has this bound too.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

impl Default for StoreHttp {
    fn default() -> Self {
        Self {
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            max_idle: DEFAULT_MAX_IDLE,
            response_header_timeout: DEFAULT_HEADER_TIMEOUT,
            longest_pause: LONGEST_PAUSE,
            connect_timeout: DIAL_TIMEOUT + DEFAULT_HANDSHAKE_TIMEOUT,
            insecure_skip_verify: false,
            ca_file: None,
            client_certificate: None,
            server_name: None,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RawHttp {
    idle_conn_timeout: Option<GoDuration>,
    response_header_timeout: Option<GoDuration>,
    insecure_skip_verify: Option<bool>,
    tls_handshake_timeout: Option<GoDuration>,
    max_idle_conns: Option<usize>,
    max_idle_conns_per_host: Option<usize>,
    tls_config: Option<RawTls>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawTls {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
}

/// Full names of the keys above.
pub(super) const HTTP_KEYS: [&str; 12] = [
    "config.http_config",
    "config.http_config.idle_conn_timeout",
    "config.http_config.response_header_timeout",
    "config.http_config.insecure_skip_verify",
    "config.http_config.tls_handshake_timeout",
    "config.http_config.max_idle_conns",
    "config.http_config.max_idle_conns_per_host",
    "config.http_config.tls_config",
    "config.http_config.tls_config.ca_file",
    "config.http_config.tls_config.cert_file",
    "config.http_config.tls_config.key_file",
    "config.http_config.tls_config.server_name",
];

impl RawHttp {
    pub(super) fn read(self) -> Result<StoreHttp, StoreConfigError> {
        let or = |duration: Option<GoDuration>, default| duration.map_or(default, |duration| duration.0);
        let tls = self.tls_config.unwrap_or_default();
        let file = |file: Option<PathBuf>| file.filter(|file| !file.as_os_str().is_empty());
        let client_certificate = match (file(tls.cert_file), file(tls.key_file)) {
            (None, None) => None,
            (Some(cert_file), Some(key_file)) => Some(ClientCertificate { cert_file, key_file }),
            (Some(_), None) => {
                return Err(StoreConfigError::Missing {
                    key: "config.http_config.tls_config.key_file",
                    hint: "cert_file is given; give the file of its private key too",
                });
            }
            (None, Some(_)) => {
                return Err(StoreConfigError::Missing {
                    key: "config.http_config.tls_config.cert_file",
                    hint: "key_file is given; give the file of its certificate too",
                });
            }
        };
        let server_name = filled(tls.server_name);
        if let Some(name) = &server_name
            && (url::Host::parse(name).is_err() || name.contains([':', '/']))
        {
            return Err(StoreConfigError::Invalid {
                key: "config.http_config.tls_config.server_name",
                reason: format!("`{name}` is not a host name"),
            });
        }
        // There is one host, so the smaller bound is the one that holds. Zero means no bound in the reference.
        let bound = |count: Option<usize>| count.filter(|count| *count != 0).unwrap_or(usize::MAX);
        let max_idle = bound(self.max_idle_conns).min(bound(self.max_idle_conns_per_host));
        Ok(StoreHttp {
            idle_timeout: or(self.idle_conn_timeout, DEFAULT_IDLE_TIMEOUT),
            max_idle: if max_idle == usize::MAX {
                DEFAULT_MAX_IDLE
            } else {
                max_idle
            },
            response_header_timeout: or(self.response_header_timeout, DEFAULT_HEADER_TIMEOUT),
            longest_pause: LONGEST_PAUSE,
            connect_timeout: DIAL_TIMEOUT + or(self.tls_handshake_timeout, DEFAULT_HANDSHAKE_TIMEOUT),
            insecure_skip_verify: self.insecure_skip_verify.unwrap_or_default(),
            ca_file: file(tls.ca_file),
            client_certificate,
            server_name,
        })
    }
}

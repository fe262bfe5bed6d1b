//! Mutual TLS whose files may be renewed while the process runs.
//!
//! Servers and clients take the current configuration for each new connection. Connections that are already open
//! keep what they were opened with; a maximum connection age bounds for how long.

mod files;
mod outside;
mod transport;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span, warn};

use self::files::{Contents, Parsed};
pub(crate) use self::files::{Validity, parse_certificates, validity_of};
pub use self::outside::{check_authorities, check_client_pair};
pub(crate) use self::transport::{Transport, buffered, encrypt_ahead};
use crate::identity::{Identity, IdentityError};

const HTTP2: &[u8] = b"h2";

/// Makes aws-lc the process's cryptography. Call it first in `main`; a second call does nothing.
///
/// Several dependencies bring rustls providers of their own, and rustls panics when it has to choose between them.
pub fn install_crypto_provider() {
    // The error says that a provider is installed already, which is what was wanted.
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The three PEM files that a process proves itself with and checks its peers against.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificates of the authorities that peers are checked against: one or more, comments allowed.
    pub ca: PathBuf,
    /// This process's certificate, followed by any intermediates.
    pub cert: PathBuf,
    /// The private key of the first certificate in `cert`: PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
    /// Revocation lists (PEM) of the authorities in `ca`, by which a server refuses certificates that were revoked.
    /// Reloaded like the others; connections that are open stay so until they come of age.
    #[serde(default)]
    pub crl: Option<PathBuf>,
}

/// The current TLS configuration of a process, replaced as a whole when its files change.
#[derive(Debug)]
pub struct TlsMaterial {
    files: TlsFiles,
    current: ArcSwap<Current>,
    // Two reloads at once could otherwise put the older files' configuration over the newer's.
    reloading: Mutex<()>,
}

#[derive(Debug)]
struct Current {
    contents: Contents,
    identity: Identity,
    not_after: SystemTime,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl TlsMaterial {
    /// Reads the files.
    ///
    /// # Errors
    /// A [`TlsError`] that names the file and what is wrong with it.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let current = Current::load(&files, Contents::read(&files)?)?;
        Ok(Arc::new(Self {
            files,
            current: ArcSwap::from_pointee(current),
            reloading: Mutex::new(()),
        }))
    }

    /// Who this process says it is.
    pub fn identity(&self) -> Identity {
        self.current.load().identity.clone()
    }

    /// When the current certificate expires.
    pub fn not_after(&self) -> SystemTime {
        self.current.load().not_after
    }

    /// For accepting the next connection: TLS 1.3, HTTP/2, and a client certificate is required.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().server)
    }

    /// For opening the next connection: TLS 1.3, HTTP/2, and our certificate is shown.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.load().client)
    }

    /// Reads the files again. True when their content had changed and is now in use.
    ///
    /// # Errors
    /// A [`TlsError`], and what was in use stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = Contents::read(&self.files)?;
        if contents == self.current.load().contents {
            return Ok(false);
        }
        self.current.store(Arc::new(Current::load(&self.files, contents)?));
        Ok(true)
    }

    /// Calls [`reload`](Self::reload) every `interval` until `shutdown`, and logs what comes of it.
    pub fn spawn_reload(self: &Arc<Self>, interval: Duration, shutdown: CancellationToken) -> JoinHandle<()> {
        let material = Arc::clone(self);
        let work = async move {
            // The same failure is logged once, not at every look, until something else happens.
            let mut last_failure = None;
            while shutdown
                .run_until_cancelled(tokio::time::sleep(interval))
                .await
                .is_some()
            {
                let reading = Arc::clone(&material);
                let failure = match tokio::task::spawn_blocking(move || reading.reload()).await {
                    Ok(Ok(false)) => None,
                    Ok(Ok(true)) => {
                        let not_after = humantime::format_rfc3339_seconds(material.not_after());
                        info!(identity = %material.identity(), %not_after, "renewed TLS files are in use");
                        None
                    }
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(error) => Some(error.to_string()),
                };
                if let Some(error) = failure.as_deref().filter(|_| failure != last_failure) {
                    warn!(error, "changed TLS files were not taken; the previous ones stay in use");
                }
                last_failure = failure;
            }
        };
        tokio::spawn(work.instrument(info_span!("tls_reload").or_current()))
    }
}

impl Current {
    fn load(files: &TlsFiles, contents: Contents) -> Result<Self, TlsError> {
        let Parsed {
            authorities,
            chain,
            key,
            identity,
            not_after,
            revocations,
        } = contents.parse(files, SystemTime::now())?;
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|error| TlsError::Malformed {
                path: files.ca.clone(),
                reason: error.to_string(),
            })?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let own_pair = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch {
                cert: files.cert.clone(),
                key: files.key.clone(),
            },
            other => TlsError::Malformed {
                path: files.key.clone(),
                reason: other.to_string(),
            },
        };

        let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        if !revocations.is_empty() {
            // A list that is past its next update is refused with all certificates it speaks of: whoever could keep a
            // new list from us could otherwise keep a revoked certificate alive. Only the callers' own certificates
            // need a list, as companies seldom have one for each intermediate.
            verifier = verifier
                .with_crls(revocations)
                .enforce_revocation_expiration()
                .only_check_end_entity_revocation();
        }
        let verifier = verifier.build().map_err(|error| TlsError::Malformed {
            path: files.ca.clone(),
            reason: error.to_string(),
        })?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Library)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(own_pair)?;
        server.alpn_protocols = vec![HTTP2.to_vec()];
        // A resumed session would skip the check of the client's certificate; connections are few and long.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Library)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(own_pair)?;
        client.alpn_protocols = vec![HTTP2.to_vec()];
        client.resumption = Resumption::disabled();

        Ok(Self {
            contents,
            identity,
            not_after,
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }
}

/// Why TLS files cannot be used. Every message is one line and names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that is missing or may not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file without a single certificate.
    #[error("{}: there is no certificate in it (expected PEM, \"-----BEGIN CERTIFICATE-----\")", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file without a single revocation list.
    #[error("{}: there is no revocation list in it (expected PEM, \"-----BEGIN X509 CRL-----\")", path.display())]
    NoRevocationList {
        /// The file.
        path: PathBuf,
    },
    /// A file without a private key.
    #[error("{}: there is no private key in it (expected PEM, \"-----BEGIN PRIVATE KEY-----\")", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A file with broken PEM, or with a certificate or key that the library does not take.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that belongs to another certificate.
    #[error("{}: the key does not match the certificate in {}", key.display(), cert.display())]
    KeyMismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A certificate whose time is over.
    #[error("{}: the certificate expired at {}; renew it", path.display(), humantime::format_rfc3339_seconds(*not_after))]
    Expired {
        /// The file.
        path: PathBuf,
        /// The end of its validity.
        not_after: SystemTime,
    },
    /// A certificate whose time is yet to come.
    #[error(
        "{}: the certificate is valid only from {}; check this machine's clock",
        path.display(),
        humantime::format_rfc3339_seconds(*not_before)
    )]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// The begin of its validity.
        not_before: SystemTime,
    },
    /// A certificate that no peer of ours would accept.
    #[error("{}: {source}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with the certificate's names.
        source: IdentityError,
    },
    /// The cryptography library was built without TLS 1.3.
    #[error("the TLS library cannot be set up: {0}")]
    Library(rustls::Error),
}

//! The certificates of the services of one process, issued by a development authority and renewed in time.

use std::{path::PathBuf, time::Duration};

use service_kit::{
    TrustDomain,
    certs::{CertificateError, DevelopmentCa},
    tls::TlsFiles,
};
use tokio::{task, time};
use tracing::warn;

/// How often it is looked whether a certificate is due. They are due a month before they expire.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The name under which this process itself calls its services.
pub const OPERATOR: &str = "fedcost";

/// A development authority in a folder, opened anew for each use so that its own certificate is renewed too.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
    trust_domain: TrustDomain,
}

/// The files of every service of the process.
#[derive(Clone, Debug)]
pub(crate) struct ServiceCertificates {
    pub(crate) storage: TlsFiles,
    pub(crate) ingest: TlsFiles,
    pub(crate) query: TlsFiles,
    pub(crate) gateway: TlsFiles,
    pub(crate) operator: TlsFiles,
}

impl Certificates {
    /// The authority in `folder`, which is created when it is first used.
    pub fn new(folder: PathBuf, trust_domain: TrustDomain) -> Self {
        Self { folder, trust_domain }
    }

    /// The domain that the authority vouches for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Opens the authority, to issue further certificates.
    ///
    /// # Errors
    /// When its folder cannot be read or written.
    pub fn authority(&self) -> Result<DevelopmentCa, CertificateError> {
        DevelopmentCa::open_or_create(&self.folder, self.trust_domain.clone())
    }

    /// Issues what is missing or due, the revocation list included, by which all services refuse callers.
    pub(crate) fn issue(&self) -> Result<ServiceCertificates, CertificateError> {
        let authority = self.authority()?;
        let list = authority.keep_revocation_list()?;
        let issue = |name| {
            let files = authority.issue_service(name)?;
            Ok::<_, CertificateError>(TlsFiles {
                crl: Some(list.clone()),
                ..files
            })
        };
        Ok(ServiceCertificates {
            storage: issue(storage_svc::SERVICE_NAME)?,
            ingest: issue(ingest_svc::SERVICE_NAME)?,
            query: issue(query_svc::SERVICE_NAME)?,
            gateway: issue(gateway_svc::SERVICE_NAME)?,
            operator: issue(OPERATOR)?,
        })
    }

    /// Renews for as long as it is polled. The services notice changed files by themselves.
    pub(crate) async fn keep_renewed(self) {
        loop {
            time::sleep(RENEWAL_INTERVAL).await;
            let certificates = self.clone();
            // The next look tries again, long before anything expires.
            match task::spawn_blocking(move || certificates.issue()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => warn!(%error, "certificates cannot be renewed"),
                Err(error) => warn!(%error, "certificates cannot be renewed"),
            }
        }
    }
}

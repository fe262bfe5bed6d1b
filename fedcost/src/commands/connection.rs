//! How commands reach the ingest-svc that they talk to.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use fedcost::certificates::{Certificates, OPERATOR};
use fedcost_proto::ingest::v1::ingest_service_client::IngestServiceClient;
use serde::{Deserialize, Serialize};
use service_kit::{
    Identity, MAX_MESSAGE_BYTES, TrustDomain,
    certs::CertificateError,
    client::{Channel, Endpoint, EndpointConfig, EndpointError},
    identity::IdentityError,
    tls::{self, TlsError, TlsFiles, TlsMaterial},
};

/// Name of the file in the data folder that says where the services of a `fedcost up` listen.
const SERVICES: &str = "services.json";

/// Where the services of a `fedcost up` listen.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Services {
    /// Of `ingest-svc`, such as `127.0.0.1:40123`.
    pub(crate) ingest: String,
    /// Of HTTP, such as `http://127.0.0.1:9090`.
    pub(crate) http: String,
}

impl Services {
    /// Says it to other commands.
    pub(crate) fn write(&self, data: &Path) -> io::Result<()> {
        fs::write(data.join(SERVICES), serde_json::to_vec_pretty(self)?)
    }

    /// What a `fedcost up` with this folder has said.
    pub(crate) fn read(data: &Path) -> Result<Self, ConnectionError> {
        let path = data.join(SERVICES);
        let text = fs::read_to_string(&path).map_err(|source| ConnectionError::NotUp {
            path: path.clone(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|source| ConnectionError::NotUp {
            path,
            source: source.into(),
        })
    }
}

/// Which ingest-svc is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// Folder of the `fedcost up` that is meant
    #[arg(long, value_name = "DIR", default_value = ".fedcost", conflicts_with = "ingest")]
    data: PathBuf,
    /// Where ingest-svc listens, when it runs elsewhere
    #[arg(long, value_name = "HOST:PORT", requires_all = ["cert", "key", "ca"])]
    ingest: Option<String>,
    /// The certificate of a service, such as an operator's, followed by any intermediates
    #[arg(long, value_name = "FILE", requires = "ingest")]
    cert: Option<PathBuf>,
    /// The private key of the certificate
    #[arg(long, value_name = "FILE", requires = "ingest")]
    key: Option<PathBuf>,
    /// Certificates of the authorities that ingest-svc's certificate is checked against
    #[arg(long, value_name = "FILE", requires = "ingest")]
    ca: Option<PathBuf>,
    /// The trust domain of the certificates
    #[arg(long, value_name = "NAME", default_value = "fedcost")]
    trust_domain: TrustDomain,
}

/// Why ingest-svc cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("{}: {source}; start `fedcost up` with this folder, or say with --ingest where ingest-svc listens", path.display())]
    NotUp { path: PathBuf, source: io::Error },
    #[error("certificates: {0}")]
    Certificates(#[from] CertificateError),
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl Connection {
    /// A client of it.
    pub(crate) fn client(&self) -> Result<IngestServiceClient<Channel>, ConnectionError> {
        tls::install_crypto_provider();
        let (address, files) = match (&self.ingest, &self.cert, &self.key, &self.ca) {
            (Some(address), Some(cert), Some(key), Some(ca)) => {
                let files = TlsFiles {
                    ca: ca.clone(),
                    cert: cert.clone(),
                    key: key.clone(),
                    // Lists are a server's matter.
                    crl: None,
                };
                (address.clone(), files)
            }
            _ => {
                let services = Services::read(&self.data)?;
                let certificates = Certificates::new(self.data.join("certs"), self.trust_domain.clone());
                (services.ingest, certificates.authority()?.issue_service(OPERATOR)?)
            }
        };
        let tls: Arc<TlsMaterial> = TlsMaterial::load(files)?;
        let config = EndpointConfig::new(format!("https://{address}"));
        let expected = Identity::service(self.trust_domain.clone(), ingest_svc::SERVICE_NAME)?;
        let channel = Endpoint::new(&config, expected)?.channel(&tls);
        Ok(IngestServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }
}

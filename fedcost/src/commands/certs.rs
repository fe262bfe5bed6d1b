//! `fedcost certs`: certificates for services that run as processes of their own.

use std::{io, path::PathBuf};

use service_kit::{
    TrustDomain,
    certs::{CertificateError, DevelopmentCa},
    tls::TlsFiles,
};

use crate::output;

const EXAMPLES: &str = "\
Examples:
  fedcost certs service storage-svc --dir certs
  fedcost certs cluster prod-eu --dir certs

The authority's key lies in the folder: whoever can read it can be anyone. In production, take certificates from
cert-manager or SPIRE instead.";

/// Issue certificates from a development authority
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    subject: Subject,
    /// Folder of the authority; created when it is missing
    #[arg(long, value_name = "DIR", global = true, default_value = ".fedcost/certs")]
    dir: PathBuf,
    /// Domain that the authority vouches for
    #[arg(long, value_name = "DOMAIN", global = true, default_value = "fedcost")]
    trust_domain: TrustDomain,
}

#[derive(Debug, clap::Subcommand)]
enum Subject {
    /// Create the authority and nothing else
    Init,
    /// Issue or renew the certificate of a service
    Service {
        /// Such as storage-svc
        name: String,
    },
    /// Issue or renew the certificate by which a federated cluster writes its files
    Cluster {
        /// The cluster's id, which is its folder under federated/
        id: String,
    },
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertsError {
    #[error(transparent)]
    Authority(#[from] CertificateError),
    #[error("cannot write to stdout: {0}")]
    Print(#[from] io::Error),
}

impl CertsError {
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Authority(CertificateError::Identity(_)))
    }
}

/// Prints the paths of the files.
pub(crate) fn run(arguments: &Arguments) -> Result<(), CertsError> {
    let authority = DevelopmentCa::open_or_create(&arguments.dir, arguments.trust_domain.clone())?;
    let TlsFiles { ca, cert, key } = match &arguments.subject {
        Subject::Init => {
            let path = arguments.dir.join("ca.pem");
            return Ok(output::print(|stdout| writeln!(stdout, "ca:   {}", path.display()))?);
        }
        Subject::Service { name } => authority.issue_service(name)?,
        Subject::Cluster { id } => authority.issue_cluster(id)?,
    };
    output::print(|stdout| {
        writeln!(stdout, "ca:   {}", ca.display())?;
        writeln!(stdout, "cert: {}", cert.display())?;
        writeln!(stdout, "key:  {}", key.display())
    })?;
    Ok(())
}

//! `fedcost certs`: certificates for services that run as processes of their own, and for federated clusters.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use service_kit::{
    Identity, TrustDomain,
    certs::{CertificateError, DevelopmentCa, ShownCertificate, certificates_in},
    identity::IdentityError,
    tls::{TlsError, TlsFiles},
};

use crate::output;

const EXAMPLES: &str = "\
Examples:
  fedcost certs init --dir certs
  fedcost certs issue --service storage-svc --dir certs
  fedcost certs issue --cluster prod-eu --dir certs
  fedcost certs show --dir certs
  fedcost certs show /etc/fedcost/tls.crt
  fedcost certs renew --dir certs

The authority's key lies in the folder: whoever can read it can be anyone. In production, take certificates from
cert-manager, SPIRE or your company's authority instead: docs/operations/certificates.md tells how.";

/// Issue, show and renew certificates of a development authority
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Folder of the authority; created when it is missing
    #[arg(long, value_name = "DIR", global = true, default_value = ".fedcost/certs")]
    dir: PathBuf,
    /// Domain that the authority vouches for
    #[arg(long, value_name = "DOMAIN", global = true, default_value = "fedcost")]
    trust_domain: TrustDomain,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Create the authority and nothing else
    Init,
    /// Issue a certificate, or renew it when it is due
    Issue(Subject),
    /// Show what certificates say, and which are due
    Show {
        /// Certificates (PEM); without any, those in the authority's folder
        files: Vec<PathBuf>,
    },
    /// Renew all certificates in the authority's folder that are due
    Renew {
        /// Renew the others too, each with a new key
        #[arg(long)]
        all: bool,
    },
    /// The same as `issue --service NAME`
    Service {
        /// Such as storage-svc
        name: String,
    },
    /// The same as `issue --cluster ID`
    Cluster {
        /// The cluster's id, which is its folder under federated/
        id: String,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Subject {
    /// For a service, such as storage-svc
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// For a federated cluster, by the id that is its folder under federated/
    #[arg(long, value_name = "ID")]
    cluster: Option<String>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertsError {
    #[error(transparent)]
    Authority(#[from] CertificateError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Read(#[from] TlsError),
    #[error("{}: there is no certificate in this folder; make an authority with `fedcost certs init`", dir.display())]
    Nothing { dir: PathBuf },
    #[error("cannot write to stdout: {0}")]
    Print(#[from] io::Error),
}

impl CertsError {
    pub(crate) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Authority(CertificateError::Identity(_)) | Self::Identity(_) | Self::Nothing { .. }
        )
    }
}

/// Does what is asked, and prints the paths of the files.
pub(crate) fn run(arguments: &Arguments) -> Result<(), CertsError> {
    let domain = || arguments.trust_domain.clone();
    match &arguments.action {
        Action::Init => {
            open(arguments)?;
            let path = arguments.dir.join("ca.pem");
            Ok(output::print(|stdout| writeln!(stdout, "ca:   {}", path.display()))?)
        }
        Action::Issue(Subject { service, cluster }) => {
            let identities = [
                service.as_deref().map(|name| Identity::service(domain(), name)),
                cluster.as_deref().map(|id| Identity::cluster(domain(), id)),
            ];
            // The argument group lets exactly one through.
            identities
                .into_iter()
                .flatten()
                .try_for_each(|identity| issue(arguments, &identity?))
        }
        Action::Service { name } => issue(arguments, &Identity::service(domain(), name)?),
        Action::Cluster { id } => issue(arguments, &Identity::cluster(domain(), id)?),
        Action::Show { files } => show(arguments, files),
        Action::Renew { all } => renew(arguments, *all),
    }
}

fn open(arguments: &Arguments) -> Result<DevelopmentCa, CertificateError> {
    DevelopmentCa::open_or_create(&arguments.dir, arguments.trust_domain.clone())
}

fn issue(arguments: &Arguments, identity: &Identity) -> Result<(), CertsError> {
    let TlsFiles { ca, cert, key, .. } = open(arguments)?.issue(identity)?;
    output::print(|stdout| {
        writeln!(stdout, "ca:   {}", ca.display())?;
        writeln!(stdout, "cert: {}", cert.display())?;
        writeln!(stdout, "key:  {}", key.display())
    })?;
    Ok(())
}

fn renew(arguments: &Arguments, all: bool) -> Result<(), CertsError> {
    let dir = || arguments.dir.clone();
    // To renew what is not there is a mistake in the folder's name, and must not create an authority.
    if certificates_in(&arguments.dir)?.is_empty() {
        return Err(CertsError::Nothing { dir: dir() });
    }
    let authority = open(arguments)?;
    let mut renewed = Vec::new();
    for identity in authority.issued()? {
        // The serial number tells whether it was due.
        let before = serial_of(&arguments.dir, &identity);
        let files = if all {
            authority.renew(&identity)?
        } else {
            authority.issue(&identity)?
        };
        if before != serial_of(&arguments.dir, &identity) {
            renewed.push((identity, files.cert));
        }
    }
    output::print(|stdout| {
        for (identity, path) in &renewed {
            writeln!(stdout, "renewed {identity}: {}", path.display())?;
        }
        match renewed.len() {
            0 => writeln!(stdout, "nothing is due"),
            _ => Ok(()),
        }
    })?;
    Ok(())
}

/// None when there is no certificate, or none that can be read.
fn serial_of(dir: &std::path::Path, identity: &Identity) -> Option<String> {
    let folder = match (identity.service_name(), identity.cluster_id()) {
        (Some(name), _) => dir.join("service").join(name),
        (None, Some(id)) => dir.join("cluster").join(id),
        (None, None) => return None,
    };
    let shown = ShownCertificate::read(&folder.join("cert.pem")).ok()?;
    Some(shown.serial)
}

fn show(arguments: &Arguments, files: &[PathBuf]) -> Result<(), CertsError> {
    let files = match files {
        [] => certificates_in(&arguments.dir)?,
        files => files.to_vec(),
    };
    if files.is_empty() {
        let dir = arguments.dir.clone();
        return Err(CertsError::Nothing { dir });
    }
    // One that is broken does not hide the others, but is told of by the exit code.
    let mut broken = None;
    output::print(|stdout| {
        for path in &files {
            match ShownCertificate::read(path) {
                Ok(certificate) => print(stdout, &certificate)?,
                Err(error) => {
                    writeln!(stdout, "{error}\n")?;
                    broken.get_or_insert(error);
                }
            }
        }
        Ok(())
    })?;
    broken.map_or(Ok(()), |error| Err(error.into()))
}

fn print(stdout: &mut dyn Write, certificate: &ShownCertificate) -> io::Result<()> {
    match &certificate.identity {
        Ok(identity) => writeln!(stdout, "{identity}")?,
        Err(_) if certificate.is_authority => writeln!(stdout, "authority {}", certificate.subject)?,
        Err(error) => writeln!(stdout, "no identity: {error}")?,
    }
    let time = humantime::format_rfc3339_seconds;
    writeln!(stdout, "  file:   {}", certificate.path.display())?;
    writeln!(
        stdout,
        "  valid:  {} to {} ({})",
        time(certificate.not_before),
        time(certificate.not_after),
        certificate.age()
    )?;
    writeln!(stdout, "  issuer: {}", certificate.issuer)?;
    writeln!(stdout, "  serial: {}", certificate.serial)?;
    if !certificate.names.is_empty() {
        writeln!(stdout, "  names:  {}", certificate.names.join(", "))?;
    }
    writeln!(stdout)
}

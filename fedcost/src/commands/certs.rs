//! `fedcost certs`: certificates for services that run as processes of their own, and for federated clusters.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::SystemTime,
};

use service_kit::{
    Identity, TrustDomain,
    certs::{CertificateError, DevelopmentCa, Revocation, RevocationList, ShownCertificate, certificates_in},
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
  fedcost certs revoke --cluster prod-eu --dir certs

The authority's key lies in the folder: whoever can read it can be anyone. In production, take certificates from
cert-manager, SPIRE or your company's authority instead: docs/operations/certificates.md tells how.";

/// Issue, show, renew and revoke certificates of a development authority
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
    /// Create the authority and its empty revocation list, and nothing else
    Init,
    /// Issue a certificate, or renew it when it is due
    Issue(Subject),
    /// Show what certificates say, and which are due
    Show {
        /// Certificates (PEM); without any, those in the authority's folder
        files: Vec<PathBuf>,
    },
    /// Renew all certificates in the authority's folder that are due, and the revocation list
    Renew {
        /// Renew the others too, each with a new key, but for those that are revoked
        #[arg(long)]
        all: bool,
    },
    /// Put certificates on the authority's revocation list, crl.pem
    Revoke(Revoked),
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

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Revoked {
    /// Certificates (PEM) that the authority has issued, such as one that was lost
    files: Vec<PathBuf>,
    /// The service's that is in the authority's folder
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The cluster's that is in the authority's folder
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
            let list = open(arguments)?.keep_revocation_list()?;
            let path = arguments.dir.join("ca.pem");
            output::print(|stdout| {
                writeln!(stdout, "ca:   {}", path.display())?;
                writeln!(stdout, "crl:  {}", list.display())
            })?;
            Ok(())
        }
        Action::Issue(Subject { service, cluster }) => {
            let identity = subject(arguments, service.as_deref(), cluster.as_deref());
            identity.map_or(Ok(()), |identity| issue(arguments, &identity?))
        }
        Action::Service { name } => issue(arguments, &Identity::service(domain(), name)?),
        Action::Cluster { id } => issue(arguments, &Identity::cluster(domain(), id)?),
        Action::Show { files } => show(arguments, files),
        Action::Renew { all } => renew(arguments, *all),
        Action::Revoke(revoked) => revoke(arguments, revoked),
    }
}

/// Whom the options name. The argument group lets at most one through.
fn subject(
    arguments: &Arguments,
    service: Option<&str>,
    cluster: Option<&str>,
) -> Option<Result<Identity, IdentityError>> {
    let domain = || arguments.trust_domain.clone();
    let service = service.map(|name| Identity::service(domain(), name));
    service.or_else(|| cluster.map(|id| Identity::cluster(domain(), id)))
}

/// An authority that is there. To renew or revoke what is not there is a mistake in the folder's name, and must not
/// create one.
fn open_existing(arguments: &Arguments) -> Result<DevelopmentCa, CertsError> {
    if certificates_in(&arguments.dir)?.is_empty() {
        let dir = arguments.dir.clone();
        return Err(CertsError::Nothing { dir });
    }
    Ok(open(arguments)?)
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
    let authority = open_existing(arguments)?;
    let mut renewed = Vec::new();
    let mut revoked = Vec::new();
    let list = RevocationList::in_folder(&arguments.dir)?;
    for identity in authority.issued()? {
        let present = ShownCertificate::read(&authority.certificate_of(&identity)).ok();
        let is_revoked = |present| list.as_ref().and_then(|list| list.revoked_at(present)).is_some();
        if present.as_ref().is_some_and(is_revoked) {
            revoked.push(identity);
            continue;
        }
        // The serial number tells whether it was due.
        let before = present.map(|certificate| certificate.serial);
        let files = if all {
            authority.renew(&identity)?
        } else {
            authority.issue(&identity)?
        };
        let now = ShownCertificate::read(&files.cert)?.serial;
        if before.as_ref() != Some(&now) {
            renewed.push((identity, files.cert));
        }
    }
    // Only where there is one: servers that use it would refuse everybody when it is out of date.
    let list = match list {
        Some(before) => {
            let path = authority.keep_revocation_list()?;
            let now = RevocationList::in_folder(&arguments.dir)?;
            now.filter(|now| *now != before).map(|_| path)
        }
        None => None,
    };
    output::print(|stdout| {
        for (identity, path) in &renewed {
            writeln!(stdout, "renewed {identity}: {}", path.display())?;
        }
        for identity in &revoked {
            writeln!(
                stdout,
                "not renewed, as it is revoked: {identity}; `fedcost certs issue` makes another"
            )?;
        }
        if let Some(path) = &list {
            writeln!(stdout, "renewed the revocation list: {}", path.display())?;
        }
        match (renewed.len(), &list) {
            (0, None) => writeln!(stdout, "nothing is due"),
            _ => Ok(()),
        }
    })?;
    Ok(())
}

fn revoke(arguments: &Arguments, revoked: &Revoked) -> Result<(), CertsError> {
    let authority = open_existing(arguments)?;
    let files = match subject(arguments, revoked.service.as_deref(), revoked.cluster.as_deref()) {
        Some(identity) => vec![authority.certificate_of(&identity?)],
        None => revoked.files.clone(),
    };
    for path in &files {
        let Revocation { list, before } = authority.revoke(path)?;
        output::print(|stdout| {
            let done = if before { "was revoked before" } else { "revoked" };
            writeln!(stdout, "{done}: {}", path.display())?;
            writeln!(stdout, "crl:  {}", list.display())
        })?;
    }
    Ok(())
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
    let list = RevocationList::in_folder(&arguments.dir)?;
    // One that is broken does not hide the others, but is told of by the exit code.
    let mut broken = None;
    output::print(|stdout| {
        for path in &files {
            match ShownCertificate::read(path) {
                Ok(certificate) => {
                    let revoked = list.as_ref().and_then(|list| list.revoked_at(&certificate));
                    print(stdout, &certificate, revoked)?;
                }
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

fn print(stdout: &mut dyn Write, certificate: &ShownCertificate, revoked: Option<SystemTime>) -> io::Result<()> {
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
    if let Some(at) = revoked {
        writeln!(stdout, "  revoked: {}", time(at))?;
    }
    writeln!(stdout, "  issuer: {}", certificate.issuer)?;
    writeln!(stdout, "  serial: {}", certificate.serial)?;
    if !certificate.names.is_empty() {
        writeln!(stdout, "  names:  {}", certificate.names.join(", "))?;
    }
    writeln!(stdout)
}

//! A development authority, so that a laptop runs the same mutual TLS as production.

mod revoked;
mod shown;

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls_pki_types::CertificateDer;
use tempfile::NamedTempFile;
use x509_parser::prelude::{FromDer, X509Certificate};

pub use self::{
    revoked::{Revocation, RevocationList},
    shown::{CertificateAge, ShownCertificate},
};
use crate::{
    identity::{Identity, IdentityError, Principal, TrustDomain},
    tls::{TlsError, TlsFiles, TlsMaterial, Validity, parse_certificates, validity_of},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * DAY.as_secs());
const LEAF_LIFE: Duration = Duration::from_secs(90 * DAY.as_secs());
// The clocks of the machines that share a folder, or of a container and its host, may differ a little.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

// Folders that hold one folder for each identity.
const SERVICES: &str = "service";
const CLUSTERS: &str = "cluster";

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// An authority whose key lies in a folder. For development only: whoever reads the folder can be anyone.
///
/// The folder holds `ca.pem`, `ca-key.pem` and perhaps `crl.pem`, and `service/<name>/` and `cluster/<id>/` with
/// `cert.pem` and `key.pem` each.
#[derive(Debug)]
pub struct DevelopmentCa {
    folder: PathBuf,
    trust_domain: TrustDomain,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl DevelopmentCa {
    /// Opens the authority in `folder`, or creates it (ECDSA P-256, ten years). Several processes may do so at once.
    ///
    /// # Errors
    /// A [`CertificateError`] that names the file and the reason.
    pub fn open_or_create(folder: &Path, trust_domain: TrustDomain) -> Result<Self, CertificateError> {
        fs::create_dir_all(folder).map_err(|source| CertificateError::write(folder, source))?;
        let _lock = lock(folder)?;
        let certificate_path = folder.join("ca.pem");
        let key_path = folder.join("ca-key.pem");
        let key = match read_if_present(&key_path)? {
            Some(pem) => KeyPair::from_pem(&String::from_utf8_lossy(&pem))
                .map_err(|source| CertificateError::Generate { path: key_path, source })?,
            None => {
                let key = generate_key(&key_path)?;
                write_atomically(&key_path, key.serialize_pem().as_bytes(), PRIVATE)?;
                key
            }
        };
        // What was issued stays good when the certificate is made anew, because the key and the name stay the same.
        let existing = match read_if_present(&certificate_path)? {
            Some(pem) => parse_certificates(&certificate_path, &pem)?.into_iter().next(),
            None => None,
        };
        let certificate = match existing {
            Some(certificate) if !due(validity_of(&certificate_path, &certificate)?) => certificate,
            _ => {
                let certificate =
                    authority_parameters(&key)
                        .self_signed(&key)
                        .map_err(|source| CertificateError::Generate {
                            path: certificate_path.clone(),
                            source,
                        })?;
                write_atomically(&certificate_path, certificate.pem().as_bytes(), PUBLIC)?;
                certificate.into()
            }
        };
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|source| CertificateError::Generate {
            path: certificate_path,
            source,
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            trust_domain,
            certificate,
            issuer,
        })
    }

    /// The domain that this authority vouches for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The files of the service `name`: its certificate serves and calls, as `localhost`, `name`, 127.0.0.1 and ::1.
    ///
    /// Files that exist are kept until two thirds of their 90 days are over.
    ///
    /// # Errors
    /// When `name` is no service name, or a file cannot be written.
    pub fn issue_service(&self, name: &str) -> Result<TlsFiles, CertificateError> {
        self.issue(&Identity::service(self.trust_domain.clone(), name)?)
    }

    /// The files of the federated cluster `id`: its certificate only calls. Kept as a service's are.
    ///
    /// # Errors
    /// When `id` is no cluster id, or a file cannot be written.
    pub fn issue_cluster(&self, id: &str) -> Result<TlsFiles, CertificateError> {
        self.issue(&Identity::cluster(self.trust_domain.clone(), id)?)
    }

    /// The files of an identity of this trust domain, kept as [`issue_service`](Self::issue_service) does.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn issue(&self, identity: &Identity) -> Result<TlsFiles, CertificateError> {
        self.issue_unless(identity, |files| self.is_current(files, identity))
    }

    /// The files of an identity, made anew with another key even if they are good.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn renew(&self, identity: &Identity) -> Result<TlsFiles, CertificateError> {
        self.issue_unless(identity, |_| false)
    }

    /// Whom there are files for, services first, each in the order of their names.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn issued(&self) -> Result<Vec<Identity>, CertificateError> {
        let domain = || self.trust_domain.clone();
        let services = names_in(&self.folder.join(SERVICES))?;
        let clusters = names_in(&self.folder.join(CLUSTERS))?;
        let services = services.iter().map(|name| Identity::service(domain(), name));
        let clusters = clusters.iter().map(|id| Identity::cluster(domain(), id));
        // Whatever else lies there is not ours.
        Ok(services.chain(clusters).filter_map(Result::ok).collect())
    }

    /// Where the certificate of an identity lies, if there is one.
    pub fn certificate_of(&self, identity: &Identity) -> PathBuf {
        self.folder_of(identity).join("cert.pem")
    }

    /// Whether the certificate of an identity that lies in the folder is revoked.
    ///
    /// # Errors
    /// When the certificate or the list cannot be read.
    pub fn is_revoked(&self, identity: &Identity) -> Result<bool, CertificateError> {
        let Some(list) = self.revocation_list()? else {
            return Ok(false);
        };
        let shown = ShownCertificate::read(&self.certificate_of(identity)).map_err(CertificateError::Certificate)?;
        Ok(list.revoked_at(&shown).is_some())
    }

    fn folder_of(&self, identity: &Identity) -> PathBuf {
        match identity.principal() {
            Principal::Service(name) => self.folder.join(SERVICES).join(name),
            Principal::Cluster(id) => self.folder.join(CLUSTERS).join(id),
        }
    }

    fn issue_unless(
        &self,
        identity: &Identity,
        keep: impl FnOnce(&TlsFiles) -> bool,
    ) -> Result<TlsFiles, CertificateError> {
        let folder = self.folder_of(identity);
        let files = TlsFiles {
            ca: self.folder.join("ca.pem"),
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
            crl: None,
        };
        let _lock = lock(&self.folder)?;
        if keep(&files) {
            return Ok(files);
        }
        fs::create_dir_all(&folder).map_err(|source| CertificateError::write(&folder, source))?;
        let generating = |source| CertificateError::Generate {
            path: files.cert.clone(),
            source,
        };
        let key = generate_key(&files.key)?;
        let certificate = leaf_parameters(identity)
            .map_err(generating)?
            .signed_by(&key, &self.issuer)
            .map_err(generating)?;
        write_atomically(&files.key, key.serialize_pem().as_bytes(), PRIVATE)?;
        write_atomically(&files.cert, certificate.pem().as_bytes(), PUBLIC)?;
        Ok(files)
    }

    /// True when the files are whole, say `identity`, come from this authority, are not revoked and not due for renewal.
    fn is_current(&self, files: &TlsFiles, identity: &Identity) -> bool {
        // Whatever is wrong with what is there, issuing anew mends it, so the reason does not matter.
        let certificate = TlsMaterial::load(files.clone()).and_then(|_| {
            let path = &files.cert;
            let text = fs::read(path).map_err(|source| TlsError::Read {
                path: path.clone(),
                source,
            })?;
            let certificate = parse_certificates(path, &text)?.swap_remove(0);
            let validity = validity_of(path, &certificate)?;
            Ok((certificate, validity))
        });
        certificate.is_ok_and(|(certificate, validity)| {
            !due(validity)
                && Identity::from_certificate(&certificate).as_ref() == Ok(identity)
                && is_signed_by(&certificate, &self.certificate)
                // A list that cannot be read is told of by those who write it.
                && !self.is_revoked(identity).unwrap_or(false)
        })
    }
}

fn is_signed_by(certificate: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    match (
        X509Certificate::from_der(certificate),
        X509Certificate::from_der(authority),
    ) {
        (Ok((_, certificate)), Ok((_, authority))) => {
            certificate.verify_signature(Some(authority.public_key())).is_ok()
        }
        _ => false,
    }
}

/// True when less than a third of a certificate's life is left, or its time has not come.
fn due(validity: Validity) -> bool {
    let now = SystemTime::now();
    let life = validity
        .not_after
        .duration_since(validity.not_before)
        .unwrap_or_default();
    now < validity.not_before || now + life / 3 >= validity.not_after
}

fn authority_parameters(key: &KeyPair) -> CertificateParams {
    let mut parameters = parameters_for(AUTHORITY_LIFE);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Two authorities of one name would be taken for one another, and a foreign certificate for a forged one. As the
    // name follows from the key, a certificate made anew keeps it.
    let fingerprint: String = parameters
        .key_identifier(key)
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    parameters
        .distinguished_name
        .push(DnType::CommonName, format!("FedCost development CA {fingerprint}"));
    parameters
}

fn leaf_parameters(identity: &Identity) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = parameters_for(LEAF_LIFE);
    // A cluster's id may be longer than the 64 characters that a common name may have.
    let common_name = identity.service_name().unwrap_or("federated cluster");
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.subject_alt_names = vec![SanType::URI(identity.to_string().try_into()?)];
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters.use_authority_key_identifier_extension = true;
    if let Some(name) = identity.service_name() {
        parameters.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        parameters.subject_alt_names.extend([
            SanType::DnsName("localhost".try_into()?),
            SanType::DnsName(name.try_into()?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ]);
    }
    Ok(parameters)
}

fn parameters_for(life: Duration) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    let now = SystemTime::now();
    parameters.not_before = (now - CLOCK_SKEW).into();
    parameters.not_after = (now + life).into();
    parameters.distinguished_name = DistinguishedName::new();
    parameters
}

fn generate_key(path: &Path) -> Result<KeyPair, CertificateError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|source| CertificateError::Generate {
        path: path.to_owned(),
        source,
    })
}

/// Keeps other processes from changing the folder until the file is dropped.
fn lock(folder: &Path) -> Result<File, CertificateError> {
    let path = folder.join(".lock");
    let failed = |source| CertificateError::write(&path, source);
    let file = File::create(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// The certificates in an authority's folder, its own first, without opening it as an authority.
///
/// # Errors
/// When the folder cannot be read. Certificates that are not there are left out.
pub fn certificates_in(folder: &Path) -> Result<Vec<PathBuf>, CertificateError> {
    let mut paths = vec![folder.join("ca.pem")];
    for kind in [SERVICES, CLUSTERS] {
        let folder = folder.join(kind);
        let names = names_in(&folder)?.into_iter();
        paths.extend(names.map(|name| folder.join(name).join("cert.pem")));
    }
    paths.retain(|path| path.exists());
    Ok(paths)
}

/// The names of the folders in a folder, in order; none when there is no such folder.
fn names_in(folder: &Path) -> Result<Vec<String>, CertificateError> {
    let failed = |source| CertificateError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, CertificateError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CertificateError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CertificateError> {
    let write = || -> io::Result<()> {
        // A temporary file is created with mode 0600, so a key is at no moment readable by others.
        let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| CertificateError::write(path, source))
}

/// Why the development authority cannot do as asked.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A name that cannot be an identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file of the authority that cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder that cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The authority's certificate is broken. Removing the folder makes a new authority.
    #[error("{0}; remove the folder to start with a new development CA")]
    Authority(#[from] TlsError),
    /// A certificate that cannot be read.
    #[error(transparent)]
    Certificate(TlsError),
    /// A certificate that is not the authority's to revoke.
    #[error("{}: this authority has not issued the certificate, so it cannot revoke it", path.display())]
    NotIssued {
        /// The file.
        path: PathBuf,
    },
    /// A revocation list that cannot be used.
    #[error("{}: {reason}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key or certificate that cannot be made, or an authority's key that cannot be used.
    #[error("{}: {source}", path.display())]
    Generate {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: rcgen::Error,
    },
}

impl CertificateError {
    fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

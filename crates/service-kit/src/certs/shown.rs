//! What a certificate says, for people.

use std::{
    fmt, fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustls_pki_types::CertificateDer;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use super::due;
use crate::{
    identity::{Identity, IdentityError},
    tls::{TlsError, Validity, parse_certificates, validity_of},
};

/// What a certificate says.
#[derive(Debug, Clone)]
pub struct ShownCertificate {
    /// The file.
    pub path: PathBuf,
    /// Whom it makes its holder. An authority's has no identity.
    pub identity: Result<Identity, IdentityError>,
    /// Whether it may issue others.
    pub is_authority: bool,
    /// Its holder's name, as directories have it.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The number by which its issuer knows and may revoke it, in hexadecimal digits.
    pub serial: String,
    /// DNS names and addresses under which its holder may serve.
    pub names: Vec<String>,
    /// The begin of its validity.
    pub not_before: SystemTime,
    /// The end of its validity.
    pub not_after: SystemTime,
    /// The certificate, and in it its issuer's name and its number, encoded.
    pub(super) encoded: Vec<u8>,
    pub(super) raw_issuer: Vec<u8>,
    pub(super) raw_serial: Vec<u8>,
}

/// Where a certificate is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateAge {
    /// Its time has not come, or this machine's clock is slow.
    NotYetValid,
    /// Good.
    Valid,
    /// Good, but less than a third of its life is left.
    Due,
    /// Over.
    Expired,
}

impl fmt::Display for CertificateAge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotYetValid => "not yet valid",
            Self::Valid => "valid",
            Self::Due => "valid, renewal is due",
            Self::Expired => "expired",
        })
    }
}

impl ShownCertificate {
    /// Reads the first certificate of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate.
    pub fn read(path: &Path) -> Result<Self, TlsError> {
        let text = fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let certificate = parse_certificates(path, &text)?.swap_remove(0);
        let Validity { not_before, not_after } = validity_of(path, &certificate)?;
        let malformed = |reason: String| TlsError::Malformed {
            path: path.to_owned(),
            reason,
        };
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            identity: Identity::from_certificate(&CertificateDer::from(certificate.as_ref())),
            is_authority: parsed.is_ca(),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            names: names(&parsed),
            not_before,
            not_after,
            encoded: certificate.to_vec(),
            raw_issuer: parsed.issuer().as_raw().to_vec(),
            raw_serial: parsed.serial.to_bytes_be(),
        })
    }

    /// Where the certificate is in its life.
    pub fn age(&self) -> CertificateAge {
        let now = SystemTime::now();
        if now < self.not_before {
            CertificateAge::NotYetValid
        } else if now > self.not_after {
            CertificateAge::Expired
        } else if due(Validity {
            not_before: self.not_before,
            not_after: self.not_after,
        }) {
            CertificateAge::Due
        } else {
            CertificateAge::Valid
        }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.map(|extension| extension.value.general_names.as_slice());
    let shown = names.unwrap_or_default().iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
            let sixteen = <[u8; 16]>::try_from(*bytes).map(|bytes| Ipv6Addr::from(bytes).to_string());
            four.or(sixteen).ok()
        }
        _ => None,
    });
    shown.collect()
}

//! The PEM files themselves: reading, taking apart, checking.

use std::{
    fmt, fs,
    path::Path,
    time::{Duration, SystemTime},
};

use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use tracing::warn;
use x509_parser::{
    prelude::{FromDer, X509Certificate},
    revocation_list::CertificateRevocationList,
};

use super::{TlsError, TlsFiles};
use crate::identity::Identity;

/// The files as they lie on disk, kept to see whether they have changed.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    ca: Vec<u8>,
    cert: Vec<u8>,
    key: Vec<u8>,
    crl: Option<Vec<u8>>,
}

// By hand, so that a private key never gets into a log.
impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Contents").finish_non_exhaustive()
    }
}

/// The files taken apart. Whether key and certificate match is left to rustls.
pub(super) struct Parsed {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) identity: Identity,
    pub(super) not_after: SystemTime,
    /// Empty when no list was asked for.
    pub(super) revocations: Vec<CertificateRevocationListDer<'static>>,
}

impl Contents {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| TlsError::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            ca: read(&files.ca)?,
            cert: read(&files.cert)?,
            key: read(&files.key)?,
            crl: files.crl.as_deref().map(read).transpose()?,
        })
    }

    pub(super) fn parse(&self, files: &TlsFiles, now: SystemTime) -> Result<Parsed, TlsError> {
        let authorities = parse_certificates(&files.ca, &self.ca)?;
        check_one_valid(&files.ca, &authorities, now)?;

        let chain = parse_certificates(&files.cert, &self.cert)?;
        let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate {
            path: files.cert.clone(),
        })?;
        let validity = validity_of(&files.cert, leaf)?;
        validity.check(&files.cert, now)?;
        let identity = Identity::from_certificate(leaf).map_err(|source| TlsError::Identity {
            path: files.cert.clone(),
            source,
        })?;
        let key = parse_key(&files.key, &self.key)?;
        let revocations = match (&files.crl, &self.crl) {
            (Some(path), Some(text)) => parse_revocations(path, text, now)?,
            (Some(_), None) | (None, _) => Vec::new(),
        };
        Ok(Parsed {
            revocations,
            authorities,
            identity,
            not_after: validity.not_after,
            chain,
            key,
        })
    }
}

/// While an authority is being replaced the bundle holds the old and the new, so one that is valid will do.
pub(super) fn check_one_valid(
    path: &Path,
    authorities: &[CertificateDer<'_>],
    now: SystemTime,
) -> Result<(), TlsError> {
    let mut refusal = None;
    for authority in authorities {
        match validity_of(path, authority)?.check(path, now) {
            Ok(()) => return Ok(()),
            Err(error) => refusal = Some(error),
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// The private key of a PEM text; `path` is for the error.
pub(super) fn parse_key(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        other => TlsError::Malformed {
            path: path.to_owned(),
            reason: other.to_string(),
        },
    })
}

/// All certificates of a PEM text; `path` is for the error.
pub(crate) fn parse_certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Malformed {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

/// All revocation lists of a PEM text; `path` is for messages.
fn parse_revocations(
    path: &Path,
    text: &[u8],
    now: SystemTime,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let malformed = |reason: String| TlsError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let lists = CertificateRevocationListDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| malformed(error.to_string()))?;
    // An empty file would let everybody in whom it was meant to keep out.
    if lists.is_empty() {
        return Err(TlsError::NoRevocationList { path: path.to_owned() });
    }
    for list in &lists {
        let (_, parsed) = CertificateRevocationList::from_der(list).map_err(|error| malformed(error.to_string()))?;
        let next_update = parsed.next_update().map(|time| time.timestamp());
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if next_update.is_some_and(|next| u64::try_from(next).unwrap_or(0) < now) {
            // Refused callers are worse than none only if nobody knows why.
            warn!(
                path = %path.display(),
                issuer = %parsed.issuer(),
                "the revocation list is past its next update; callers that it speaks of are refused until it is renewed"
            );
        }
    }
    Ok(lists)
}

/// From when to when a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Validity {
    pub(super) fn check(&self, path: &Path, now: SystemTime) -> Result<(), TlsError> {
        if now < self.not_before {
            return Err(TlsError::NotYetValid {
                path: path.to_owned(),
                not_before: self.not_before,
            });
        }
        if now > self.not_after {
            return Err(TlsError::Expired {
                path: path.to_owned(),
                not_after: self.not_after,
            });
        }
        Ok(())
    }
}

/// The validity of a certificate; `path` is for the error.
pub(crate) fn validity_of(path: &Path, certificate: &CertificateDer<'_>) -> Result<Validity, TlsError> {
    let malformed = |reason: String| TlsError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| malformed(error.to_string()))?;
    // Dates before 1970 all mean "long ago" here.
    let time = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let validity = certificate.validity();
    Ok(Validity {
        not_before: time(validity.not_before.timestamp()),
        not_after: time(validity.not_after.timestamp()),
    })
}

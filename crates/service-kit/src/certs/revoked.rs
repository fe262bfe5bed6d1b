//! Certificates that were good once: the authority's list of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer,
    pem::{self, PemObject},
};
use x509_parser::{
    prelude::{FromDer, X509Certificate},
    revocation_list::CertificateRevocationList,
};

use super::{
    CLOCK_SKEW, CertificateError, DevelopmentCa, LEAF_LIFE, PUBLIC, ShownCertificate, due, is_signed_by, lock,
    read_if_present, write_atomically,
};
use crate::tls::Validity;

/// The list's name in the authority's folder.
const LIST: &str = "crl.pem";

/// What an authority says of the certificates that it takes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    /// The file.
    pub path: PathBuf,
    /// The authority's name, encoded.
    issuer: Vec<u8>,
    number: u64,
    validity: Validity,
    /// When each was revoked, by its serial number.
    revoked: BTreeMap<Vec<u8>, SystemTime>,
}

/// What became of a revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The list.
    pub list: PathBuf,
    /// Whether the certificate was on it before.
    pub before: bool,
}

impl RevocationList {
    /// The list in an authority's folder, without opening it as an authority. None when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn in_folder(folder: &Path) -> Result<Option<Self>, CertificateError> {
        Ok(Self::read(folder)?.map(|(list, _)| list))
    }

    /// When the certificate was revoked. None when this list's authority has not revoked it.
    pub fn revoked_at(&self, certificate: &ShownCertificate) -> Option<SystemTime> {
        let own = certificate.raw_issuer == self.issuer;
        self.revoked.get(&certificate.raw_serial).copied().filter(|_| own)
    }

    /// The list in an authority's folder, with its encoded form.
    fn read(folder: &Path) -> Result<Option<(Self, CertificateRevocationListDer<'static>)>, CertificateError> {
        let path = folder.join(LIST);
        let text = read_if_present(&path)?;
        text.map(|text| Self::parse(path, &text)).transpose()
    }

    fn parse(path: PathBuf, text: &[u8]) -> Result<(Self, CertificateRevocationListDer<'static>), CertificateError> {
        let malformed = |reason: String| CertificateError::List {
            path: path.clone(),
            reason,
        };
        let list = CertificateRevocationListDer::from_pem_slice(text).map_err(|error| match error {
            pem::Error::NoItemsFound => malformed("there is no revocation list in it".to_owned()),
            error => malformed(error.to_string()),
        })?;
        let (_, parsed) = CertificateRevocationList::from_der(&list).map_err(|error| malformed(error.to_string()))?;
        let time = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let revoked = parsed.iter_revoked_certificates().map(|entry| {
            let at = time(entry.revocation_date.timestamp());
            (entry.serial().to_bytes_be(), at)
        });
        let read = Self {
            issuer: parsed.issuer().as_raw().to_vec(),
            number: parsed
                .crl_number()
                .and_then(|number| u64::try_from(number).ok())
                .unwrap_or_default(),
            validity: Validity {
                not_before: time(parsed.last_update().timestamp()),
                not_after: time(parsed.next_update().map_or(i64::MAX, |next| next.timestamp())),
            },
            revoked: revoked.collect(),
            path: path.clone(),
        };
        Ok((read, list))
    }
}

impl DevelopmentCa {
    /// The authority's revocation list: made when there is none, and anew when less than a third of its 90 days is left,
    /// after which servers refuse everybody.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not this authority's list.
    pub fn keep_revocation_list(&self) -> Result<PathBuf, CertificateError> {
        let _lock = lock(&self.folder)?;
        match self.revocation_list()? {
            Some(list) if !due(list.validity) => Ok(list.path),
            Some(list) => self.write_list(list.number, &list.revoked),
            None => self.write_list(0, &BTreeMap::new()),
        }
    }

    /// Puts the first certificate of a file on the authority's revocation list, which is made if there is none.
    ///
    /// # Errors
    /// When the certificate is not one that this authority has issued, or a file cannot be read or written.
    pub fn revoke(&self, path: &Path) -> Result<Revocation, CertificateError> {
        let shown = ShownCertificate::read(path).map_err(CertificateError::Certificate)?;
        let certificate = CertificateDer::from(shown.encoded.as_slice());
        // Its own would be signed by it as well, but nobody looks an authority up.
        if shown.is_authority || !is_signed_by(&certificate, &self.certificate) {
            return Err(CertificateError::NotIssued { path: path.to_owned() });
        }
        let _lock = lock(&self.folder)?;
        let (number, mut revoked) = match self.revocation_list()? {
            Some(list) => (list.number, list.revoked),
            None => (0, BTreeMap::new()),
        };
        let before = revoked.contains_key(&shown.raw_serial);
        revoked.entry(shown.raw_serial).or_insert_with(SystemTime::now);
        let list = self.write_list(number, &revoked)?;
        Ok(Revocation { list, before })
    }

    /// The list as it is, which must be this authority's: another's would be lost by writing ours.
    pub(super) fn revocation_list(&self) -> Result<Option<RevocationList>, CertificateError> {
        let Some((list, encoded)) = RevocationList::read(&self.folder)? else {
            return Ok(None);
        };
        let foreign = |reason: String| CertificateError::List {
            path: list.path.clone(),
            reason,
        };
        let (_, parsed) = CertificateRevocationList::from_der(&encoded).map_err(|error| foreign(error.to_string()))?;
        let (_, authority) =
            X509Certificate::from_der(&self.certificate).map_err(|error| foreign(error.to_string()))?;
        parsed
            .verify_signature(authority.public_key())
            .map_err(|_| foreign("it is another authority's list; move it away".to_owned()))?;
        Ok(Some(list))
    }

    fn write_list(&self, number: u64, revoked: &BTreeMap<Vec<u8>, SystemTime>) -> Result<PathBuf, CertificateError> {
        let path = self.folder.join(LIST);
        let now = SystemTime::now();
        let revoked_certs = revoked.iter().map(|(serial, at)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: (*at).into(),
            reason_code: None,
            invalidity_date: None,
        });
        let parameters = CertificateRevocationListParams {
            this_update: (now - CLOCK_SKEW).into(),
            next_update: (now + LEAF_LIFE).into(),
            crl_number: SerialNumber::from(number + 1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = parameters.signed_by(&self.issuer).and_then(|list| list.pem());
        let text = signed.map_err(|source| CertificateError::Generate {
            path: path.clone(),
            source,
        })?;
        write_atomically(&path, text.as_bytes(), PUBLIC)?;
        Ok(path)
    }
}

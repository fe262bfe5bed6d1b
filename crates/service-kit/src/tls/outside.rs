//! TLS towards servers that are not ours: files that others wrote, for certificates that bear no identity of ours.

use std::{path::Path, time::SystemTime};

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use super::{
    TlsError,
    files::{check_one_valid, parse_certificates, parse_key, validity_of},
};

/// The authorities of a PEM text as people paste it: several certificates, comments, any line ends. At least one must
/// be valid at `now`. `path` is for the error.
///
/// # Errors
/// A [`TlsError`] that names the file and what is wrong with it.
pub fn check_authorities(path: &Path, text: &[u8], now: SystemTime) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let authorities = parse_certificates(path, text)?;
    check_one_valid(path, &authorities, now)?;
    Ok(authorities)
}

/// Checks a client's certificate and its key: both can be read, belong together, and are valid at `now`. Each is a
/// path, for the error, and the PEM text there.
///
/// # Errors
/// A [`TlsError`] that names the file and what is wrong with it.
pub fn check_client_pair(
    (cert_path, cert): (&Path, &[u8]),
    (key_path, key): (&Path, &[u8]),
    now: SystemTime,
) -> Result<(), TlsError> {
    let chain = parse_certificates(cert_path, cert)?;
    if let Some(leaf) = chain.first() {
        validity_of(cert_path, leaf)?.check(cert_path, now)?;
    }
    let key = parse_key(key_path, key)?;
    match CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::KeyMismatch {
            cert: cert_path.to_owned(),
            key: key_path.to_owned(),
        }),
        Err(error) => Err(TlsError::Malformed {
            path: key_path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{TrustDomain, certs::DevelopmentCa};

    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    #[test]
    fn files_are_taken_as_people_write_them_and_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let authority = DevelopmentCa::open_or_create(folder.path(), TrustDomain::default()).unwrap();
        let (one, other) = (
            authority.issue_service("one").unwrap(),
            authority.issue_service("other").unwrap(),
        );
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let (ca, cert, key) = (read(&one.ca), read(&one.cert), read(&one.key));
        let now = SystemTime::now();
        let authorities = |text: &str, now| {
            check_authorities(Path::new("ca.pem"), text.as_bytes(), now).map_err(|error| error.to_string())
        };
        let pair = |cert: &str, key: &str, now| {
            check_client_pair(
                (Path::new("cert.pem"), cert.as_bytes()),
                (Path::new("key.pem"), key.as_bytes()),
                now,
            )
            .map_err(|error| error.to_string())
        };

        let bundle = format!(
            "# ours, since 2020\r\n\r\n{}\r\n# again\n{ca}",
            ca.replace('\n', "\r\n")
        );
        assert_eq!(authorities(&bundle, now).unwrap().len(), 2);
        assert_eq!(pair(&cert, &key, now), Ok(()));

        for (refused, expected) in [
            (
                authorities("# none", now).map(drop),
                "ca.pem: there is no certificate in it",
            ),
            (
                authorities(&ca.replace("-----END", "-----FIN"), now).map(drop),
                "ca.pem: ",
            ),
            (
                authorities(&ca, now + 20 * YEAR).map(drop),
                "ca.pem: the certificate expired at",
            ),
            (
                authorities(&ca, now - YEAR).map(drop),
                "ca.pem: the certificate is valid only from",
            ),
            (pair(&cert, "", now), "key.pem: there is no private key in it"),
            (pair("", &key, now), "cert.pem: there is no certificate in it"),
            (
                pair(&cert, &read(&other.key), now),
                "key.pem: the key does not match the certificate in cert.pem",
            ),
            (pair(&cert, &key, now + YEAR), "cert.pem: the certificate expired at"),
        ] {
            let error = refused.unwrap_err();
            assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
        }
    }
}

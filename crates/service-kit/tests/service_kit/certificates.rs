//! The files of the development authority, and what is said of files that cannot be used.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, DnType, Issuer, KeyPair, SanType};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use service_kit::{
    Identity, TrustDomain,
    certs::{CertificateAge, DevelopmentCa, ShownCertificate, certificates_in},
    identity::IdentityError,
    tls::{TlsFiles, TlsMaterial},
};

use crate::support::{Authority, SERVER, write};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Replaces the certificate and the key in `files` by one that the authority signs, with the given names and times.
fn replace_certificate(
    authority: &Authority,
    files: &TlsFiles,
    uris: &[&str],
    not_before: SystemTime,
    not_after: SystemTime,
) {
    let folder = authority.folder.path();
    let authority_key = KeyPair::from_pem(&fs::read_to_string(folder.join("ca-key.pem")).unwrap()).unwrap();
    let authority_certificate = fs::read_to_string(folder.join("ca.pem")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&authority_certificate, authority_key).unwrap();
    let mut parameters = CertificateParams::default();
    parameters.not_before = not_before.into();
    parameters.not_after = not_after.into();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "made for a test");
    parameters.subject_alt_names = uris
        .iter()
        .map(|uri| SanType::URI((*uri).try_into().unwrap()))
        .collect();
    let key = KeyPair::generate().unwrap();
    write(&files.cert, &parameters.signed_by(&key, &issuer).unwrap().pem());
    write(&files.key, &key.serialize_pem());
}

fn failure(files: &TlsFiles) -> String {
    let message = TlsMaterial::load(files.clone()).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message:?}");
    message
}

#[test]
fn files_are_kept_private_and_used_again() {
    let authority = Authority::new();
    let files = authority.ca.issue_service(SERVER).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&files.key), 0o600);
    assert_eq!(mode(&authority.folder.path().join("ca-key.pem")), 0o600);
    assert_eq!(mode(&files.cert), 0o644);

    let issued = fs::read(&files.cert).unwrap();
    let again = DevelopmentCa::open_or_create(authority.folder.path(), TrustDomain::default()).unwrap();
    assert_eq!(again.issue_service(SERVER).unwrap(), files);
    assert_eq!(fs::read(&files.cert).unwrap(), issued);
}

#[test]
fn identities_stand_in_the_certificates() {
    let authority = Authority::new();
    let longest = "c".repeat(253);
    let cluster = authority.ca.issue_cluster(&longest).unwrap();
    let certificate = CertificateDer::from_pem_file(&cluster.cert).unwrap();
    assert_eq!(
        Identity::from_certificate(&certificate).unwrap().cluster_id(),
        Some(longest.as_str())
    );
    assert!(authority.ca.issue_cluster("..").is_err());
    assert!(authority.ca.issue_service("../ca").is_err());
    let nonsense = Identity::from_certificate(&CertificateDer::from_slice(b"nonsense")).unwrap_err();
    assert!(matches!(nonsense, IdentityError::Certificate(_)));
}

#[test]
fn certificates_are_issued_anew_when_due_or_damaged() {
    let authority = Authority::new();
    let files = authority.ca.issue_service(SERVER).unwrap();
    let own = format!("spiffe://fedcost/service/{SERVER}");
    let now = SystemTime::now();
    let reissued = || {
        let before = fs::read(&files.cert).unwrap();
        authority.ca.issue_service(SERVER).unwrap();
        TlsMaterial::load(files.clone()).unwrap();
        fs::read(&files.cert).unwrap() != before
    };

    replace_certificate(&authority, &files, &[&own], now - DAY, now + 3 * DAY);
    assert!(!reissued(), "three quarters of its life are left");
    replace_certificate(&authority, &files, &[&own], now - 3 * DAY, now + DAY);
    assert!(reissued(), "a quarter of its life is left");
    replace_certificate(&authority, &files, &[&own], now - 3 * DAY, now - DAY);
    assert!(reissued(), "expired");
    replace_certificate(
        &authority,
        &files,
        &["spiffe://fedcost/service/other"],
        now - DAY,
        now + 3 * DAY,
    );
    assert!(reissued(), "says another identity");
    replace_certificate(&Authority::new(), &files, &[&own], now - DAY, now + 3 * DAY);
    assert!(reissued(), "signed by another authority");
    write(&files.key, "");
    assert!(reissued(), "lost its key");
}

#[test]
fn bundles_with_remarks_blank_lines_and_windows_line_ends_load() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = authority.ca.issue_service(SERVER).unwrap();
    let read = |authority: &Authority| fs::read_to_string(authority.folder.path().join("ca.pem")).unwrap();
    let bundle = format!(
        "# the old one\n{}\n\n# the new one\n\n{}\n",
        read(&other),
        read(&authority)
    );
    let path = authority.folder.path().join("bundle.pem");
    write(&path, &bundle.replace("\r\n", "\n").replace('\n', "\r\n"));
    let tls = TlsMaterial::load(TlsFiles { ca: path, ..files }).unwrap();
    assert_eq!(tls.identity().service_name(), Some(SERVER));
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let authority = Authority::new();
    let files = authority.ca.issue_service(SERVER).unwrap();
    let (cert, key) = (files.cert.display().to_string(), files.key.display().to_string());
    let now = SystemTime::now();
    let own = format!("spiffe://fedcost/service/{SERVER}");

    let missing = TlsFiles {
        ca: "nowhere.pem".into(),
        ..files.clone()
    };
    assert!(
        failure(&missing).starts_with("nowhere.pem: cannot be read: No such file"),
        "{}",
        failure(&missing)
    );
    let swapped = TlsFiles {
        ca: files.key.clone(),
        ..files.clone()
    };
    assert!(
        failure(&swapped).starts_with(&format!("{key}: there is no certificate in it")),
        "{}",
        failure(&swapped)
    );
    let swapped = TlsFiles {
        key: files.cert.clone(),
        ..files.clone()
    };
    assert!(
        failure(&swapped).starts_with(&format!("{cert}: there is no private key in it")),
        "{}",
        failure(&swapped)
    );

    replace_certificate(&authority, &files, &[&own], now - 3 * DAY, now - DAY);
    assert!(
        failure(&files).starts_with(&format!("{cert}: the certificate expired at 20")),
        "{}",
        failure(&files)
    );
    replace_certificate(&authority, &files, &[&own], now + DAY, now + 3 * DAY);
    assert!(
        failure(&files).starts_with(&format!("{cert}: the certificate is valid only from 20")),
        "{}",
        failure(&files)
    );
    replace_certificate(&authority, &files, &[], now - DAY, now + DAY);
    assert!(
        failure(&files).starts_with(&format!("{cert}: the certificate has no URI")),
        "{}",
        failure(&files)
    );
    replace_certificate(&authority, &files, &[&own, "https://example.org"], now - DAY, now + DAY);
    assert!(
        failure(&files).starts_with(&format!("{cert}: the certificate has 2 URIs")),
        "{}",
        failure(&files)
    );
    write(&files.cert, "-----BEGIN CERTIFICATE-----\nAAAA\n");
    assert!(failure(&files).starts_with(&format!("{cert}: ")), "{}", failure(&files));
}

#[test]
fn certificates_are_shown_as_they_are() {
    let authority = Authority::new();
    let folder = authority.folder.path();
    let service = authority.ca.issue_service(SERVER).unwrap();
    let cluster = authority.ca.issue_cluster("prod-eu").unwrap();
    assert_eq!(
        certificates_in(folder).unwrap(),
        [folder.join("ca.pem"), service.cert.clone(), cluster.cert.clone()]
    );
    let shown = ShownCertificate::read(&service.cert).unwrap();
    assert_eq!(shown.identity.unwrap().service_name(), Some(SERVER));
    assert_eq!(shown.names, ["localhost", SERVER, "127.0.0.1", "::1"]);
    let ca = ShownCertificate::read(&folder.join("ca.pem")).unwrap();
    assert!(ca.is_authority && ca.identity.is_err());
    assert_eq!((shown.issuer, ca.age()), (ca.subject.clone(), CertificateAge::Valid));

    let now = SystemTime::now();
    for (from, to, age) in [
        (now - 9 * DAY, now + DAY, CertificateAge::Due),
        (now - 9 * DAY, now - DAY, CertificateAge::Expired),
        (now + DAY, now + 9 * DAY, CertificateAge::NotYetValid),
    ] {
        replace_certificate(&authority, &cluster, &["spiffe://fedcost/cluster/prod-eu"], from, to);
        assert_eq!(ShownCertificate::read(&cluster.cert).unwrap().age(), age);
    }
    // An empty folder holds none; looking at it does not make an authority.
    let empty = tempfile::tempdir().unwrap();
    assert!(certificates_in(empty.path()).unwrap().is_empty());
    assert!(fs::read_dir(empty.path()).unwrap().next().is_none());
}

#[test]
fn what_was_issued_can_be_renewed_at_will() {
    let authority = Authority::new();
    let files = authority.ca.issue_service(SERVER).unwrap();
    authority.ca.issue_cluster("prod-eu").unwrap();
    fs::create_dir(authority.folder.path().join("service/Not a service")).unwrap();
    let issued = authority.ca.issued().unwrap();
    let names: Vec<_> = issued.iter().map(Identity::to_string).collect();
    assert_eq!(
        names,
        [
            "spiffe://fedcost/service/ingest-svc",
            "spiffe://fedcost/cluster/prod-eu"
        ]
    );
    let serial = || ShownCertificate::read(&files.cert).unwrap().serial;
    let first = serial();
    authority.ca.issue(&issued[0]).unwrap();
    assert_eq!(serial(), first);
    authority.ca.renew(&issued[0]).unwrap();
    assert_ne!(serial(), first);
    TlsMaterial::load(files.clone()).unwrap();
}

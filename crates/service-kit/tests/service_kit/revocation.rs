//! Certificates that were good once: revocation lists.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use service_kit::{
    certs::{CertificateError, DevelopmentCa, RevocationList, ShownCertificate},
    tls::{TlsFiles, TlsMaterial},
};
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::support::{Authority, CALLER, Running, SERVER, eventually, who_am_i, write};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A list of the authority's that revokes the certificates in these files.
fn list(authority: &Authority, revoked: &[&TlsFiles], next_update: SystemTime) -> String {
    let read = |name: &str| fs::read_to_string(authority.folder.path().join(name)).unwrap();
    let key = KeyPair::from_pem(&read("ca-key.pem")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("ca.pem"), key).unwrap();
    let issued = SystemTime::now() - 2 * HOUR;
    let revoked_certs = revoked.iter().map(|files| {
        let certificate = CertificateDer::from_pem_file(&files.cert).unwrap();
        let (_, certificate) = X509Certificate::from_der(&certificate).unwrap();
        RevokedCertParams {
            serial_number: SerialNumber::from_slice(certificate.raw_serial()),
            revocation_time: issued.into(),
            reason_code: None,
            invalidity_date: None,
        }
    });
    let parameters = CertificateRevocationListParams {
        this_update: issued.into(),
        next_update: next_update.into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    parameters.signed_by(&issuer).unwrap().pem().unwrap()
}

fn server_with_list(authority: &Authority, text: &str) -> (PathBuf, TlsFiles) {
    let path = authority.folder.path().join("crl.pem");
    write(&path, text);
    let files = TlsFiles {
        crl: Some(path.clone()),
        ..authority.ca.issue_service(SERVER).unwrap()
    };
    (path, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_list_holds_for_new_connections_without_a_restart() {
    let authority = Authority::new();
    let next = SystemTime::now() + HOUR;
    let (path, files) = server_with_list(&authority, &list(&authority, &[], next));
    let tls = TlsMaterial::load(files).unwrap();
    let stop = CancellationToken::new();
    let reloading = tls.spawn_reload(Duration::from_millis(20), stop.clone());
    let running = Running::start(Arc::clone(&tls)).await;
    let stolen = authority.ca.issue_service("gateway-svc").unwrap();
    let stolen_tls = TlsMaterial::load(stolen.clone()).unwrap();
    let mut old = running.client(&stolen_tls);
    who_am_i(&mut old).await.unwrap();

    write(&path, &list(&authority, &[&stolen], next));
    eventually("the certificate is refused", async || {
        who_am_i(&mut running.client(&stolen_tls)).await.is_err()
    })
    .await;
    // Everybody else goes on, and so does the connection that was open, until it comes of age.
    who_am_i(&mut running.client(&authority.service(CALLER))).await.unwrap();
    who_am_i(&mut old).await.unwrap();

    stop.cancel();
    reloading.await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_out_of_date_lets_nobody_in() {
    let authority = Authority::new();
    let past = SystemTime::now() - HOUR;
    let (_path, files) = server_with_list(&authority, &list(&authority, &[], past));
    let running = Running::start(TlsMaterial::load(files).unwrap()).await;
    assert!(who_am_i(&mut running.client(&authority.service(CALLER))).await.is_err());
    running.stop().await;
}

#[test]
fn a_list_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let good = list(&authority, &[], SystemTime::now() + HOUR);
    let (path, files) = server_with_list(&authority, &good);
    TlsMaterial::load(files.clone()).unwrap();
    let broken = good.replace("\nM", "\n!");
    for (text, expected) in [
        ("", "there is no revocation list in it"),
        ("# none yet\n", "there is no revocation list in it"),
        (broken.as_str(), "crl.pem: "),
    ] {
        write(&path, text);
        let message = TlsMaterial::load(files.clone()).unwrap_err().to_string();
        assert!(
            message.contains(expected) && message.contains("crl.pem"),
            "{text:?}: {message}"
        );
    }
    fs::remove_file(&path).unwrap();
    let message = TlsMaterial::load(files).unwrap_err().to_string();
    assert!(message.contains("crl.pem: cannot be read"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_refuses_what_its_authority_has_revoked() {
    let authority = Authority::new();
    let crl = authority.ca.keep_revocation_list().unwrap();
    let files = TlsFiles {
        crl: Some(crl.clone()),
        ..authority.ca.issue_service(SERVER).unwrap()
    };
    let tls = TlsMaterial::load(files).unwrap();
    let running = Running::start(Arc::clone(&tls)).await;
    let own = authority.ca.issue_service("gateway-svc").unwrap();
    let stolen = TlsMaterial::load(own.clone()).unwrap();
    who_am_i(&mut running.client(&stolen)).await.unwrap();

    let revocation = authority.ca.revoke(&own.cert).unwrap();
    assert_eq!((revocation.list, revocation.before), (crl, false));
    assert!(tls.reload().unwrap());
    assert!(who_am_i(&mut running.client(&stolen)).await.is_err());
    who_am_i(&mut running.client(&authority.service(CALLER))).await.unwrap();
    // Its holder is given another, and gets in again.
    assert_eq!(authority.ca.issue_service("gateway-svc").unwrap(), own);
    let renewed = TlsMaterial::load(own).unwrap();
    who_am_i(&mut running.client(&renewed)).await.unwrap();
    assert!(who_am_i(&mut running.client(&stolen)).await.is_err());
    running.stop().await;
}

#[test]
fn the_list_names_what_was_revoked_and_when() {
    let authority = Authority::new();
    let folder = authority.folder.path();
    assert_eq!(RevocationList::in_folder(folder).unwrap(), None);
    let begun = SystemTime::now() - Duration::from_secs(1);
    let shown = |files: &TlsFiles| ShownCertificate::read(&files.cert).unwrap();
    // Many, as serial numbers are encoded in several ways.
    let clusters: Vec<_> = (0..20)
        .map(|number| authority.ca.issue_cluster(&format!("cluster-{number}")).unwrap())
        .collect();
    let good = authority.ca.issue_service(CALLER).unwrap();
    for files in &clusters {
        assert!(!authority.ca.revoke(&files.cert).unwrap().before);
    }
    let first = RevocationList::in_folder(folder).unwrap().unwrap();
    assert!(authority.ca.revoke(&clusters[0].cert).unwrap().before);
    // Opened again, as by the next command.
    let again = DevelopmentCa::open_or_create(folder, service_kit::TrustDomain::default()).unwrap();
    again.revoke(&clusters[1].cert).unwrap();
    again.keep_revocation_list().unwrap();

    let list = RevocationList::in_folder(folder).unwrap().unwrap();
    for files in &clusters {
        let at = list.revoked_at(&shown(files)).unwrap();
        assert!(begun <= at && at <= SystemTime::now(), "{at:?}");
        assert_eq!(first.revoked_at(&shown(files)), Some(at));
    }
    assert_eq!(list.revoked_at(&shown(&good)), None);
    let identity = shown(&clusters[2]).identity.unwrap();
    assert!(again.is_revoked(&identity).unwrap());
    again.issue(&identity).unwrap();
    assert!(!again.is_revoked(&identity).unwrap());
}

#[test]
fn only_what_the_authority_has_issued_is_revoked() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let theirs = stranger.ca.issue_service(CALLER).unwrap();
    for path in [theirs.cert, authority.folder.path().join("ca.pem")] {
        let error = authority.ca.revoke(&path).unwrap_err();
        assert!(matches!(error, CertificateError::NotIssued { .. }), "{error}");
    }
    let own = authority.ca.issue_service(CALLER).unwrap();
    let theirs = stranger.ca.keep_revocation_list().unwrap();
    let present = authority.folder.path().join("crl.pem");
    fs::copy(theirs, &present).unwrap();
    let before = fs::read(&present).unwrap();
    let error = authority.ca.revoke(&own.cert).unwrap_err().to_string();
    assert!(error.contains("another authority's list"), "{error}");
    assert_eq!(fs::read(&present).unwrap(), before);
}

#[test]
fn a_list_is_made_anew_before_it_is_out_of_date() {
    let authority = Authority::new();
    let own = authority.ca.issue_service(CALLER).unwrap();
    let path = authority.folder.path().join("crl.pem");
    // Two hours of its three are over.
    write(
        &path,
        &list(&authority, &[&own], SystemTime::now() + HOUR - Duration::from_secs(1)),
    );
    authority.ca.keep_revocation_list().unwrap();
    let renewed = fs::read(&path).unwrap();
    let kept = RevocationList::in_folder(authority.folder.path()).unwrap().unwrap();
    assert!(kept.revoked_at(&ShownCertificate::read(&own.cert).unwrap()).is_some());
    authority.ca.keep_revocation_list().unwrap();
    assert_eq!(fs::read(&path).unwrap(), renewed);
    let server = TlsFiles {
        crl: Some(path),
        ..authority.ca.issue_service(SERVER).unwrap()
    };
    TlsMaterial::load(server).unwrap();
}

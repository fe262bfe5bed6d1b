//! Who does not get in at all, whatever the policy says.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use rcgen::{
    CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, Issuer, KeyIdMethod, KeyPair,
    RevokedCertParams, SanType, SerialNumber,
};
use rustls::{
    ClientConfig, RootCertStore,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use service_kit::{TrustDomain, certs::DevelopmentCa};
use storage_svc::{Limits, StoreConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::harness::{Gateway, directory};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A certificate and its key.
type Shown = (CertificateDer<'static>, PrivateKeyDer<'static>);

struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// An authority whose key lies in a folder.
    fn of(folder: PathBuf) -> Self {
        DevelopmentCa::open_or_create(&folder, TrustDomain::default()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let key = KeyPair::from_pem(&read("ca-key.pem")).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&read("ca.pem"), key).unwrap();
        Self { folder, issuer }
    }

    /// A cluster's certificate that is valid from and to so many hours from now.
    fn issue(&self, hours: (i64, i64), serial: u64) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        let at = |hours: i64| {
            let offset = Duration::from_secs(hours.unsigned_abs() * 3600);
            let now = std::time::SystemTime::now();
            if hours < 0 { now - offset } else { now + offset }
        };
        parameters.not_before = at(hours.0).into();
        parameters.not_after = at(hours.1).into();
        parameters.serial_number = Some(SerialNumber::from(serial));
        parameters.subject_alt_names = vec![SanType::URI("spiffe://fedcost/cluster/a".try_into().unwrap())];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.into(), key)
    }

    fn revoke(&self, serial: u64) -> PathBuf {
        let now = std::time::SystemTime::now();
        let hour = Duration::from_secs(3600);
        let list = CertificateRevocationListParams {
            this_update: (now - hour).into(),
            next_update: (now + hour).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: (now - hour).into(),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = self.folder.join("crl.pem");
        fs::write(&path, list.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        path
    }
}

/// Connects as shown and speaks HTTP/2. What the server answers, or why it does not.
async fn speak(
    gateway: &Gateway,
    shown: Option<Shown>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    let ca = gateway.directory.path().join("certs/ca.pem");
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    let mut config = match shown {
        Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(gateway.address.trim_start_matches("https://"))
        .await
        .unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .map_err(|error| error.to_string())?;
    // In TLS 1.3 the refusal may come before this, or after it.
    let _refused = stream.write_all(PREFACE).await;
    match stream.read(&mut [0; 64]).await {
        Ok(0) => Err("closed".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn only_a_present_certificate_of_our_authority_over_tls_1_3_gets_in() {
    let (good, revoked) = (7, 8);
    let gateway = Gateway::local().await;
    let folder = gateway.directory.path().join("certs");
    let authority = Authority::of(folder);
    let stranger = Authority::of(gateway.directory.path().join("stranger"));

    // Without a list a certificate cannot be known to be revoked.
    for serial in [good, revoked] {
        assert_eq!(
            speak(&gateway, Some(authority.issue((-1, 1), serial)), &[&TLS13]).await,
            Ok(())
        );
    }
    let expired = "CertificateExpired";
    let refusals = [
        (
            "another authority",
            Some(stranger.issue((-1, 1), good)),
            TLS13_ONLY,
            "UnknownCA",
        ),
        ("expired", Some(authority.issue((-2, -1), good)), TLS13_ONLY, expired),
        (
            "not yet valid",
            Some(authority.issue((1, 2), good)),
            TLS13_ONLY,
            expired,
        ),
        ("no certificate", None, TLS13_ONLY, "CertificateRequired"),
        (
            "tls 1.2",
            Some(authority.issue((-1, 1), good)),
            TLS12_ONLY,
            "ProtocolVersion",
        ),
    ];
    for (what, shown, versions, expected) in refusals {
        let error = speak(&gateway, shown, versions).await.unwrap_err();
        assert!(error.contains(expected), "{what}: {error}");
    }

    let mut plain = TcpStream::connect(gateway.address.trim_start_matches("https://"))
        .await
        .unwrap();
    plain.write_all(PREFACE).await.unwrap();
    let mut answer = Vec::new();
    // Closed, or reset because what we sent was not read; either way no HTTP/2.
    let _closed = tokio::time::timeout(Duration::from_secs(5), plain.read_to_end(&mut answer))
        .await
        .expect("the connection ends");
    // At most an alert, which is a TLS record of type 21.
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
    gateway.stop().await;
}

const TLS12_ONLY: &[&rustls::SupportedProtocolVersion] = &[&TLS12];
const TLS13_ONLY: &[&rustls::SupportedProtocolVersion] = &[&TLS13];

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let directory = directory();
    let store = StoreConfig::directory(directory.path().join("bucket"));
    let folder = directory.path().join("certs");
    let gateway = Gateway::start_with_list(directory, store, Limits::default(), |_| {
        Some(Authority::of(folder.clone()).revoke(8))
    })
    .await;
    let authority = Authority::of(folder);
    assert_eq!(
        speak(&gateway, Some(authority.issue((-1, 1), 7)), TLS13_ONLY).await,
        Ok(())
    );
    let error = speak(&gateway, Some(authority.issue((-1, 1), 8)), TLS13_ONLY)
        .await
        .unwrap_err();
    assert!(error.contains("CertificateRevoked"), "{error}");
    gateway.stop().await;
}

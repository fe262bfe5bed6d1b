//! Who gets in, who does not, and what renewed files change.

use std::{fs, sync::Arc, time::Duration};

use fedcost_proto::ingest::v1::{WatchStatusRequest, ingest_service_client::IngestServiceClient};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use service_kit::{
    Identity, TrustDomain,
    certs::DevelopmentCa,
    client::{self, Endpoint, EndpointConfig},
    tls::{TlsFiles, TlsMaterial},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::support::{Authority, CALLER, Running, SERVER, eventually, trust_domain, who_am_i, write};

async fn connect(running: &Running, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(running.address).await.unwrap();
    TlsConnector::from(config)
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_certificate_gets_in_and_is_known() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let mut client = running.client(&authority.service(CALLER));
    assert_eq!(
        who_am_i(&mut client).await.unwrap(),
        "spiffe://fedcost/service/query-svc"
    );
    running
        .expect_number(r#"tls_handshakes_total{server="ingest-svc",outcome="Accepted"} 1"#)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_certificate_is_refused() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority.folder.path().join("ca.pem")).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];

    // In TLS 1.3 the client is done before the server has seen that nothing was shown, so this succeeds.
    let mut stream = connect(&running, Arc::new(config)).await;
    // The refusal may already stand in the way of writing.
    let _refused = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    running
        .expect_number(r#"tls_handshakes_total{server="ingest-svc",outcome="Failed"} 1"#)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let running = Running::start(authority.service(SERVER)).await;
    // The stranger trusts our server, but shows what its own authority has issued.
    let own = stranger.ca.issue_service(CALLER).unwrap();
    let tls = TlsMaterial::load(TlsFiles {
        ca: authority.folder.path().join("ca.pem"),
        ..own
    })
    .unwrap();
    let status = who_am_i(&mut running.client(&tls)).await.unwrap_err();
    assert!(
        client::is_connection_failure(&status) && client::was_not_begun(&status),
        "{status:?}"
    );
    assert!(status.message().contains("UnknownCA"), "{status:?}");
    running
        .expect_number(r#"tls_handshakes_total{server="ingest-svc",outcome="Failed"} 1"#)
        .await;

    let honest = who_am_i(&mut running.client(&authority.service(CALLER))).await;
    assert!(honest.is_ok(), "{honest:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_authority_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let running = Running::start(stranger.service(SERVER)).await;
    let status = who_am_i(&mut running.client(&authority.service(CALLER)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("UnknownIssuer"), "{status:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_trust_domain_is_refused() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    // The same authority, so that TLS is content and the identity alone decides.
    let elsewhere = DevelopmentCa::open_or_create(authority.folder.path(), trust_domain("elsewhere")).unwrap();
    let tls = TlsMaterial::load(elsewhere.issue_service(CALLER).unwrap()).unwrap();
    let status = who_am_i(&mut running.client(&tls)).await.unwrap_err();
    assert!(
        client::is_connection_failure(&status) && client::was_not_begun(&status),
        "{status:?}"
    );
    assert!(status.message().contains("as soon as it was made"), "{status:?}");
    running
        .expect_number(r#"tls_handshakes_total{server="ingest-svc",outcome="Denied"} 1"#)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_identity_is_refused_by_the_client() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let mut client = IngestServiceClient::new(running.channel_expecting(&authority.service(CALLER), "storage-svc"));
    let status = who_am_i(&mut client).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let reason = "the server is spiffe://fedcost/service/ingest-svc, expected spiffe://fedcost/service/storage-svc";
    assert!(status.message().contains(reason), "{status:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_name_is_refused_by_the_client() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let config = EndpointConfig {
        server_name: Some("storage-svc".to_owned()),
        ..EndpointConfig::new(format!("https://{}", running.address))
    };
    let expected = Identity::service(TrustDomain::default(), SERVER).unwrap();
    let channel = Endpoint::new(&config, expected)
        .unwrap()
        .channel(&authority.service(CALLER));
    let status = who_am_i(&mut IngestServiceClient::new(channel)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("storage-svc"), "{status:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_files_serve_new_connections_while_a_stream_goes_on() {
    let authority = Authority::new();
    let server_tls = authority.service(SERVER);
    let stop_reloading = CancellationToken::new();
    let reloading = server_tls.spawn_reload(Duration::from_millis(20), stop_reloading.clone());
    let running = Running::start(Arc::clone(&server_tls)).await;
    let caller_tls = authority.service(CALLER);
    let mut client = running.client(&caller_tls);
    let mut watching = client.watch_status(WatchStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(watching.message().await.unwrap().unwrap().status.unwrap().cycle, 0);

    let files = authority.renew(SERVER);
    let renewed = CertificateDer::from_pem_file(&files.cert).unwrap();
    eventually("the renewed certificate is shown", async || {
        let stream = connect(&running, caller_tls.client_config()).await;
        stream.get_ref().1.peer_certificates().unwrap()[0] == renewed
    })
    .await;

    running.cycle.send_replace(7);
    assert_eq!(watching.message().await.unwrap().unwrap().status.unwrap().cycle, 7);
    drop(watching);
    stop_reloading.cancel();
    reloading.await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_change_nothing() {
    let authority = Authority::new();
    let files = authority.ca.issue_service(SERVER).unwrap();
    let tls = TlsMaterial::load(files.clone()).unwrap();
    let before = tls.server_config();
    assert!(!tls.reload().unwrap());

    let other = authority.ca.issue_service(CALLER).unwrap();
    let own_key = fs::read_to_string(&files.key).unwrap();
    write(&files.key, &fs::read_to_string(other.key).unwrap());
    let error = tls.reload().unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{}: the key does not match the certificate in {}",
            files.key.display(),
            files.cert.display()
        )
    );
    assert!(Arc::ptr_eq(&before, &tls.server_config()));

    write(&files.key, &format!("# the same key, with a remark\n{own_key}"));
    assert!(tls.reload().unwrap());
    assert!(!Arc::ptr_eq(&before, &tls.server_config()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_connects_anew_with_its_renewed_files() {
    let authority = Authority::new();
    let caller_tls = authority.service(CALLER);
    let running = Running::start(authority.service(SERVER)).await;
    let address = running.address;
    let mut client = running.client(&caller_tls);
    who_am_i(&mut client).await.unwrap();
    running.stop().await;

    // The caller becomes another service by its files alone; the same channel then says so.
    let (own, other) = (
        authority.ca.issue_service(CALLER).unwrap(),
        authority.ca.issue_service("gateway-svc").unwrap(),
    );
    fs::copy(&other.key, &own.key).unwrap();
    fs::copy(&other.cert, &own.cert).unwrap();
    assert!(caller_tls.reload().unwrap());
    let running = Running::start_at(address, authority.service(SERVER)).await;
    assert_eq!(
        who_am_i(&mut client).await.unwrap(),
        "spiffe://fedcost/service/gateway-svc"
    );
    running.stop().await;
}

//! Nobody without a certificate of ours reaches a service inside.

use std::{fs, net::SocketAddr};

use reqwest::{Certificate, Client, Identity, Version};
use service_kit::{TrustDomain, certs::DevelopmentCa, tls::TlsFiles};
use test_cluster::{TestCluster, TestOptions};

use crate::bucket::copy_of_golden;

/// The least that a window of HTTP/2 has unless told.
const WINDOW_BYTES: u32 = 65_535;

/// An HTTP/2 client that trusts the services' authority and shows this certificate, if any.
pub(crate) fn client(authority: &TlsFiles, identity: Option<&TlsFiles>) -> Client {
    let authority = Certificate::from_pem(&fs::read(&authority.ca).unwrap()).unwrap();
    let mut client = Client::builder()
        .use_rustls_tls()
        .tls_built_in_root_certs(false)
        .add_root_certificate(authority)
        .http2_prior_knowledge()
        // Little is sent ahead, so that who does not read keeps the sender waiting.
        .http2_initial_stream_window_size(WINDOW_BYTES)
        .http2_initial_connection_window_size(WINDOW_BYTES);
    if let Some(files) = identity {
        let mut pem = fs::read(&files.cert).unwrap();
        pem.extend(fs::read(&files.key).unwrap());
        client = client.identity(Identity::from_pem(&pem).unwrap());
    }
    client.build().unwrap()
}

/// Asks for the health of a server, as any gRPC client would: an empty message behind a five-byte prefix.
async fn health(client: &Client, address: SocketAddr) -> Result<u16, reqwest::Error> {
    let answer = client
        .post(format!("https://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(vec![0; 5])
        .send()
        .await?;
    assert_eq!(answer.version(), Version::HTTP_2);
    Ok(answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_certificates_are_let_in() {
    let bucket = copy_of_golden();
    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    cluster.refresh_and_wait().await.unwrap();
    let ours = cluster.service_files("gateway-svc").unwrap();
    let other_authority = cluster.folder().join("other");
    let others = DevelopmentCa::open_or_create(&other_authority, TrustDomain::default())
        .unwrap()
        .issue_service("gateway-svc")
        .unwrap();

    let addresses = cluster.addresses();
    for (name, address) in [
        ("storage-svc", addresses.storage),
        ("ingest-svc", addresses.ingest),
        ("query-svc", addresses.query),
    ] {
        let allowed = health(&client(&ours, Some(&ours)), address).await;
        assert_eq!(allowed.unwrap(), 200, "{name} with our certificate");
        let without = health(&client(&ours, None), address).await;
        assert!(without.is_err(), "{name} without a certificate: {without:?}");
        let foreign = health(&client(&ours, Some(&others)), address).await;
        assert!(
            foreign.is_err(),
            "{name} with another authority's certificate: {foreign:?}"
        );
        let plain = reqwest::get(format!("http://{address}/")).await;
        assert!(plain.is_err(), "{name} in plain text: {plain:?}");
    }
}

//! What a service tells those who run it.

use std::{net::SocketAddr, sync::Arc};

use service_kit::{
    admin::{self, AdminConfig},
    metrics::{self, ServerMetrics},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Authority, CALLER, Running, SERVER, eventually, who_am_i};

/// Status line, head and body of an answer.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(b"content-length: 0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_readiness_are_told() {
    let authority = Authority::new();
    let (registry, server_metrics) = metrics::registry(ServerMetrics::register);
    let running = Running::start_with(authority.service(SERVER), |server| server.with_metrics(server_metrics)).await;
    let config = AdminConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
    };
    let admin = admin::serve(&config, SERVER, registry, Arc::new(running.health.clone()))
        .await
        .unwrap();
    let address = admin.address();

    assert!(ask(address, "GET /livez").await.starts_with("HTTP/1.1 200"));
    let starting = ask(address, "GET /readyz").await;
    assert!(starting.starts_with("HTTP/1.1 503"), "{starting}");
    assert!(starting.ends_with("starting\n"), "{starting}");
    running.health.set_not_serving_because("the bucket is not reached");
    let away = ask(address, "GET /readyz").await;
    assert!(away.ends_with("the bucket is not reached\n"), "{away}");
    running.health.set_serving();
    assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 200"));

    let caller = authority.service(CALLER);
    who_am_i(&mut running.client(&caller)).await.unwrap();
    let expected = [
        "fedcost_grpc_server_rpcs_total{",
        "fedcost_tls_certificate_not_after_timestamp_seconds{server=",
        "process_resident_memory_bytes ",
        "application/openmetrics-text",
        "# EOF\n",
    ];
    eventually("the call among the metrics", async || {
        let exposition = ask(address, "GET /metrics").await;
        expected.iter().all(|text| exposition.contains(text))
    })
    .await;

    assert!(ask(address, "GET /secrets").await.starts_with("HTTP/1.1 404"));
    assert!(ask(address, "POST /metrics").await.starts_with("HTTP/1.1 405"));

    running.shutdown.cancel();
    eventually("why it is not ready any more", async || {
        ask(address, "GET /readyz").await.ends_with("shutting down\n")
    })
    .await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let (registry, ()) = metrics::registry(|_| ());
    let health = Arc::new(running.health.clone());
    let error = admin::serve(&AdminConfig { listen }, SERVER, registry, health)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("admin: cannot listen on {listen}: ")),
        "{error}"
    );
    running.stop().await;
}

//! The gateway over real HTTP, with no other service there: what it says by itself.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not marked as tests")]

use std::{net::SocketAddr, path::Path, time::Duration};

use gateway_svc::{Config, serve};
use reqwest::{Client, Response, StatusCode, header};
use serde_json::{Value, json};
use service_kit::{
    TrustDomain, certs::DevelopmentCa, client::EndpointConfig, config::CommonConfig, telemetry::LogConfig, tls,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

struct Gateway {
    client: Client,
    address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
    _folder: TempDir,
}

impl Gateway {
    async fn start() -> Self {
        tls::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = config(folder.path(), address).await;
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let served = tokio::spawn(async move { serve(config, listener, token).await.unwrap() });
        Self {
            client: Client::builder().no_proxy().no_gzip().build().unwrap(),
            address,
            shutdown,
            served,
            _folder: folder,
        }
    }

    async fn get(&self, path: &str) -> Response {
        self.client
            .get(format!("http://{}{path}", self.address))
            .send()
            .await
            .unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        drop(self.client);
        tokio::time::timeout(Duration::from_secs(10), self.served)
            .await
            .unwrap()
            .unwrap();
    }
}

async fn config(folder: &Path, listen: SocketAddr) -> Config {
    let authority = DevelopmentCa::open_or_create(folder, TrustDomain::default()).unwrap();
    let server = CommonConfig {
        listen,
        tls: authority.issue_service("gateway-svc").unwrap(),
        trust_domain: TrustDomain::default(),
        log: LogConfig::default(),
    };
    // A port that was free a moment ago, and that nobody listens on.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = EndpointConfig::new(format!("https://{nobody}"));
    Config::new(server, &nobody, &nobody).unwrap()
}

fn content_type(response: &Response) -> &str {
    response.headers()[header::CONTENT_TYPE].to_str().unwrap()
}

#[tokio::test]
async fn errors_are_json_under_model_and_text_elsewhere() {
    let gateway = Gateway::start().await;
    let cases = [
        (
            "allocation",
            StatusCode::BAD_REQUEST,
            "parameter window is missing; it takes 15m, 24h, 7d or 2w",
        ),
        (
            "allocation?window=",
            StatusCode::BAD_REQUEST,
            "parameter window is missing",
        ),
        (
            "allocation?window=soon",
            StatusCode::BAD_REQUEST,
            "parameter window got \"soon\"; it takes 15m",
        ),
        (
            "allocation?window=7d&aggregate=nods",
            StatusCode::BAD_REQUEST,
            "parameter aggregate got \"nods\"; it takes",
        ),
        (
            "allocation?window=7d&accumulate=year",
            StatusCode::BAD_REQUEST,
            "parameter accumulate got \"year\"",
        ),
        (
            "allocation?window=7d&step=1w",
            StatusCode::BAD_REQUEST,
            "parameter step got \"1w\"; it takes 1h or 1d",
        ),
        (
            "allocation?window=7d&idle=maybe",
            StatusCode::BAD_REQUEST,
            "parameter idle got \"maybe\"; it takes 1, t",
        ),
        (
            "allocation?window=7d&idle=true",
            StatusCode::NOT_IMPLEMENTED,
            "parameter idle is not supported yet",
        ),
        (
            "allocation?window=7d&filterNamespaces=a",
            StatusCode::NOT_IMPLEMENTED,
            "parameter filterNamespaces is not",
        ),
        (
            "assets?window=1,0",
            StatusCode::BAD_REQUEST,
            "parameter window got \"1,0\", which ends no later",
        ),
        (
            "assets?window=7d&aggregate=node",
            StatusCode::BAD_REQUEST,
            "parameter aggregate got \"node\"; it takes",
        ),
        (
            "assets?window=7d&filter=x",
            StatusCode::NOT_IMPLEMENTED,
            "parameter filter is not supported yet",
        ),
        ("nothing/here", StatusCode::NOT_FOUND, "there is nothing at /"),
    ];
    for (path, status, message) in cases {
        let response = gateway.get(&format!("/model/{path}")).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(content_type(&response), "application/json");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], status.as_u16());
        assert!(body["message"].as_str().unwrap().starts_with(message), "{path}: {body}");

        let response = gateway.get(&format!("/{path}")).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(content_type(&response), "text/plain; charset=utf-8");
        let body = response.text().await.unwrap();
        assert!(body.starts_with(message), "{path}: {body}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn questions_wait_for_the_services_behind() {
    let gateway = Gateway::start().await;
    for path in [
        "/model/allocation?window=7d&aggregate=namespace&idle=false&accumulate=&unknown=1",
        "/allocation/compute?window=2026-03-01T00:00:00Z,2026-03-01T23:59:59Z&step=1h&includeIdle=false",
        "/model/assets?window=lastweek&aggregate=type",
        "/assets?window=7d%20offset%201d",
    ] {
        let response = gateway.get(path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        let body = response.text().await.unwrap();
        assert!(body.contains("cost data is out of reach for the moment"), "{body}");
        assert!(!body.contains("127.0.0.1"), "{body}");
    }

    let response = gateway.get("/readyz").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        body,
        json!({"ready": false, "release": null, "reasons": ["query-svc: not reachable"]})
    );

    let response = gateway.get("/status").await;
    assert_eq!(response.status(), StatusCode::OK);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["ingest"], Value::Null);
    assert_eq!(body["ingestError"], "ingest-svc: not reachable");

    assert_eq!(gateway.get("/healthz").await.status(), StatusCode::OK);
    gateway.stop().await;
}

#[tokio::test]
async fn the_start_page_is_self_contained() {
    let gateway = Gateway::start().await;
    let response = gateway.get("/").await;
    assert_eq!(content_type(&response), "text/html; charset=utf-8");
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let page = response.text().await.unwrap();
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "a request to another host"
    );

    // Whatever the page links to is there, whether or not it can be answered yet.
    let links = page.split("href=\"").skip(1).chain(page.split("src=\"").skip(1));
    let links: Vec<_> = links
        .map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"))
        .filter(|link| !link.starts_with("data:"))
        .collect();
    assert!(links.len() > 10, "{links:?}");
    for link in links {
        let status = gateway.get(&format!("/{link}")).await.status();
        assert!(matches!(status.as_u16(), 200 | 503), "{link}: {status}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn requests_are_counted_and_have_ids() {
    let gateway = Gateway::start().await;
    let url = |path: &str| format!("http://{}{path}", gateway.address);
    let response = gateway
        .client
        .get(url("/healthz"))
        .header("x-request-id", "abc-1")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-request-id"], "abc-1");
    drop(response.bytes().await.unwrap());
    let response = gateway
        .client
        .get(url("/healthz"))
        .header("x-request-id", "a b")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-request-id"].len(), 36);
    drop(response.bytes().await.unwrap());
    let response = gateway.client.post(url("/model/assets")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
    assert_eq!(response.json::<Value>().await.unwrap()["code"], 405);
    let response = gateway
        .client
        .post(url("/healthz"))
        .body(vec![0; 100_000])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let packed = gateway.client.get(url("/")).header(header::ACCEPT_ENCODING, "gzip");
    assert_eq!(packed.send().await.unwrap().headers()[header::CONTENT_ENCODING], "gzip");
    drop(gateway.get("/surely/not/a/route").await);

    let response = gateway.get("/metrics").await;
    assert!(content_type(&response).starts_with("application/openmetrics-text"));
    let metrics = response.text().await.unwrap();
    for line in [
        "fedcost_http_requests_total{route=\"/healthz\",code=\"200\"} 2",
        "fedcost_http_requests_total{route=\"/model/assets\",code=\"405\"} 1",
        "fedcost_http_requests_total{route=\"none\",code=\"404\"} 1",
        "fedcost_http_requests_in_flight 1",
        "fedcost_http_request_duration_seconds_count{route=\"/healthz\"}",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("surely"), "a client's path became a label");
    gateway.stop().await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let gateway = Gateway::start().await;
    let idle = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    assert_eq!(gateway.get("/healthz").await.status(), StatusCode::OK);
    let address = gateway.address;
    gateway.stop().await;
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "still listening"
    );
    drop(idle);
}

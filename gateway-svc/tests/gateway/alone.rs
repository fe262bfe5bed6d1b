//! With no other service there: what the gateway says by itself.

use crate::support::{Gateway, content_type, nobody};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

async fn start() -> Gateway {
    Gateway::start(nobody().await).await
}

#[tokio::test]
async fn errors_are_json_under_model_and_text_elsewhere() {
    let gateway = start().await;
    let refused = [
        ("allocation", "parameter window is missing; it takes 15m, 24h, 7d or 2w"),
        ("allocation?window=", "parameter window is missing"),
        ("allocation?window=soon", "parameter window got \"soon\"; it takes 15m"),
        (
            "allocation?window=2,1",
            "parameter window got \"2,1\", which ends no later",
        ),
        (
            "allocation?window=9999999d",
            "parameter window got \"9999999d\"; it takes",
        ),
        (
            "allocation?window=7d&step=90m",
            "parameter step got \"90m\"; it takes 1h, 1d, 1w",
        ),
        (
            "allocation?window=7d&step=1d&accumulate=hour",
            "parameter step got \"1d\", which does not go with",
        ),
        (
            "allocation?window=7d&accumulate=year",
            "parameter accumulate got \"year\"; it takes",
        ),
        (
            "allocation?window=7d&accumulateBy=decade",
            "parameter accumulateBy got \"decade\"; it takes",
        ),
        (
            "allocation?window=7d&aggregate=nods",
            "parameter aggregate got \"nods\"; it takes",
        ),
        (
            "allocation?window=7d&aggregate=label:",
            "parameter aggregate got \"label:\"; it takes",
        ),
        (
            "allocation?window=7d&idle=maybe",
            "parameter idle got \"maybe\"; it takes 1, t",
        ),
        (
            "allocation?window=7d&includeIdle=maybe",
            "parameter includeIdle got \"maybe\"; it takes",
        ),
        (
            "allocation?window=7d&idle=false&includeIdle=2",
            "parameter includeIdle got \"2\"; it takes",
        ),
        (
            "allocation?window=7d&shareIdle=even",
            "parameter shareIdle got \"even\"; it takes true, false or weighted",
        ),
        (
            "allocation?window=7d&splitIdle=2",
            "parameter splitIdle got \"2\"; it takes",
        ),
        (
            "allocation?window=7d&idleByNode=x",
            "parameter idleByNode got \"x\"; it takes",
        ),
        (
            "allocation?window=7d&shareLabels=app",
            "parameter shareLabels got \"app\"; it takes name:value pairs",
        ),
        (
            "allocation?window=7d&shareCost=-1",
            "parameter shareCost got \"-1\"; it takes a number that is not",
        ),
        (
            "allocation?window=7d&shareCost=Inf",
            "parameter shareCost got \"Inf\"; it takes",
        ),
        (
            "allocation?window=7d&shareCost=ten",
            "parameter shareCost got \"ten\"; it takes",
        ),
        (
            "allocation?window=7d&shareSplit=fair",
            "parameter shareSplit got \"fair\"; it takes weighted or even",
        ),
        (
            "allocation?window=7d&shareTenancyCosts=x",
            "parameter shareTenancyCosts got \"x\"; it takes",
        ),
        (
            "allocation?window=7d&includeSharedCostBreakdown=x",
            "parameter includeSharedCostBreakdown got \"x\"; it takes",
        ),
        (
            "allocation?window=7d&includeAggregatedMetadata=x",
            "parameter includeAggregatedMetadata got \"x\"; it takes",
        ),
        (
            "allocation?window=7d&includeProportionalAssetResourceCosts=x",
            "parameter includeProportionalAssetResourceCosts got \"x\"; it takes",
        ),
        (
            "allocation?window=7d&costMetric=yearly",
            "parameter costMetric got \"yearly\"; it takes cumulative",
        ),
        (
            "allocation?window=7d&costUnit=yearly",
            "parameter costUnit got \"yearly\"; it takes cumulative",
        ),
        (
            "allocation?window=7d&filterLabels=app",
            "parameter filterLabels got \"app\"; it takes a comma list of NAME:VALUE",
        ),
        (
            "allocation?window=7d&offset=-1",
            "parameter offset got \"-1\"; it takes a whole number",
        ),
        (
            "allocation?window=7d&limit=1.5",
            "parameter limit got \"1.5\"; it takes a whole number",
        ),
        (
            "allocation?window=7d&sortBy=colour",
            "parameter sortBy got \"colour\"; it takes totalCost, name",
        ),
        (
            "allocation?window=7d&sortByOrder=up",
            "parameter sortByOrder got \"up\"; it takes desc or asc",
        ),
        (
            "allocation?window=7d&format=xml",
            "parameter format got \"xml\"; it takes json or csv",
        ),
        (
            "allocation?window=7d&explain=x",
            "parameter explain got \"x\"; it takes",
        ),
        ("allocation/summary", "parameter window is missing"),
        (
            "allocation/summary?window=7d&format=xml",
            "parameter format got \"xml\"; it takes json or csv",
        ),
        (
            "allocation/summary/topline?window=7d&idle=x",
            "parameter idle got \"x\"; it takes",
        ),
        ("allocation/trends?window=x", "parameter window got \"x\"; it takes"),
        (
            "allocation/autocomplete?window=7d",
            "parameter field is missing; it takes cluster, node",
        ),
        (
            "allocation/autocomplete?window=7d&field=x",
            "parameter field got \"x\"; it takes cluster, node",
        ),
        ("allocation/autocomplete?field=pod", "parameter window is missing"),
        (
            "allocation/autocomplete?window=7d&field=pod&limit=1001",
            "parameter limit got \"1001\"; it takes a whole number up to 1000",
        ),
        ("assets", "parameter window is missing"),
        ("assets?window=1,0", "parameter window got \"1,0\", which ends no later"),
        (
            "assets?window=7d&aggregate=node",
            "parameter aggregate got \"node\"; it takes",
        ),
        (
            "assets?window=7d&sortBy=pvCost",
            "parameter sortBy got \"pvCost\"; it takes totalCost, name, adj",
        ),
        (
            "assets?window=7d&filter=pod:%22x%22",
            "parameter filter got \"pod\" at character 1, where it takes one of name",
        ),
        ("assets/topline?window=x", "parameter window got \"x\"; it takes"),
        ("assets/diff?after=today", "parameter before is missing; it takes 15m"),
        (
            "assets/diff?before=yesterday",
            "parameter after is missing; it takes 15m",
        ),
        (
            "assets/diff?before=x&after=today",
            "parameter before got \"x\"; it takes",
        ),
        (
            "assets/diff?before=yesterday&after=today&costChangeRatio=-1",
            "parameter costChangeRatio got \"-1\"; it takes",
        ),
        (
            "assets/autocomplete?window=7d&field=pod",
            "parameter field got \"pod\"; it takes name, assetType",
        ),
        ("cloudCost/view/table?window=x", "parameter window got \"x\"; it takes"),
    ];
    let refused = refused.map(|(path, message)| (path, StatusCode::BAD_REQUEST, message));
    let missing = ("nothing/here", StatusCode::NOT_FOUND, "there is nothing at /");
    let cases = refused.into_iter().chain([missing]);
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
    let gateway = start().await;
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
async fn pages_are_self_contained() {
    let gateway = start().await;
    // What `/` is depends on whether the web page was built before.
    for (path, least_links) in [("/", 2), ("/start", 20), ("/api", 5)] {
        is_self_contained(&gateway, path, least_links).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn without_a_folder_no_view_is_kept_and_the_answer_says_why() {
    let gateway = start().await;
    let list: Value = gateway.get("/views").await.json().await.unwrap();
    assert_eq!(list["views"], Value::Array(Vec::new()));
    assert!(list["unavailable"].as_str().unwrap().contains("views.directory"));

    let url = format!("http://{}/views/mine", gateway.address);
    let put = |kind: &'static str, body: &'static str| {
        let request = gateway.client.put(&url).header(header::CONTENT_TYPE, kind).body(body);
        async { request.send().await.unwrap() }
    };
    let response = put("application/json", r#"{"query": "view=assets"}"#).await;
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    assert!(response.text().await.unwrap().contains("views.directory"));
    // What another site's page may send without asking.
    let response = put("text/plain", r#"{"query": "view=assets"}"#).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let response = put("application/json", r#"{"queries": 1}"#).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let response = gateway.client.post(&url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    let response = gateway.get("/static/nothing.js").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    gateway.stop().await;
}

async fn is_self_contained(gateway: &Gateway, path: &str, least_links: usize) {
    let response = gateway.get(path).await;
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
    assert!(links.len() > least_links, "{links:?}");
    for link in links {
        let status = gateway
            .get(&format!("/{}", link.trim_start_matches("./")))
            .await
            .status();
        assert!(matches!(status.as_u16(), 200 | 503), "{link}: {status}");
    }
}

#[tokio::test]
async fn the_description_names_what_is_there() {
    let gateway = start().await;
    let description: Value = gateway.get("/openapi.json").await.json().await.unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() > 40, "{}", paths.len());
    for (path, item) in paths {
        let example = item["get"]["x-example"].as_str().unwrap_or_default();
        let status = gateway.get(&format!("{path}?{example}")).await.status();
        assert!(matches!(status.as_u16(), 200 | 503), "{path}?{example}: {status}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_needs_no_data_is_answered() {
    let gateway = start().await;
    let json = async |path: &str| gateway.get(path).await.json::<Value>().await.unwrap();
    for path in ["/model/getConfigs", "/getConfigs"] {
        assert_eq!(json(path).await, json!({"code": 200, "data": {"currencyCode": "USD"}}));
    }
    let answer = json("/model/productConfigs").await;
    assert_eq!((&answer["currencyCode"], &answer["code"]), (&json!("USD"), &json!(200)));
    let answer = json("/model/cloudCost/view/totals?window=7d").await;
    assert_eq!(answer["data"]["combined"]["cost"], 0);
    for path in [
        "/cloudCost/view/table?window=7d",
        "/cloudCost/view/graph?window=7d",
        "/cloudCost/status",
    ] {
        assert_eq!(json(path).await["data"], json!([]));
    }
    assert_eq!(json("/cloudCost?window=7d").await["data"]["sets"], json!([]));
    gateway.stop().await;
}

#[tokio::test]
async fn requests_are_counted_and_have_ids() {
    let gateway = start().await;
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
    let gateway = start().await;
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

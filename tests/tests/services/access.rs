//! Who sees and does what: every path, for roles that see less than everything.

mod answers;

use std::{collections::BTreeSet, fs};

use fedcost_proto::query::v1::{
    AutocompleteRequest, Grant, ListClustersRequest, QueryAllocationsRequest, QueryAssetsRequest, Scope,
    query_service_client::QueryServiceClient,
};
use gateway_svc::AccessConfig;
use serde_json::Value;
use service_kit::{
    Identity, TrustDomain,
    client::{Channel, Endpoint, EndpointConfig},
    tls::TlsMaterial,
};
use tempfile::TempDir;
use test_cluster::{TestCluster, TestOptions};
use tonic::Code;

use self::answers::value_of;
use crate::{asking::DAY, bucket::copy_of_golden};

const ROLES: &str = r#"
mode: trusted-header
trusted_header: {user: X-Remote-User, groups: X-Remote-Groups, peers: [127.0.0.0/8, "::1/128"]}
tokens: {file: TOKENS}
audit: {file: AUDIT}
roles:
  - {name: all, clusters: ["*"], permissions: [view, save, operate], users: [root], tokens: [everything]}
  - {name: prod, clusters: ["prod-*"], permissions: [view, save, operate], users: [prod], groups: [producers], tokens: [prod]}
  - {name: team, clusters: ["*"], namespaces: [web, "monitor*"], permissions: [view, save], users: [team], tokens: [team]}
  - {name: staging, clusters: [staging], users: [mixed]}
  - {name: shop, clusters: ["prod-us"], namespaces: [web, data], users: [mixed]}
  - {name: repairs, clusters: ["edge-1"], permissions: [operate], users: [mechanic]}
"#;

/// The services over a bucket, with or without roles.
struct Asked {
    cluster: TestCluster,
    http: reqwest::Client,
    folder: TempDir,
    _bucket: TempDir,
}

struct Answer {
    status: u16,
    text: String,
}

impl Asked {
    async fn over(bucket: TempDir, has_roles: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = TestOptions::new(bucket.path());
        if has_roles {
            let file = folder.path().join("access.yaml");
            let at = |name: &str| folder.path().join(name).display().to_string();
            let text = ROLES
                .replace("TOKENS", &at("tokens.json"))
                .replace("AUDIT", &at("audit.jsonl"));
            fs::write(&file, text).unwrap();
            options.access = Some(AccessConfig::load(&file).unwrap());
        }
        let cluster = TestCluster::start(options).await.unwrap();
        cluster.refresh_and_wait().await.unwrap();
        Self {
            cluster,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            folder,
            _bucket: bucket,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            text: response.text().await.unwrap(),
        }
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.cluster.base_url()))
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::GET, path)).await
    }

    async fn get_as(&self, user: &str, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::GET, path).header("X-Remote-User", user))
            .await
    }

    async fn json_as(&self, user: &str, path: &str) -> Value {
        let answer = self.get_as(user, path).await;
        assert_eq!(answer.status, 200, "{user} {path}: {}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_or_does_what_they_may_not() {
    let asked = Asked::over(copy_of_golden(), true).await;
    answers::are_those_over_a_bucket_of_what_may_be_seen(&asked).await;
    paths_are_for_whom_roles_allow(&asked).await;
    ingest_tells_of_whole_clusters(&asked).await;
    files_are_read_again_for_operators(&asked).await;
    views_are_of_who_saved_them(&asked).await;
    machines_are_known_by_tokens(&asked).await;
    certificates_do_not_stand_in_for_scopes(&asked).await;
    the_audit_log_tells_of_all_that(&asked);
    asked.cluster.stop().await;
}

async fn paths_are_for_whom_roles_allow(asked: &Asked) {
    let described = asked.get("/openapi.json").await;
    let paths: Vec<String> = value_of(&described.text)["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert!(paths.len() > 50, "{paths:?}");
    for path in paths.iter().map(String::as_str).chain(["/metrics", "/nothing/here"]) {
        let is_repair = path.starts_with("/model/etl/");
        let tells_all = ["/model/debug/orchestrator", "/model/debug/releases", "/metrics"].contains(&path);
        let is_public = ["/healthz", "/readyz"].contains(&path);
        // Parameters that are wrong would come to light only in who may ask.
        let answer = asked.get(path).await;
        assert_eq!(answer.status == 401, !is_public, "{path}: {}", answer.text);
        for (user, refused) in [
            ("stranger", !is_public),
            ("prod", tells_all),
            ("team", tells_all || is_repair),
            ("mechanic", !is_public && !is_repair),
            ("root", false),
        ] {
            // A repair is asked for where the window is wrong, so that nothing comes of it.
            let asked_for = if is_repair {
                format!("{path}?cluster=edge-1&window=never")
            } else {
                path.to_owned()
            };
            let answer = asked.get_as(user, &asked_for).await;
            // Nothing is changed without a browser's word for who made it ask.
            let forbidden = refused || is_repair;
            assert_eq!(
                answer.status == 403,
                forbidden,
                "{user} {path}: {} {}",
                answer.status,
                answer.text
            );
            assert_ne!(answer.status, 401, "{user} {path}");
        }
    }
    for page in ["/", "/start", "/api", "/openapi.json", "/auth/me"] {
        assert_eq!(asked.get(page).await.status, 200, "{page}");
    }
    let twice = asked
        .request(reqwest::Method::GET, "/model/clusters/status")
        .header("X-Remote-User", "prod");
    assert_eq!(asked.send(twice.header("X-Remote-User", "root")).await.status, 401);
    let by_group = asked
        .request(reqwest::Method::GET, "/auth/me")
        .header("X-Remote-User", "somebody");
    let who = value_of(
        &asked
            .send(by_group.header("X-Remote-Groups", "others, producers"))
            .await
            .text,
    );
    assert_eq!(
        (&who["user"]["roles"][0], &who["user"]["limited"]),
        (&"prod".into(), &true.into())
    );
    // How many files and rows there are is told to nobody else.
    let explained = format!("/model/allocation?{DAY}&aggregate=cluster&explain=true");
    assert_eq!(asked.get_as("prod", &explained).await.status, 403);
    assert!(asked.json_as("root", &explained).await["explanation"].is_object());
    let status = asked.json_as("prod", "/status").await;
    assert!(
        status["ingest"]["progress"].is_null() && status["release"].is_object(),
        "{status}"
    );
    assert!(asked.json_as("root", "/status").await["ingest"]["progress"].is_object());
}

async fn ingest_tells_of_whole_clusters(asked: &Asked) {
    for (user, seen) in [
        ("prod", &["prod-eu", "prod-us"][..]),
        ("team", &[]),
        ("mixed", &["staging"]),
    ] {
        for path in ["/model/debug/ingestionRecords?limit=0", "/model/debug/ingestionSummary"] {
            let data = asked.json_as(user, path).await;
            let clusters = data["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["cluster"].as_str().unwrap());
            assert_eq!(
                clusters.collect::<BTreeSet<_>>(),
                seen.iter().copied().collect(),
                "{user} {path}"
            );
        }
        let data = asked.json_as(user, "/model/diagnostics/multicluster").await;
        let clusters: Vec<_> = data["data"]["clusters"].as_object().unwrap().keys().collect();
        assert_eq!(clusters, seen, "{user}");
        assert_eq!(data["data"]["overview"]["clusters"], seen.len(), "{user}");
        for figure in ["coreCount", "containersPerDay", "nodesPerDay"] {
            for day in asked.json_as(user, &format!("/model/diagnostic/{figure}")).await["data"]
                .as_array()
                .unwrap()
            {
                let clusters = day["values"].as_object().unwrap().keys();
                assert!(
                    clusters.into_iter().all(|cluster| seen.contains(&cluster.as_str())),
                    "{user} {day}"
                );
            }
        }
        let hidden = asked
            .json_as(user, "/model/debug/ingestionRecords?cluster=edge-1")
            .await;
        assert_eq!(hidden["data"].as_array().unwrap().len(), 0, "{user}");
    }
    // Of a cluster that is seen in part, no more is told than that it is there, and how fresh.
    let clusters = asked.json_as("mixed", "/model/clusters/status").await;
    let clusters = clusters["data"].as_array().unwrap();
    let ids: Vec<_> = clusters.iter().map(|cluster| cluster["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["prod-us", "staging"]);
    for field in ["provider", "account", "project", "region"] {
        assert_eq!(clusters[0][field], "", "{field}");
    }
    assert_eq!(
        (&clusters[0]["rows"], &clusters[0]["filesSetAside"]),
        (&0.into(), &0.into())
    );
    assert!(clusters[0]["lastWindow"].is_string() && clusters[1]["rows"].as_u64().unwrap() > 0);
}

async fn files_are_read_again_for_operators(asked: &Asked) {
    let repair = async |user: &str, cluster: &str, site: &str| {
        let path = format!("/model/etl/asset/repair?{DAY}&cluster={cluster}");
        let request = asked.request(reqwest::Method::GET, &path).header("X-Remote-User", user);
        asked.send(request.header("Sec-Fetch-Site", site)).await.status
    };
    assert_eq!(repair("mechanic", "edge-1", "same-origin").await, 200);
    assert_eq!(repair("prod", "prod-eu", "none").await, 200);
    for (user, cluster) in [
        ("mechanic", "prod-eu"),
        ("mechanic", ""),
        ("prod", "edge-1"),
        ("prod", ""),
        ("team", "edge-1"),
    ] {
        assert_eq!(repair(user, cluster, "same-origin").await, 403, "{user} {cluster}");
    }
    // A page of another site may have the browser open an address, but not to change anything.
    for site in ["cross-site", "same-site"] {
        assert_eq!(repair("root", "edge-1", site).await, 403, "{site}");
    }
}

async fn views_are_of_who_saved_them(asked: &Asked) {
    let change = async |method: reqwest::Method, user: &str, name: &str| {
        let request = asked
            .request(method, &format!("/views/{name}"))
            .header("X-Remote-User", user);
        let body = serde_json::json!({"query": format!("filter={user}")});
        asked
            .send(request.header("Sec-Fetch-Site", "same-origin").json(&body))
            .await
            .status
    };
    for user in ["prod", "team"] {
        assert_eq!(change(reqwest::Method::PUT, user, "Mine").await, 200);
    }
    assert_eq!(change(reqwest::Method::PUT, "mixed", "Mine").await, 403);
    for (user, expected) in [("prod", "filter=prod"), ("team", "filter=team")] {
        let views = asked.json_as(user, "/views").await;
        let views = views["views"].as_array().unwrap();
        assert_eq!((views.len(), &views[0]["query"]), (1, &expected.into()));
    }
    assert_eq!(
        asked.json_as("mixed", "/views").await["views"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    assert_eq!(change(reqwest::Method::DELETE, "root", "Mine").await, 404);
    assert_eq!(change(reqwest::Method::DELETE, "team", "Mine").await, 204);
    assert_eq!(
        asked.json_as("prod", "/views").await["views"].as_array().unwrap().len(),
        1
    );
}

async fn machines_are_known_by_tokens(asked: &Asked) {
    let file = asked.folder.path().join("tokens.json");
    let now = chrono::Utc::now();
    let (prod, prod_text) = gateway_svc::access::tokens::create(&file, "prod", now, None).unwrap();
    let (_, old) = gateway_svc::access::tokens::create(&file, "everything", now, Some(now)).unwrap();
    let (_, without_role) = gateway_svc::access::tokens::create(&file, "nobody", now, None).unwrap();
    let with = async |header: &str, value: String| {
        let path = format!("/model/allocation?{DAY}&aggregate=cluster");
        asked
            .send(asked.request(reqwest::Method::GET, &path).header(header, value))
            .await
    };
    // The file is looked at every other second.
    let mut answer = with("Authorization", format!("Bearer {prod_text}")).await;
    for _ in 0..50 {
        if answer.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = with("Authorization", format!("Bearer {prod_text}")).await;
    }
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.contains("prod-us") && !answer.text.contains("edge-1"));
    assert_eq!(with("X-API-KEY", prod_text.clone()).await.text, answer.text);
    assert_eq!(with("Authorization", format!("Bearer {old}")).await.status, 401);
    assert_eq!(
        with("Authorization", format!("Bearer {without_role}")).await.status,
        403
    );
    for wrong in [
        format!("fct_{}_{}", prod.id, "A".repeat(43)),
        format!("{prod_text}x"),
        "other".to_owned(),
    ] {
        let answer = with("Authorization", format!("Bearer {wrong}")).await;
        assert_eq!(answer.status, 401);
        assert!(answer.text.contains("the token is not known"), "{}", answer.text);
    }
    // A refused token is not made up for by another means.
    let both = asked
        .request(reqwest::Method::GET, "/auth/me")
        .header("X-Remote-User", "root");
    let who = value_of(
        &asked
            .send(both.header("Authorization", format!("Bearer {old}")))
            .await
            .text,
    );
    assert!(who["user"].is_null(), "{who}");
    gateway_svc::access::tokens::revoke(&file, "prod").unwrap();
    for _ in 0..50 {
        if with("X-API-KEY", prod_text.clone()).await.status == 401 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("a revoked token is taken");
}

async fn certificates_do_not_stand_in_for_scopes(asked: &Asked) {
    let address = asked.cluster.addresses().query;
    let client = |service: &str| {
        let material = TlsMaterial::load(asked.cluster.service_files(service).unwrap()).unwrap();
        let query = Identity::service(TrustDomain::default(), "query-svc").unwrap();
        let config = EndpointConfig::new(format!("https://{address}"));
        QueryServiceClient::new(Endpoint::new(&config, query).unwrap().channel(&material))
    };
    // A gateway that does not say for whom it asks is told nothing.
    let mut gateway = client("gateway-svc");
    let codes = [
        gateway
            .query_allocations(QueryAllocationsRequest::default())
            .await
            .unwrap_err()
            .code(),
        gateway
            .query_allocation_columns(QueryAllocationsRequest::default())
            .await
            .unwrap_err()
            .code(),
        gateway
            .query_assets(QueryAssetsRequest::default())
            .await
            .unwrap_err()
            .code(),
        gateway
            .query_asset_columns(QueryAssetsRequest::default())
            .await
            .unwrap_err()
            .code(),
        gateway
            .autocomplete(AutocompleteRequest::default())
            .await
            .unwrap_err()
            .code(),
        gateway
            .list_clusters(ListClustersRequest::default())
            .await
            .unwrap_err()
            .code(),
    ];
    assert_eq!(codes, [Code::PermissionDenied; 6]);
    let clusters = async |mut client: QueryServiceClient<Channel>, scope| {
        let answer = client.list_clusters(ListClustersRequest { scope }).await;
        answer.map(|answer| {
            answer
                .into_inner()
                .clusters
                .into_iter()
                .map(|cluster| cluster.id)
                .collect::<Vec<_>>()
        })
    };
    let granted = |clusters: &str| {
        Some(Scope {
            everything: false,
            grants: vec![Grant {
                clusters: vec![clusters.to_owned()],
                namespaces: vec!["*".to_owned()],
            }],
        })
    };
    assert_eq!(
        clusters(gateway.clone(), granted("staging")).await.unwrap(),
        ["staging"]
    );
    assert!(
        clusters(gateway.clone(), Some(Scope::default()))
            .await
            .unwrap()
            .is_empty()
    );
    let wrong = clusters(gateway, granted("a**b")).await.unwrap_err();
    assert_eq!(wrong.code(), Code::PermissionDenied, "{wrong}");
    // Other services see everything, and less if they ask for it.
    assert_eq!(clusters(client("reports"), None).await.unwrap().len(), 4);
    assert_eq!(clusters(client("reports"), granted("prod-*")).await.unwrap().len(), 2);
}

fn the_audit_log_tells_of_all_that(asked: &Asked) {
    let text = fs::read_to_string(asked.folder.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains("fct_"), "a token is in the log");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |event: &str, user: Option<&str>, path: &str, status: u16| {
        let is_it = |line: &&Value| {
            line["event"] == event && line["user"].as_str() == user && line["path"] == path && line["status"] == status
        };
        lines
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("no line of {event} {user:?} {path} {status}"))
    };
    let answered = find("answered", Some("prod"), "/model/allocation", 200);
    assert_eq!(
        (&answered["by"], &answered["scope"][0]["clusters"][0]),
        (&"proxy".into(), &"prod-*".into())
    );
    assert!(answered["query"].as_str().unwrap().starts_with("window="));
    let denied = find("denied", None, "/model/allocation", 401);
    assert!(!denied["reason"].as_str().unwrap().is_empty(), "{denied}");
    find("denied", Some("stranger"), "/model/assets", 403);
    find("answered", Some("mechanic"), "/model/etl/asset/repair", 200);
    // What a handler denies is answered with that.
    find("answered", Some("mechanic"), "/model/etl/asset/repair", 403);
    assert!(lines.iter().any(|line| line["by"] == "token" && line["user"] == "prod"));
}

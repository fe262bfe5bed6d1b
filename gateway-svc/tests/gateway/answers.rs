//! Shapes of answers, on both faces.

use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    scripted::{self, Asked},
    support::{Gateway, content_type},
};

/// Two days that hold data.
const WINDOW: &str = "window=2026-03-01T00:00:00Z,2026-03-03T00:00:00Z";

pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    pub(crate) asked: Asked,
    shutdown: CancellationToken,
}

impl Served {
    pub(crate) async fn start() -> Self {
        let shutdown = CancellationToken::new();
        let (query, asked) = scripted::start(shutdown.clone()).await;
        Self {
            gateway: Gateway::start(query).await,
            asked,
            shutdown,
        }
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.gateway.get(path).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    pub(crate) async fn stop(self) {
        self.gateway.stop().await;
        self.shutdown.cancel();
    }
}

#[tokio::test]
async fn sets_are_a_list_of_days_or_one_of_all() {
    let served = Served::start().await;
    let answer = served
        .json(&format!("/model/allocation?{WINDOW}&aggregate=namespace"))
        .await;
    let sets = answer["data"].as_array().unwrap();
    assert_eq!(sets.len(), 2);
    let web = &sets[1]["web"];
    assert_eq!(
        web["window"],
        json!({"start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z"})
    );
    assert_eq!(
        (&web["totalCost"], &web["cpuCores"], &web["minutes"]),
        (&json!(1.7), &json!(1), &json!(1440))
    );
    assert!(
        sets[0].as_object().unwrap().contains_key("__idle__"),
        "idle is the default under /model"
    );

    for path in ["/allocation", "/allocation/compute"] {
        let answer = served.json(&format!("{path}?{WINDOW}&aggregate=namespace")).await;
        let sets = answer["data"].as_array().unwrap();
        assert_eq!(sets.len(), 1, "{path}");
        assert!(!sets[0].as_object().unwrap().contains_key("__idle__"));
    }
    served.stop().await;
}

#[tokio::test]
async fn windows_without_data_have_empty_sets() {
    let served = Served::start().await;
    for (path, sets) in [
        (
            "/model/allocation?window=1970-01-01T00:00:00Z,1970-01-03T00:00:00Z",
            json!([{}, {}]),
        ),
        (
            "/allocation?window=2099-01-01T00:00:00Z,2099-01-03T00:00:00Z",
            json!([{}]),
        ),
        (
            "/model/assets?window=2099-01-01T00:00:00Z,2099-01-02T00:00:00Z",
            json!([{}]),
        ),
        ("/assets?window=1970-01-01T00:00:00Z,1970-01-03T00:00:00Z", json!({})),
    ] {
        assert_eq!(served.json(path).await["data"], sets, "{path}");
    }
    let answer = served
        .json("/model/allocation/summary?window=1970-01-01T00:00:00Z,1970-01-03T00:00:00Z")
        .await;
    assert_eq!(answer["data"]["sets"].as_array().unwrap().len(), 2);
    assert_eq!(answer["data"]["sets"][1]["allocations"], json!({}));
    served.stop().await;
}

#[tokio::test]
async fn summaries_toplines_and_trends() {
    let served = Served::start().await;
    for prefix in ["/model", ""] {
        let answer = served
            .json(&format!("{prefix}/allocation/summary?{WINDOW}&step=1d"))
            .await;
        let data = &answer["data"];
        assert_eq!(data["step"], 86_400_000_000_000_u64);
        assert_eq!(data["sets"].as_array().unwrap().len(), 2);
        assert_eq!(
            data["sets"][0]["allocations"]["web"]["ramCost"], 0.2,
            "with its adjustment"
        );
        assert_eq!(data["sets"][0]["window"]["end"], "2026-03-02T00:00:00Z");
        assert_eq!(data["window"]["end"], "2026-03-03T00:00:00Z");
    }

    let data = &served
        .json(&format!("/model/allocation/summary/topline?{WINDOW}&idle=true"))
        .await["data"];
    assert_eq!(data["numResults"], 3);
    let total = &data["combined"]["allocations"]["total"];
    assert_eq!((&total["totalCost"], &total["cpuCost"]), (&json!(5.1), &json!(4.5)));
    assert_eq!(data["combined"]["window"]["start"], "2026-03-01T00:00:00Z");

    let data = &served
        .json("/model/allocation/trends?window=2026-01-01T00:00:00Z,2026-01-04T00:00:00Z&aggregate=namespace&names=web")
        .await["data"];
    assert_eq!(data["comparisonWindow"]["start"], "2025-12-29T00:00:00Z");
    let trends = data["allocationTrends"].as_object().unwrap();
    assert_eq!(trends.len(), 1);
    let change = &trends["web"]["trends"]["costs"]["totalCost"]["relativeChange"];
    assert_eq!(change, &json!({"isInfinite": true, "isNaN": false, "value": 0.0}));
    served.stop().await;
}

#[tokio::test]
async fn assets_are_a_list_or_one_map() {
    let served = Served::start().await;
    let answer = served.json(&format!("/model/assets?{WINDOW}")).await;
    assert_eq!(answer["data"].as_array().unwrap().len(), 2);
    assert_eq!(answer["data"][0]["node-1"]["cpuCores"], 2);
    let answer = served.json(&format!("/assets?{WINDOW}&step=1d")).await;
    assert_eq!(answer["data"]["disk-1"]["type"], "Disk");

    let data = &served.json(&format!("/model/assets/topline?{WINDOW}")).await["data"];
    assert_eq!(data, &json!({"totalCost": 5, "adjustment": -1, "numResults": 2}));
    let path = "/model/assets/diff?before=2025-03-01T00:00:00Z,2025-03-02T00:00:00Z\
                &after=2026-03-01T00:00:00Z,2026-03-02T00:00:00Z";
    let data = &served.json(path).await["data"];
    assert_eq!(data["node-1"]["kind"], "added");
    assert_eq!(data["node-1"]["before"], Value::Null);
    assert_eq!(data["node-1"]["after"]["totalCost"], 2.5);
    served.stop().await;
}

#[tokio::test]
async fn values_and_clusters() {
    let served = Served::start().await;
    let answer = served
        .json("/allocation/autocomplete?window=7d&field=Namespace&search=w&filter=cluster:%22a%22")
        .await;
    assert_eq!(answer, json!({"code": 200, "data": {"data": ["data", "web"]}}));
    let asked = served.asked.values.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        (&*asked.field, &*asked.search, asked.limit, asked.assets),
        ("namespace", "w", 100, false)
    );
    served
        .json("/model/assets/autocomplete?window=7d&field=type&limit=25")
        .await;
    let asked = served.asked.values.lock().unwrap().last().unwrap().clone();
    assert_eq!((&*asked.field, asked.limit, asked.assets), ("assetType", 25, true));

    assert_eq!(
        served.json("/model/clusterInfoMap").await["data"]["prod-us"]["provider"],
        "AWS"
    );
    assert_eq!(served.json("/model/clusterInfo").await["data"]["id"], "prod-eu");
    assert_eq!(served.json("/model/clusters/status").await["data"][1]["id"], "prod-us");
    served.stop().await;
}

#[tokio::test]
async fn tables_have_a_row_per_set_and_item() {
    let served = Served::start().await;
    for (path, file, width) in [
        ("/model/allocation", "allocations.csv", 57),
        ("/allocation/summary", "allocation-summary.csv", 19),
        ("/model/assets", "assets.csv", 27),
    ] {
        let response = served
            .gateway
            .get(&format!("{path}?{WINDOW}&step=1d&idle=false&format=csv"))
            .await;
        assert_eq!(content_type(&response), "text/csv; charset=utf-8");
        let disposition = response.headers()[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(disposition, format!("attachment; filename=\"{file}\""));
        let text = response.text().await.unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        assert_eq!(header.len(), width, "{header:?}");
        assert_eq!(
            (&header[0], &header[1], &header[2]),
            ("windowStart", "windowEnd", "name")
        );
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        // A set is the whole window in OpenCost's map of assets, and a day in all others.
        assert_eq!(rows.len(), 4, "{path}: {text}");
        let cost = header.iter().position(|name| name == "totalCost").unwrap();
        assert!(rows.iter().all(|row| ["1.7", "2.5"].contains(&&row[cost])));
    }
    let text = served
        .gateway
        .get(&format!("/allocation?{WINDOW}&format=csv"))
        .await
        .text()
        .await
        .unwrap();
    assert!(text.contains(",'=data,"), "a formula: {text}");
    served.stop().await;
}

#[tokio::test]
async fn explanations_stand_beside_the_data() {
    let served = Served::start().await;
    let answer = served.json(&format!("/model/allocation?{WINDOW}&explain=true")).await;
    let explanation = &answer["explanation"];
    assert_eq!(
        (&explanation["release"], &explanation["tables"][0]["name"]),
        (&json!(7), &json!("allocations"))
    );
    assert_eq!(answer["data"].as_array().unwrap().len(), 2);
    let answer = served.json(&format!("/model/allocation?{WINDOW}")).await;
    assert!(!answer.as_object().unwrap().contains_key("explanation"));
    served.stop().await;
}

#[tokio::test]
async fn what_query_svc_refuses_is_passed_on() {
    let served = Served::start().await;
    let response = served
        .gateway
        .get(&format!("/model/allocation?{WINDOW}&filter=nosuch:%22x%22"))
        .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["code"], 400);
    assert!(body["message"].as_str().unwrap().starts_with("parameter filter got"));
    served.stop().await;
}

//! What known clients send, and what they read of the answer.

use fedcost_proto::query::v1 as proto;
use serde_json::Value;

use crate::answers::Served;

fn set(answer: &Value, index: usize) -> &serde_json::Map<String, Value> {
    answer["data"][index].as_object().unwrap()
}

#[tokio::test]
async fn kubectl_cost() {
    let served = Served::start().await;
    let answer = served
        .json(
            "/model/allocation?window=2026-03-01T00%3A00%3A00Z%2C2026-03-02T00%3A00%3A00Z&aggregate=cluster%2Cnamespace\
             &accumulate=true&includeIdle=false&idle=true&filterNamespaces=&shareCost=NaN",
        )
        .await;
    let items = set(&answer, 0);
    assert!(items.contains_key("__idle__"));
    for item in items.values() {
        assert!(item["start"].is_string() && item["end"].is_string() && item["pvs"].is_object());
        for figure in [
            "cpuCost",
            "cpuCostAdjustment",
            "ramByteRequestAverage",
            "networkCost",
            "totalEfficiency",
        ] {
            assert!(item[figure].is_number(), "{figure}");
        }
    }
    let asked = served.asked.last_allocations();
    assert_eq!(
        (asked.aggregate, asked.filter),
        (vec!["cluster".to_owned(), "namespace".to_owned()], String::new())
    );
    served
        .json("/model/assets?window=2026-03-01T00:00:00Z,2026-03-02T00:00:00Z&accumulate=true&filterTypes=Node")
        .await;
    assert_eq!(served.asked.last_assets().filter, "assetType:\"node\"");
    assert_eq!(served.json("/model/getConfigs").await["data"]["currencyCode"], "USD");
    assert!(served.json("/model/clusterInfo").await["data"]["id"].is_string());
    served.stop().await;
}

#[tokio::test]
async fn kubecost_mcp_server() {
    let served = Served::start().await;
    let answer = served
        .json(
            "/model/allocation?window=3d&aggregate=namespace&accumulate=false&idle=true&shareIdle=true&sortBy=totalCost\
             &sortByOrder=desc&limit=100000",
        )
        .await;
    assert_eq!(answer["data"].as_array().unwrap().len(), 3);
    let asked = served.asked.last_allocations();
    assert_eq!(asked.idle.unwrap().mode(), proto::IdleMode::Share);
    let page = asked.page.unwrap();
    assert_eq!(
        (page.limit, &*page.sort_by, page.ascending),
        (100_000, "totalCost", false)
    );
    served.stop().await;
}

#[tokio::test]
async fn opencost_page() {
    let served = Served::start().await;
    let answer = served
        .json(
            "/allocation/compute?window=2026-03-01T00:00:00Z,2026-03-03T00:00:00Z&aggregate=namespace&includeIdle=true\
             &accumulate=false&step=1d&filter=",
        )
        .await;
    for index in 0..2 {
        let item = &set(&answer, index)["web"];
        assert!(item["minutes"].is_number() && item["window"]["start"].is_string());
    }
    let assets = served
        .json("/assets?window=2026-03-01T00:00:00Z,2026-03-03T00:00:00Z&step=1d")
        .await;
    assert!(assets["data"]["node-1"]["cpuBreakdown"]["idle"].is_number());
    for path in [
        "/allocation/autocomplete?window=7d&field=namespace&limit=25&search=&filter=",
        "/assets/autocomplete?window=7d&field=cluster&limit=25&search=x",
        "/cloudCost?window=7d&costMetric=AmortizedNetCost&filter=",
        "/cloudCost/view/table?window=7d&aggregate=service&costMetric=AmortizedNetCost&accumulate=false&limit=1000",
        "/cloudCost/status",
    ] {
        served.json(path).await;
    }
    served.stop().await;
}

#[tokio::test]
async fn opencost_parquet_exporter() {
    let served = Served::start().await;
    let answer = served
        .json(
            "/allocation/compute?window=2026-03-01T00:00:00Z,2026-03-01T23:59:59Z&includeIdle=false&idleByNode=false\
             &includeProportionalAssetResourceCosts=false&format=json&step=1h&aggregate=namespace,pod,container",
        )
        .await;
    let sets = answer["data"].as_array().unwrap();
    assert_eq!(sets.len(), 24);
    for (key, value) in sets[23]["web"].as_object().unwrap() {
        assert!(!value.is_null() || key == "lbAllocations", "{key}");
    }
    served.stop().await;
}

#[tokio::test]
async fn dashboards() {
    let served = Served::start().await;
    // Unaligned Unix seconds of two days.
    let window = "window=1772330000,1772430000";
    for path in [
        format!("/model/allocation?{window}&aggregate=cluster&splitIdle=true&filterNamespaces=web&filterClusters=a,b"),
        format!("/model/allocation?{window}&filter=label:%22app%22"),
        format!("/model/assets?{window}&aggregate=cluster"),
    ] {
        assert_eq!(served.json(&path).await["data"].as_array().unwrap().len(), 2, "{path}");
    }
    assert_eq!(served.asked.last_allocations().filter, "label:\"app\"");
    let summary = served
        .json(&format!("/model/allocation/summary?{window}&aggregate=namespace"))
        .await;
    assert!(summary["data"]["sets"][0]["allocations"]["web"]["totalCost"].is_number());
    assert_eq!(served.json("/model/productConfigs").await["currencyCode"], "USD");
    served.stop().await;
}

#[tokio::test]
async fn aws_and_flexera_exporters() {
    let served = Served::start().await;
    let answer = served
        .json(
            "/model/allocation?window=2026-03-01T00:00:00Z,2026-03-02T00:00:00Z&accumulate=False&step=1d&idle=True\
             &splitIdle=True&idleByNode=True&shareTenancyCosts=True",
        )
        .await;
    assert_eq!(set(&answer, 0)["web"]["window"]["start"], "2026-03-01T00:00:00Z");
    let asked = served.asked.last_allocations();
    let idle = asked.idle.unwrap();
    assert!(idle.split && idle.by_node && asked.sharing.unwrap().tenancy_costs);

    served
        .json(
            "/model/allocation?window=2026-03-01T00:00:00Z,2026-03-02T00:00:00Z&aggregate=cluster,namespace&idle=true\
             &idleByNode=true&shareIdle=false&shareNamespaces=kube-system&shareSplit=weighted&offset=100&limit=50",
        )
        .await;
    let asked = served.asked.last_allocations();
    let page = asked.page.unwrap();
    assert_eq!((page.offset, page.limit), (100, 50));
    assert_eq!(asked.sharing.unwrap().namespaces, ["kube-system"]);
    served.stop().await;
}

#[tokio::test]
async fn backstage_and_headlamp_plugins() {
    let served = Served::start().await;
    // A raw plus sign arrives as a space.
    served
        .json("/model/allocation?window=7d&aggregate=namespace&filter=label[app]:\"x\"+controllerKind:deployment")
        .await;
    assert_eq!(
        served.asked.last_allocations().filter,
        "label[app]:\"x\"+controllerKind:\"deployment\""
    );
    for days in [1, 7] {
        let answer = served
            .json(&format!("/allocation?window={days}d&aggregate=namespace&step=1d"))
            .await;
        assert_eq!(answer["data"].as_array().unwrap().len(), days);
    }
    served.stop().await;
}

//! What known clients send, and that they find what they read in the answers of the real services.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use crate::asking::{
    BARE, Checks, DAY, HOURLY_DAY, Services, Set, WEEK, assert_close, assert_same_figures, figure, golden_set,
    golden_sets, names_in_order, sum,
};

/// What is shared within clusters is not in the golden answers.
const SHARED: [&str; 2] = ["sharedCost", "totalCost"];

#[tokio::test(flavor = "multi_thread")]
async fn known_clients_find_what_they_read() {
    let mut checks = Checks::start().await;
    checks.run("kubectl-cost", kubectl_cost).await;
    checks.run("kubectl-cost, settings", kubectl_cost_settings).await;
    checks.run("Kubecost MCP server", kubecost_mcp_server).await;
    checks
        .run("OpenCost UI, allocations", opencost_page_of_allocations)
        .await;
    checks.run("OpenCost UI, assets", opencost_page_of_assets).await;
    checks.run("OpenCost UI, completion", opencost_page_completes).await;
    checks.run("opencost-parquet-exporter", parquet_exporter).await;
    checks.run("OpenCost tests, sums", opencost_tests_of_sums).await;
    checks
        .run("OpenCost tests, empty windows", opencost_tests_of_empty_windows)
        .await;
    checks
        .run("OpenCost tests, bad values", opencost_tests_of_bad_values)
        .await;
    checks.run("Grafana dashboards", grafana_dashboards).await;
    checks.run("AWS exporter", aws_exporter).await;
    checks.run("Flexera exporter", flexera_exporter).await;
    checks.run("Backstage plugins", backstage_plugins).await;
    checks.run("Headlamp plugin", headlamp_plugin).await;
    checks.end().await;
}

fn window(item: &Value) -> (&str, &str) {
    let time = |end: &str| item["window"][end].as_str().expect("a time");
    (time("start"), time("end"))
}

async fn kubectl_cost(services: Arc<Services>) {
    let costs = [
        "cpuCost",
        "cpuCostAdjustment",
        "gpuCost",
        "gpuCostAdjustment",
        "ramCost",
        "ramCostAdjustment",
        "pvCost",
        "pvCostAdjustment",
        "networkCost",
        "networkCostAdjustment",
        "loadBalancerCost",
        "loadBalancerCostAdjustment",
        "sharedCost",
        "externalCost",
    ];
    let others = [
        "cpuCoreRequestAverage",
        "cpuCoreUsageAverage",
        "ramByteRequestAverage",
        "ramByteUsageAverage",
        "gpuHours",
        "totalCost",
        "totalEfficiency",
    ];
    let tables = ["", ",deployment", ",controller", ",pod", ",label:app"];
    for (path, more) in ["/model/allocation", "/allocation/compute"]
        .into_iter()
        .flat_map(|path| tables.map(|more| (path, more)))
    {
        let asked = format!(
            "{path}?{DAY}&aggregate=cluster,namespace{more}&accumulate=true&includeIdle=true&idle=true&filterNamespaces="
        );
        let set = services.set(&asked).await;
        let keys = 2 + more.matches(',').count();
        assert!(set.contains_key("__idle__"), "{asked}");
        for (name, item) in &set {
            assert!(
                name == "__idle__" || name.split('/').count() == keys,
                "{name} is not of {keys} parts: {asked}"
            );
            assert_eq!(window(item), ("2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z"), "{name}");
            assert!(item["start"].is_string() && item["end"].is_string(), "{name}");
            for volume in item["pvs"].as_object().expect("volumes").keys() {
                assert!(volume.starts_with("cluster=") && volume.contains(":name="), "{volume}");
            }
            for field in others {
                figure(item, field);
            }
            let total: f64 = costs.iter().map(|cost| figure(item, cost)).sum();
            assert_close(figure(item, "totalCost"), total, costs.len() + 1, name);
        }
        // However finely it is asked for, all together is the same.
        let whole = services
            .set(&format!(
                "{path}?{DAY}&aggregate=all&accumulate=true&idle=true&includeIdle=true"
            ))
            .await;
        let (parts, whole) = (sum(set.values(), "totalCost"), sum(whole.values(), "totalCost"));
        assert_close(parts, whole, set.len() + whole as usize, &asked);
    }

    let controllers = services
        .set(&format!(
            "/model/allocation?{DAY}&aggregate=cluster,namespace,controller&accumulate=true&idle=false"
        ))
        .await;
    assert_same_figures(
        &controllers,
        &golden_set("alloc-cluster-ns-ctrl"),
        &SHARED,
        "controllers",
    );
    let one = services
        .set(&format!(
            "/model/allocation?{DAY}&aggregate=namespace&accumulate=true&idle=false&filterNamespaces=web"
        ))
        .await;
    assert_eq!(one.keys().collect::<Vec<_>>(), ["web"]);
}

async fn kubectl_cost_settings(services: Arc<Services>) {
    let nodes = services
        .set(&format!("/model/assets?{WEEK}&accumulate=true&filterTypes=Node"))
        .await;
    assert!(
        nodes
            .values()
            .all(|node| node["type"] == "Node" && node["nodeType"].is_string())
    );
    let by_type = golden_set("assets-type-7d-acc");
    assert_close(
        sum(nodes.values(), "totalCost"),
        figure(&by_type["Node"], "totalCost"),
        nodes.len(),
        "nodes",
    );
    let clusters = services
        .set(&format!(
            "/model/assets?{WEEK}&accumulate=true&filterTypes=Node&aggregate=cluster"
        ))
        .await;
    assert_eq!(clusters.keys().collect::<BTreeSet<_>>().len(), 4);
    assert_close(
        sum(clusters.values(), "totalCost"),
        figure(&by_type["Node"], "totalCost"),
        4,
        "nodes of clusters",
    );
    assert_eq!(services.json("/model/getConfigs").await["data"]["currencyCode"], "USD");
    assert_eq!(services.json("/model/clusterInfo").await["data"]["id"], "edge-1");
}

async fn kubecost_mcp_server(services: Arc<Services>) {
    const COSTS: [&str; 10] = [
        "cpuCost",
        "gpuCost",
        "ramCost",
        "pvCost",
        "networkCost",
        "loadBalancerCost",
        "cpuCostIdle",
        "gpuCostIdle",
        "ramCostIdle",
        "totalCost",
    ];
    let asked = |accumulate: bool| {
        format!(
            "/model/allocation?{WEEK}&aggregate=namespace&accumulate={accumulate}&idle=true&shareIdle=true\
             &sortBy=totalCost&sortByOrder=desc&limit=100000"
        )
    };
    let days = services.sets(&asked(false)).await;
    assert_eq!(days.len(), 7);
    for (day, set) in (1..).zip(&days) {
        let (start, end) = (
            format!("2026-03-0{day}T00:00:00Z"),
            format!("2026-03-0{}T00:00:00Z", day + 1),
        );
        assert!(!set.is_empty(), "{start}");
        for (name, item) in set {
            assert_eq!(item["name"], name.as_str());
            assert!(item["properties"].is_object());
            assert_eq!(window(item), (&*start, &*end));
            figure(item, "totalEfficiency");
        }
    }
    let whole = services.set(&asked(true)).await;
    assert!(!whole.contains_key("__idle__"), "idle is shared out");
    for (name, item) in &whole {
        for cost in COSTS {
            let daily: Vec<_> = days.iter().filter_map(|day| day.get(name)).collect();
            let what = format!("{cost} of {name}");
            assert_close(sum(daily, cost), figure(item, cost), days.len() + 1, &what);
        }
    }
    assert_same_figures(&whole, &golden_set("alloc-ns-7d-shareidle"), &SHARED, "idle shared");

    let text = services.get(&asked(true)).await.text;
    let costs: Vec<_> = names_in_order(&text)
        .iter()
        .map(|name| figure(&whole[*name], "totalCost"))
        .collect();
    assert_eq!(costs.len(), whole.len());
    assert!(costs.is_sorted_by(|first, second| first >= second), "{costs:?}");

    // A window that is counted back from now has as many days, though nothing is known of them.
    let recent = services
        .sets("/model/allocation?window=7d&aggregate=namespace&accumulate=false")
        .await;
    assert_eq!(recent.len(), 7);

    let unknown = services
        .set(&format!(
            "/model/allocation?{WEEK}&aggregate=label:nosuch&accumulate=true&idle=true&shareIdle=true"
        ))
        .await;
    assert_eq!(unknown.keys().collect::<Vec<_>>(), ["__unallocated__"]);
    assert_close(
        sum(unknown.values(), "totalCost"),
        sum(whole.values(), "totalCost"),
        whole.len() + 1,
        "an unknown label",
    );
}

async fn opencost_page_of_allocations(services: Arc<Services>) {
    let asked = |more: &str| format!("/allocation/compute?{WEEK}&aggregate=namespace&{more}&filter=");
    let whole = services.set(&asked("includeIdle=true&accumulate=true")).await;
    assert_same_figures(&whole, &golden_set("alloc-ns-7d-acc-idle"), &[], "a week");
    let days = services
        .sets(&asked("includeIdle=false&accumulate=false&step=1d"))
        .await;
    assert_eq!(days.len(), 7);
    let golden = golden_sets("alloc-ns-9d-day");
    for (day, (set, expected)) in days.iter().zip(&golden).enumerate() {
        assert_same_figures(set, expected, &[], &format!("day {day}"));
        for item in set.values() {
            assert_eq!(figure(item, "minutes"), 1440.0);
            assert!(window(item).0.starts_with("2026-03-0"));
            for field in [
                "cpuCoreRequestAverage",
                "ramByteUsageAverage",
                "cpuEfficiency",
                "ramEfficiency",
            ] {
                figure(item, field);
            }
        }
    }
    let filtered = services
        .set(&format!(
            "/allocation/compute?{WEEK}&aggregate=namespace&includeIdle=false&accumulate=true\
             &filter=cluster:%22prod-us%22"
        ))
        .await;
    assert_same_figures(&filtered, &golden_set("alloc-f-cluster"), &[], "a filter");
    for path in [
        "/cloudCost?window=7d&costMetric=AmortizedNetCost&filter=",
        "/cloudCost/view/table?window=7d&aggregate=service&costMetric=AmortizedNetCost&accumulate=false&limit=1000",
        "/cloudCost/view/totals?window=7d&costMetric=AmortizedNetCost",
        "/cloudCost/view/graph?window=7d&aggregate=service&costMetric=AmortizedNetCost",
        "/cloudCost/status",
    ] {
        services.json(path).await;
    }
}

async fn opencost_page_of_assets(services: Arc<Services>) {
    let answer = services.json(&format!("/assets?{DAY}&step=1d")).await;
    let assets = answer["data"].as_object().expect("one map");
    assert_same_figures(assets, &golden_set("assets-raw-1d"), &[], "assets");
    let mut kinds = BTreeSet::new();
    for (name, asset) in assets {
        let kind = asset["type"].as_str().expect("a kind");
        kinds.insert(kind);
        assert!(
            asset["properties"]["cluster"].is_string() && asset["labels"].is_object(),
            "{name}"
        );
        match kind {
            "Node" => {
                assert!(asset["nodeType"].is_string());
                for field in ["cpuCores", "ramBytes", "gpuCount", "cpuCost", "ramCost"] {
                    figure(asset, field);
                }
                for part in ["idle", "other", "system", "user"] {
                    figure(&asset["cpuBreakdown"], part);
                    figure(&asset["ramBreakdown"], part);
                }
            }
            "Disk" => {
                assert!(asset["storageClass"].is_string());
                figure(asset, "bytes");
                figure(&asset["breakdown"], "idle");
            }
            "LoadBalancer" => assert!(asset["ip"].is_string() && asset["private"].is_boolean()),
            _ => {}
        }
    }
    assert_eq!(
        kinds,
        BTreeSet::from(["ClusterManagement", "Disk", "LoadBalancer", "Network", "Node"])
    );
    // Several days are one map all the same.
    let week = services.json(&format!("/assets?{WEEK}&step=1d")).await;
    let week = week["data"].as_object().expect("one map").clone();
    let by_type = golden_set("assets-type-7d-acc");
    assert_close(
        sum(week.values(), "totalCost"),
        sum(by_type.values(), "totalCost"),
        week.len() + by_type.len(),
        "a week of assets",
    );
}

async fn opencost_page_completes(services: Arc<Services>) {
    let asked = format!("/allocation/autocomplete?{WEEK}&field=namespace&limit=25&search=m&filter=cluster:prod-us");
    let answer = services.json(&asked).await;
    let found: Vec<_> = answer["data"]["data"].as_array().expect("values").clone();
    let expected: Vec<_> = golden_set("alloc-f-cluster")
        .keys()
        .filter(|name| name.contains('m'))
        .cloned()
        .collect();
    let mut expected: Vec<_> = expected.into_iter().map(Value::from).collect();
    expected.sort_by(|first, second| first.as_str().cmp(&second.as_str()));
    assert_eq!(found, expected);
    let answer = services
        .json(&format!(
            "/assets/autocomplete?{WEEK}&field=cluster&limit=25&search=PROD&filter="
        ))
        .await;
    assert_eq!(answer["data"]["data"], json!(["prod-eu", "prod-us"]));
}

fn no_null(value: &Value, place: &str) {
    match value {
        Value::Null => panic!("{place} is null"),
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| no_null(value, &format!("{place}/{name}"))),
        Value::Array(items) => items.iter().for_each(|value| no_null(value, place)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

async fn parquet_exporter(services: Arc<Services>) {
    let asked = "/allocation/compute?window=2026-03-09T00:00:00Z,2026-03-09T23:59:59Z&includeIdle=false\
                 &idleByNode=false&includeProportionalAssetResourceCosts=false&format=json&step=1h\
                 &aggregate=namespace,pod,container";
    assert_eq!(services.get(asked).await.content_type, "application/json");
    let hours = services.sets(asked).await;
    assert_eq!(hours.len(), 24);
    for (hour, set) in hours.iter().enumerate() {
        assert!(!set.is_empty(), "hour {hour}");
        for (name, item) in set {
            let start = format!("2026-03-09T{hour:02}:00:00Z");
            assert_eq!(window(item).0, start, "{name}");
            for (field, value) in item.as_object().expect("an item") {
                // A map that has nothing in it is null in the reference too.
                if field != "lbAllocations" {
                    no_null(value, &format!("{start} {name} {field}"));
                }
            }
        }
    }
    let day = golden_set("alloc-ns-hourly-day");
    for (namespace, item) in &day {
        for field in [
            "cpuCost",
            "ramCost",
            "pvCost",
            "networkCost",
            "totalCost",
            "cpuCoreHours",
        ] {
            let items: Vec<_> = hours
                .iter()
                .flat_map(Set::iter)
                .filter(|(name, _)| name.split('/').next() == Some(namespace))
                .map(|(_, item)| item)
                .collect();
            assert!(!items.is_empty(), "{namespace}");
            let what = format!("{field} of {namespace}");
            assert_close(
                sum(items.iter().copied(), field),
                figure(item, field),
                items.len() + 1,
                &what,
            );
        }
    }
}

async fn opencost_tests_of_sums(services: Arc<Services>) {
    let whole = golden_set("alloc-cluster-7d-acc");
    for field in [
        "totalCost",
        "cpuCost",
        "ramCost",
        "pvCost",
        "cpuCoreHours",
        "ramByteHours",
    ] {
        let expected = sum(whole.values(), field);
        for key in ["cluster", "node", "namespace", "pod", "container"] {
            let asked = format!("/allocation?{WEEK}&aggregate={key}&accumulate=true&includeIdle=false");
            let set = services.set(&asked).await;
            assert_close(
                sum(set.values(), field),
                expected,
                set.len() + whole.len(),
                &format!("{field} by {key}"),
            );
        }
    }
    // Cut into sets however it may be.
    let expected = sum(whole.values(), "totalCost");
    for (cut, sets) in [
        ("accumulate=false&step=1d", 7),
        ("accumulateBy=day", 7),
        ("accumulate=week", 1),
        ("accumulate=false&accumulateBy=all", 1),
        ("accumulate=true&step=1d", 1),
        ("", 1),
    ] {
        let answer = services
            .sets(&format!("/allocation?{WEEK}&aggregate=namespace&{cut}"))
            .await;
        assert_eq!(answer.len(), sets, "{cut}");
        let items: Vec<_> = answer.iter().flat_map(Set::values).collect();
        assert_close(
            sum(items.iter().copied(), "totalCost"),
            expected,
            items.len() + whole.len(),
            cut,
        );
    }
    let idle = services
        .set(&format!(
            "/allocation?{WEEK}&aggregate=cluster&accumulate=true&includeIdle=true"
        ))
        .await;
    assert_same_figures(&idle, &golden_set("alloc-cluster-7d-acc-idle"), &[], "idle");
    let shared = services
        .set(&format!(
            "/allocation?{WEEK}&aggregate=namespace&accumulate=true&shareNamespaces=kube-system,monitoring"
        ))
        .await;
    assert_same_figures(&shared, &golden_set("alloc-share-ns"), &[], "shared namespaces");
    let described = services
        .set(&format!(
            "/allocation?{WEEK}&aggregate=namespace&accumulate=true&includeAggregatedMetadata=true"
        ))
        .await;
    for (name, item) in golden_set("alloc-metadata") {
        for map in ["labels", "annotations"] {
            let (got, expected) = (&described[&name]["properties"][map], &item["properties"][map]);
            let entries = |map: &Value| map.as_object().cloned().unwrap_or_default();
            assert_eq!(entries(got), entries(expected), "{map} of {name}");
        }
    }
    let summary = services
        .json(&format!("/allocation/summary?{WEEK}&aggregate=namespace&step=1d"))
        .await;
    assert_eq!(summary["data"]["step"], 86_400_000_000_000_u64);
    let sets = summary["data"]["sets"].as_array().expect("sets");
    assert_eq!(sets.len(), 7);
    let items: Vec<_> = sets
        .iter()
        .flat_map(|set| set["allocations"].as_object().expect("items").values())
        .collect();
    assert_close(
        sum(items.iter().copied(), "totalCost"),
        expected,
        items.len() + whole.len(),
        "summaries",
    );
}

async fn opencost_tests_of_empty_windows(services: Arc<Services>) {
    for year in [1970, 2099] {
        let window = format!("window={year}-01-01T00:00:00Z,{year}-01-03T00:00:00Z");
        for (path, data) in [
            ("/allocation?aggregate=namespace", json!([{}])),
            ("/allocation?aggregate=namespace&step=1d", json!([{}, {}])),
            (
                "/allocation?aggregate=namespace&includeIdle=true&accumulate=true",
                json!([{}]),
            ),
            (
                "/allocation?aggregate=namespace&shareIdle=true&shareNamespaces=web&shareCost=100",
                json!([{}]),
            ),
            ("/allocation/compute?aggregate=pod", json!([{}])),
            ("/assets?", json!({})),
            ("/assets?step=1d", json!({})),
            ("/allocation/autocomplete?field=namespace", json!({"data": []})),
            ("/assets/autocomplete?field=cluster", json!({"data": []})),
            ("/model/allocation?aggregate=namespace", json!([{}, {}])),
            ("/model/allocation?aggregate=namespace&accumulate=true", json!([{}])),
            ("/model/assets?", json!([{}, {}])),
            ("/model/assets?accumulate=true", json!([{}])),
            (
                "/model/assets/topline?",
                json!({"totalCost": 0, "adjustment": 0, "numResults": 0}),
            ),
        ] {
            assert_eq!(
                services.json(&format!("{path}&{window}")).await["data"],
                data,
                "{path} in {year}"
            );
        }
        let summary = services.json(&format!("/allocation/summary?{window}&step=1d")).await;
        let sets = summary["data"]["sets"].as_array().expect("sets");
        assert_eq!(sets.len(), 2);
        assert!(
            sets.iter()
                .all(|set| set["allocations"] == json!({}) && set["window"]["start"].is_string())
        );
        let topline = services
            .json(&format!("/model/allocation/summary/topline?{window}"))
            .await;
        assert_eq!(topline["data"]["numResults"], 0);
        assert_eq!(topline["data"]["combined"]["allocations"]["total"]["totalCost"], 0);
        let trends = services
            .json(&format!("/model/allocation/trends?{window}&aggregate=namespace"))
            .await;
        assert_eq!(trends["data"]["allocationTrends"], json!({}));
    }
}

async fn opencost_tests_of_bad_values(services: Arc<Services>) {
    for (bad, parameter, got) in [
        ("", "window", ""),
        ("window=", "window", ""),
        ("window=never", "window", "never"),
        (
            "window=2026-03-08T00:00:00Z,2026-03-01T00:00:00Z",
            "window",
            "2026-03-08",
        ),
        (&format!("{WEEK}&aggregate=nosuch"), "aggregate", "nosuch"),
        (&format!("{WEEK}&accumulate=year"), "accumulate", "year"),
        (&format!("{WEEK}&accumulateBy=year"), "accumulateBy", "year"),
        (&format!("{WEEK}&step=90m"), "step", "90m"),
        (&format!("{WEEK}&includeIdle=maybe"), "includeIdle", "maybe"),
        (&format!("{WEEK}&idle=yes"), "idle", "yes"),
        (&format!("{WEEK}&shareIdle=2"), "shareIdle", "2"),
        (&format!("{WEEK}&shareSplit=odd"), "shareSplit", "odd"),
        (&format!("{WEEK}&shareCost=-1"), "shareCost", "-1"),
        (&format!("{WEEK}&shareLabels=team"), "shareLabels", "team"),
        (&format!("{WEEK}&costMetric=yearly"), "costMetric", "yearly"),
        (&format!("{WEEK}&offset=-1"), "offset", "-1"),
        (&format!("{WEEK}&limit=ten"), "limit", "ten"),
        (&format!("{WEEK}&sortBy=colour"), "sortBy", "colour"),
        (&format!("{WEEK}&sortByOrder=up"), "sortByOrder", "up"),
        (&format!("{WEEK}&format=xml"), "format", "xml"),
        (&format!("{WEEK}&filter=nosuch:%22x%22"), "filter", "nosuch"),
    ] {
        for path in [
            "/allocation",
            "/allocation/compute",
            "/allocation/summary",
            "/model/allocation",
        ] {
            let message = services.refused(&format!("{path}?{bad}")).await;
            let begins = format!("parameter {parameter} ");
            assert!(
                message.starts_with(&begins) && message.contains(got),
                "{path}?{bad}: {message}"
            );
            assert!(
                message.contains("takes") || message.contains("missing"),
                "{path}?{bad}: {message}"
            );
        }
    }
    for bad in [
        "",
        "window=never",
        "window=7d&aggregate=nosuch",
        "window=7d&filter=pod:%22x%22",
        "window=7d&limit=-1",
    ] {
        for path in ["/assets", "/model/assets"] {
            services.refused(&format!("{path}?{bad}")).await;
        }
    }
    for path in [
        "/allocation/autocomplete",
        "/assets/autocomplete",
        "/model/allocation/autocomplete",
    ] {
        for bad in [
            "window=7d",
            "window=7d&field=nosuch",
            "field=cluster",
            "window=7d&field=cluster&limit=1001",
        ] {
            services.refused(&format!("{path}?{bad}")).await;
        }
    }
    let missing = services.get("/allocation/nosuch").await;
    assert_eq!(missing.status, 404);
}

async fn grafana_dashboards(services: Arc<Services>) {
    // From 2026-03-03T15:33:20Z to 2026-03-05T05:20:00Z, which touches three days.
    let window = "window=1772552000,1772688000";
    let days = services
        .sets(&format!(
            "/model/allocation?{window}&aggregate=cluster&idle=false&{BARE}"
        ))
        .await;
    let golden = golden_sets("alloc-cluster-7d");
    assert_eq!(days.len(), 3);
    for (day, set) in days.iter().enumerate() {
        assert_same_figures(set, &golden[day + 2], &[], &format!("day {day}"));
    }
    let split = services
        .sets(&format!(
            "/model/allocation?{window}&aggregate=cluster&splitIdle=true&accumulate=true&filterNamespaces=web,data\
             &filterClusters=prod-us,staging"
        ))
        .await;
    // The idle cost of clusters that the filter drops goes with them.
    let costly = split[0].iter().filter(|(_, item)| figure(item, "totalCost") > 0.0);
    let names: BTreeSet<_> = costly.map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["prod-us", "prod-us/__idle__", "staging", "staging/__idle__"])
    );

    let present = services
        .set(&format!(
            "/model/allocation?{WEEK}&aggregate=namespace&accumulate=true&idle=false&{BARE}&filter=label:\"owner\""
        ))
        .await;
    assert_same_figures(&present, &golden_set("alloc-f-label-present"), &[], "label names");

    let summary = services
        .json(&format!(
            "/model/allocation/summary?{window}&aggregate=cluster&idle=false&{BARE}"
        ))
        .await;
    let sets = summary["data"]["sets"].as_array().expect("sets");
    assert_eq!(sets.len(), 3);
    for (set, day) in sets.iter().zip(&days) {
        for (name, item) in day {
            let summed = figure(&set["allocations"][name], "totalCost");
            assert_close(summed, figure(item, "totalCost"), 2, name);
        }
    }
    let values = services
        .json(&format!("/model/allocation/autocomplete?{window}&field=cluster"))
        .await;
    assert_eq!(
        values["data"]["data"],
        json!(["edge-1", "prod-eu", "prod-us", "staging"])
    );
    let assets = services
        .sets(&format!("/model/assets?{window}&aggregate=cluster"))
        .await;
    assert_eq!(assets.len(), 3);
    let clusters: Vec<_> = assets.iter().map(Set::len).collect();
    assert_eq!(clusters, [4, 3, 4], "one cluster is missing on the second day");
    assert_eq!(services.json("/model/productConfigs").await["currencyCode"], "USD");
}

async fn aws_exporter(services: Arc<Services>) {
    let asked = "/model/allocation?window=2026-03-01T00:00:00Z,2026-03-05T00:00:00Z&accumulate=False&step=1d&idle=True\
                 &splitIdle=True&idleByNode=True&shareTenancyCosts=True";
    let days = services.sets(asked).await;
    assert_eq!(days.len(), 4);
    for (day, set) in (1..).zip(&days) {
        let (start, end) = (
            format!("2026-03-0{day}T00:00:00Z"),
            format!("2026-03-0{}T00:00:00Z", day + 1),
        );
        assert!(set.values().all(|item| window(item) == (&*start, &*end)), "{start}");
        let idle: Vec<_> = set.keys().filter(|name| name.ends_with("/__idle__")).collect();
        assert!(idle.len() > 4, "idle of each node: {idle:?}");
        assert!(!set.contains_key("__idle__"), "idle is split");
    }
    let containers: Set = days[3]
        .clone()
        .into_iter()
        .filter(|(name, _)| !name.ends_with("__idle__"))
        .collect();
    assert_same_figures(&containers, &golden_set("alloc-raw-1d"), &SHARED, "containers");
    let idle = |set: &Set| {
        let items: Vec<_> = set
            .iter()
            .filter(|(name, _)| name.ends_with("__idle__"))
            .map(|(_, item)| item)
            .collect();
        (sum(items.iter().copied(), "totalCost"), items.len())
    };
    let (got, nodes) = idle(&days[3]);
    let (expected, _) = idle(&golden_set("alloc-node-1d-idle-bynode-split"));
    assert_close(got, expected, 2 * nodes, "idle of nodes");
}

async fn flexera_exporter(services: Arc<Services>) {
    const LIMIT: usize = 30;
    for share in [
        "shareIdle=false&shareNamespaces=kube-system",
        "shareIdle=true&shareNamespaces=kube-system,monitoring",
    ] {
        let asked = format!(
            "/model/allocation?{DAY}&aggregate=cluster,namespace,controllerKind,controller,pod&idle=true\
             &idleByNode=true&{share}&shareSplit=weighted"
        );
        let whole = services.set(&asked).await;
        let idle = usize::from(whole.contains_key("__idle__"));
        assert_eq!(idle == 1, share.starts_with("shareIdle=false"));
        let mut together = Set::new();
        let mut offset = 0;
        loop {
            let page = services.set(&format!("{asked}&offset={offset}&limit={LIMIT}")).await;
            let items = page.len() - idle;
            assert_eq!(items, LIMIT.min(whole.len() - idle - offset), "from {offset} on");
            for (name, item) in page {
                let seen = together.insert(name.clone(), item);
                assert!(seen.is_none() || name == "__idle__", "{name} is on two pages");
            }
            offset += LIMIT;
            if items < LIMIT {
                break;
            }
        }
        assert!(offset >= 2 * LIMIT, "all is on one page");
        assert_same_figures(&together, &whole, &[], "all pages");
    }
    assert_eq!(services.json("/model/getConfigs").await["data"]["currencyCode"], "USD");
}

async fn backstage_plugins(services: Arc<Services>) {
    let days = services
        .sets(&format!(
            "/allocation/compute?{WEEK}&aggregate=controller&step=1d&accumulate=false"
        ))
        .await;
    assert_eq!(days.len(), 7);
    // A raw plus sign arrives as a space, and the second value has no quotes.
    let controllers = services
        .set(&format!(
            "/model/allocation?{WEEK}&aggregate=controller&accumulate=true&idle=false&{BARE}\
             &filter=label[team]:\"core\"+controllerKind:deployment"
        ))
        .await;
    let mut expected = golden_set("alloc-f-label");
    expected.retain(|name, _| name.starts_with("deployment:"));
    assert!(!expected.is_empty());
    assert_same_figures(&controllers, &expected, &[], "deployments of a team");
}

async fn headlamp_plugin(services: Arc<Services>) {
    for (window, sets) in [
        (WEEK, 7),
        (DAY, 1),
        ("window=2026-02-26T00:00:00Z,2026-03-03T00:00:00Z", 5),
        ("window=7d", 7),
        ("window=30d", 30),
    ] {
        let days = services
            .sets(&format!("/allocation?{window}&aggregate=namespace&step=1d"))
            .await;
        assert_eq!(days.len(), sets, "{window}");
    }
    let days = services
        .sets("/allocation?window=2026-02-26T00:00:00Z,2026-03-03T00:00:00Z&aggregate=namespace&step=1d")
        .await;
    let empty: Vec<_> = days.iter().map(Set::is_empty).collect();
    assert_eq!(empty, [true, true, true, false, false]);
    let last = services
        .sets(&format!("/allocation?{HOURLY_DAY}&aggregate=namespace&step=1d"))
        .await;
    assert_same_figures(&last[0], &golden_sets("alloc-ns-9d-day")[8], &[], "the last day");
}

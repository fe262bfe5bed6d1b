//! What else can be asked by HTTP, over the golden bucket: against golden answers, or against one another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::asking::{
    BARE, Checks, DAY, HOURLY_DAY, Services, Set, WEEK, assert_close, assert_same_figures, figure, golden_set,
    golden_sets, names_in_order, sum,
};

#[tokio::test(flavor = "multi_thread")]
async fn questions_agree_with_one_another() {
    let mut checks = Checks::start().await;
    checks.run("summaries", summaries).await;
    checks.run("toplines", toplines).await;
    checks.run("trends", trends).await;
    checks.run("differences of assets", differences_of_assets).await;
    checks.run("values of fields", values_of_fields).await;
    checks.run("clusters", clusters).await;
    checks.run("tables", tables).await;
    checks.run("order and pages", order_and_pages).await;
    checks.run("cost metrics", cost_metrics).await;
    checks.run("errors in filters", errors_in_filters).await;
    checks.run("filters on many fields", filters_on_many_fields).await;
    checks.run("older filters", older_filters).await;
    checks.run("steps and accumulation", steps_and_accumulation).await;
    checks.run("parts of assets", parts_of_assets).await;
    checks.run("labels of aggregates", labels_of_aggregates).await;
    checks.run("explanations", explanations).await;
    checks.end().await;
}

/// The items of a summary's sets.
fn summary_sets(answer: &Value) -> Vec<Set> {
    let sets = answer["data"]["sets"].as_array().expect("sets");
    let items = |set: &Value| set["allocations"].as_object().expect("items").clone();
    sets.iter().map(items).collect()
}

/// A cost with its adjustment.
fn adjusted(item: &Value, cost: &str) -> f64 {
    figure(item, cost) + figure(item, &format!("{cost}Adjustment"))
}

async fn summaries(services: Arc<Services>) {
    for asked in [
        format!("{WEEK}&aggregate=namespace&idle=true"),
        format!("{DAY}&idle=false"),
        format!("{WEEK}&aggregate=controller&accumulate=true&shareIdle=true&shareNamespaces=kube-system"),
    ] {
        let sets = services.sets(&format!("/model/allocation?{asked}")).await;
        let answer = services.json(&format!("/model/allocation/summary?{asked}")).await;
        let summaries = summary_sets(&answer);
        assert_eq!(summaries.len(), sets.len());
        for (summary, set) in summaries.iter().zip(&sets) {
            assert_eq!(summary.len(), set.len());
            for (name, item) in set {
                let brief = &summary[name];
                for cost in [
                    "cpuCost",
                    "gpuCost",
                    "ramCost",
                    "pvCost",
                    "networkCost",
                    "loadBalancerCost",
                ] {
                    assert_close(
                        figure(brief, cost),
                        adjusted(item, cost),
                        3,
                        &format!("{cost} of {name}"),
                    );
                }
                for field in [
                    "totalCost",
                    "sharedCost",
                    "externalCost",
                    "totalEfficiency",
                    "cpuCoreRequestAverage",
                    "cpuCoreUsageAverage",
                    "ramByteRequestAverage",
                    "ramByteUsageAverage",
                ] {
                    assert_close(
                        figure(brief, field),
                        figure(item, field),
                        2,
                        &format!("{field} of {name}"),
                    );
                }
                assert_eq!(
                    (&brief["start"], &brief["end"]),
                    (&item["start"], &item["end"]),
                    "{name}"
                );
            }
        }
    }
}

async fn toplines(services: Arc<Services>) {
    for asked in [
        format!("{WEEK}&aggregate=namespace"),
        format!("{WEEK}&aggregate=pod&idle=false&filter=cluster:%22prod-us%22"),
        format!("{DAY}&idle=true&splitIdle=true&idleByNode=true"),
    ] {
        let summary = services
            .json(&format!("/model/allocation/summary?{asked}&accumulate=true"))
            .await;
        let items = summary_sets(&summary).remove(0);
        let topline = services
            .json(&format!("/model/allocation/summary/topline?{asked}"))
            .await;
        assert_eq!(topline["data"]["numResults"], items.len(), "{asked}");
        let total = &topline["data"]["combined"]["allocations"]["total"];
        for cost in [
            "totalCost",
            "cpuCost",
            "gpuCost",
            "ramCost",
            "pvCost",
            "networkCost",
            "loadBalancerCost",
            "sharedCost",
            "externalCost",
        ] {
            let what = format!("{cost}: {asked}");
            assert_close(figure(total, cost), sum(items.values(), cost), items.len() + 1, &what);
        }
    }
    for asked in [
        WEEK.to_owned(),
        format!("{WEEK}&filterTypes=Node,Disk"),
        format!("{WEEK}&aggregate=type"),
    ] {
        let assets = services.set(&format!("/model/assets?{asked}&accumulate=true")).await;
        let topline = services.json(&format!("/model/assets/topline?{asked}")).await;
        assert_eq!(topline["data"]["numResults"], assets.len(), "{asked}");
        let total = figure(&topline["data"], "totalCost");
        assert_close(total, sum(assets.values(), "totalCost"), assets.len() + 1, &asked);
        // Fees are not reconciled.
        let adjusted: f64 = assets.values().filter_map(|asset| asset["adjustment"].as_f64()).sum();
        assert_close(
            figure(&topline["data"], "adjustment"),
            adjusted,
            assets.len() + 1,
            &asked,
        );
    }
}

async fn trends(services: Arc<Services>) {
    const CURRENT: &str = "window=2026-03-05T00:00:00Z,2026-03-08T00:00:00Z";
    const BEFORE: &str = "window=2026-03-02T00:00:00Z,2026-03-05T00:00:00Z";
    let (mut came, mut went) = (0, 0);
    for more in [
        "aggregate=namespace",
        "aggregate=pod&idle=false",
        "aggregate=cluster&shareIdle=true",
    ] {
        let costs = |window: &'static str| {
            let services = Arc::clone(&services);
            async move {
                let set = services
                    .set(&format!("/model/allocation?{window}&{more}&accumulate=true"))
                    .await;
                set.iter()
                    .map(|(name, item)| (name.clone(), figure(item, "totalCost")))
                    .collect()
            }
        };
        let current: BTreeMap<String, f64> = costs(CURRENT).await;
        let before: BTreeMap<String, f64> = costs(BEFORE).await;
        let answer = services
            .json(&format!("/model/allocation/trends?{CURRENT}&{more}"))
            .await;
        assert_eq!(answer["data"]["comparisonWindow"]["start"], "2026-03-02T00:00:00Z");
        let trends = answer["data"]["allocationTrends"].as_object().expect("trends");
        let names: BTreeSet<_> = current.keys().chain(before.keys()).collect();
        assert_eq!(trends.keys().collect::<BTreeSet<_>>(), names);
        for (name, trend) in trends {
            let change = &trend["trends"]["costs"]["totalCost"]["relativeChange"];
            let cost = |costs: &BTreeMap<String, f64>| costs.get(name).copied().unwrap_or_default();
            let (now, then) = (cost(&current), cost(&before));
            came += usize::from(then == 0.0 && now > 0.0);
            went += usize::from(now == 0.0 && then > 0.0);
            assert_eq!(change["isInfinite"], then == 0.0 && now != 0.0, "{name}");
            assert_eq!(change["isNaN"], then == 0.0 && now == 0.0, "{name}");
            if then > 0.0 {
                // The costs are rounded, the change is not.
                let expected = now / then - 1.0;
                let allowed = 1e-5 * (now + then) / (then * then) + 1e-9;
                let got = figure(change, "value");
                assert!((got - expected).abs() <= allowed, "{name}: {got} instead of {expected}");
            } else {
                assert_eq!(change["value"], 0.0, "{name}");
            }
        }
    }
    assert!(came > 0 && went > 0, "{came} pods came, {went} went");
    let named = services
        .json(&format!(
            "/model/allocation/trends?{CURRENT}&aggregate=namespace&names=web,data"
        ))
        .await;
    let names: BTreeSet<_> = named["data"]["allocationTrends"]
        .as_object()
        .expect("trends")
        .keys()
        .collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["data", "web"]);
}

async fn differences_of_assets(services: Arc<Services>) {
    const BEFORE: &str = "2026-03-03T00:00:00Z,2026-03-04T00:00:00Z";
    const AFTER: &str = "2026-03-04T00:00:00Z,2026-03-05T00:00:00Z";
    let before = services.set(&format!("/model/assets?window={BEFORE}")).await;
    let after = services.set(&format!("/model/assets?window={AFTER}")).await;
    let mut counts = BTreeMap::new();
    for (parameter, ratio) in [("", 0.05), ("&costChangeRatio=0.5", 0.5), ("&costChangeRatio=0", 0.0)] {
        for (from, to, first, second) in [(BEFORE, AFTER, &before, &after), (AFTER, BEFORE, &after, &before)] {
            let mut expected = BTreeMap::new();
            for name in first.keys().chain(second.keys()) {
                let cost = |set: &Set| set.get(name).map(|asset| figure(asset, "totalCost"));
                let kind = match (cost(first), cost(second)) {
                    (Some(then), Some(now)) if (now - then).abs() > ratio * then.abs() => "changed",
                    (Some(_), None) => "removed",
                    (None, Some(_)) => "added",
                    _ => continue,
                };
                expected.insert(name.as_str(), kind);
                *counts.entry(kind).or_insert(0) += 1;
            }
            let answer = services
                .json(&format!("/model/assets/diff?before={from}&after={to}{parameter}"))
                .await;
            let data = answer["data"].as_object().expect("differences");
            let got: BTreeMap<_, _> = data
                .iter()
                .map(|(name, change)| (name.as_str(), change["kind"].as_str().expect("a kind")))
                .collect();
            assert_eq!(got, expected, "{from} and {to}{parameter}");
            for (name, change) in data {
                for (key, set) in [("before", first), ("after", second)] {
                    let cost = &change[key]["totalCost"];
                    assert_eq!(
                        cost,
                        set.get(name).map_or(&Value::Null, |asset| &asset["totalCost"]),
                        "{name} {key}"
                    );
                }
            }
        }
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
    let missing = services.refused(&format!("/model/assets/diff?before={BEFORE}")).await;
    assert!(missing.starts_with("parameter after is missing"), "{missing}");
}

async fn values(services: &Services, path: &str) -> Vec<String> {
    let answer = services.json(path).await;
    let values = answer["data"]["data"].as_array().expect("values");
    values
        .iter()
        .map(|value| value.as_str().expect("a text").to_owned())
        .collect()
}

async fn values_of_fields(services: Arc<Services>) {
    let names = |id: &str, except: &[&str]| {
        let mut names: Vec<String> = golden_set(id).keys().cloned().collect();
        names.retain(|name| !except.contains(&name.as_str()));
        names.sort();
        names
    };
    let allocations = format!("/model/allocation/autocomplete?{WEEK}&field=");
    for (field, expected) in [
        ("namespace", names("alloc-ns-7d-acc", &[])),
        ("cluster", names("alloc-cluster-7d-acc", &[])),
        ("label:team", names("alloc-label-team-7d-acc", &["__unallocated__"])),
        ("label:owner", names("alloc-label-owner-unicode", &["__unallocated__"])),
        (
            "controllerKind",
            names("alloc-controllerkind-7d-acc", &["__unallocated__"]),
        ),
        (
            "annotation:cost_center",
            names("alloc-annotation-7d-acc", &["__unallocated__"]),
        ),
    ] {
        assert_eq!(
            values(&services, &format!("{allocations}{field}")).await,
            expected,
            "{field}"
        );
    }
    let labels = values(&services, &format!("{allocations}label")).await;
    assert_eq!(labels, ["app", "env", "owner", "pod_template_hash", "team"]);

    // A value that is proposed finds something.
    for field in [
        "controllerName",
        "node",
        "container",
        "services",
        "provider",
        "team",
        "environment",
    ] {
        let proposed = values(&services, &format!("{allocations}{field}&limit=1000")).await;
        assert!(!proposed.is_empty(), "{field}");
        for value in proposed.iter().take(3) {
            let asked = format!("/model/allocation?{WEEK}&aggregate=all&idle=false&accumulate=true&filter={field}:");
            let found = services.set(&format!("{asked}%22{value}%22")).await;
            assert_eq!(found.len(), 1, "{field}:{value}");
        }
    }

    let assets = format!("/model/assets/autocomplete?{WEEK}&field=");
    let types = values(&services, &format!("{assets}assetType")).await;
    assert_eq!(types, names("assets-type-7d-acc", &[]));
    assert_eq!(values(&services, &format!("{assets}type&search=DISK")).await, ["Disk"]);
    assert_eq!(
        values(&services, &format!("{assets}cluster")).await,
        names("assets-cluster-7d-acc", &[])
    );
    let accounts = values(&services, &format!("{assets}account")).await;
    assert_eq!(accounts, names("assets-account-7d-acc", &["__undefined__"]));
    let teams = values(&services, &format!("{assets}label:label_team")).await;
    assert_eq!(teams, names("assets-label", &["__undefined__"]));

    let pods = values(&services, &format!("{allocations}pod&limit=1000")).await;
    assert!(pods.len() > 50 && pods.is_sorted(), "{} pods", pods.len());
    assert_eq!(values(&services, &format!("{allocations}pod&limit=7")).await, pods[..7]);
    let found = values(&services, &format!("{allocations}pod&search=ReDiS&limit=1000")).await;
    let expected: Vec<_> = pods.iter().filter(|pod| pod.contains("redis")).cloned().collect();
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
    assert_eq!(
        values(&services, &format!("{allocations}pod&search=redis&limit=2")).await,
        expected[..2]
    );
    let filtered = values(
        &services,
        &format!("{allocations}cluster&filter=namespace:%22payments%22"),
    )
    .await;
    assert!(!filtered.is_empty() && filtered.len() < 4, "{filtered:?}");
}

async fn clusters(services: Arc<Services>) {
    let map = services.json("/model/clusterInfoMap").await;
    let map = map["data"].as_object().expect("clusters by id");
    let ids: BTreeSet<_> = map.keys().map(String::as_str).collect();
    assert_eq!(ids, BTreeSet::from(["edge-1", "prod-eu", "prod-us", "staging"]));
    for (id, cluster) in map {
        assert_eq!((&cluster["id"], &cluster["name"]), (&json!(id), &json!(id)));
        assert_eq!(cluster["region"], format!("region-{id}"));
        assert_eq!(cluster["firstWindow"], "2026-03-01T00:00:00Z");
        assert_eq!(cluster["lastWindow"], "2026-03-10T00:00:00Z");
        assert_eq!(cluster["filesSetAside"], 0);
        assert!(
            figure(cluster, "rows") > 100.0 && cluster["lastUpload"].is_string(),
            "{cluster}"
        );
    }
    let of = |id: &str| ["provider", "account", "project"].map(|field| map[id][field].as_str().expect("a text"));
    assert_eq!(of("prod-us"), ["AWS", "111122223333", ""]);
    assert_eq!(of("prod-eu"), ["GCP", "", "acme-prod"]);
    let list = services.json("/model/clusters/status").await["data"].clone();
    let in_order: Vec<_> = ids.iter().map(|id| map[*id].clone()).collect();
    assert_eq!(list, Value::from(in_order));
    assert_eq!(services.json("/model/clusterInfo").await["data"], list[0]);
    assert_eq!(
        services.json("/clusterInfoMap").await["data"]["staging"],
        map["staging"]
    );
}

/// The rows of a table, each by the names in its header.
async fn rows(services: &Services, path: &str) -> Vec<BTreeMap<String, String>> {
    let answer = services.get(path).await;
    assert_eq!(
        (answer.status, &*answer.content_type),
        (200, "text/csv; charset=utf-8"),
        "{path}"
    );
    let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
    reader.deserialize().map(|row| row.expect("a row")).collect()
}

async fn tables(services: Arc<Services>) {
    for asked in [
        format!("{WEEK}&aggregate=namespace"),
        format!("{WEEK}&aggregate=label:owner&accumulate=true&idle=false"),
        format!("{DAY}&idle=false"),
        format!("{WEEK}&aggregate=controller&limit=5&filter=cluster:%22staging%22"),
        "window=2099-01-01T00:00:00Z,2099-01-02T00:00:00Z".to_owned(),
    ] {
        let sets = services.sets(&format!("/model/allocation?{asked}")).await;
        let table = rows(&services, &format!("/model/allocation?{asked}&format=csv")).await;
        assert_eq!(table.len(), sets.iter().map(Set::len).sum::<usize>(), "{asked}");
        for row in &table {
            let same_window = |set: &&Set| {
                let first = set.values().next();
                first.is_some_and(|item| item["window"]["start"] == row["windowStart"].as_str())
            };
            let set = sets.iter().find(same_window).expect("a set of the row's window");
            let item = &set[&row["name"]];
            assert_eq!(item["window"]["end"], row["windowEnd"].as_str());
            for field in [
                "totalCost",
                "cpuCost",
                "ramCost",
                "sharedCost",
                "minutes",
                "ramByteUsageAverage",
            ] {
                let cell: f64 = row[field].parse().expect("a number");
                assert_eq!(cell, figure(item, field), "{field} of {}", row["name"]);
            }
        }
        let briefs = rows(&services, &format!("/model/allocation/summary?{asked}&format=csv")).await;
        assert_eq!(briefs.len(), table.len(), "{asked}");
        let total = |rows: &[BTreeMap<String, String>]| -> f64 {
            rows.iter()
                .map(|row| row["totalCost"].parse::<f64>().expect("a number"))
                .sum()
        };
        assert_close(total(&briefs), total(&table), 2 * table.len(), &asked);
    }
    let assets = services.set(&format!("/model/assets?{WEEK}&accumulate=true")).await;
    let table = rows(&services, &format!("/model/assets?{WEEK}&accumulate=true&format=csv")).await;
    assert_eq!(table.len(), assets.len());
    for row in &table {
        let asset = &assets[&row["name"]];
        assert_eq!(asset["type"], row["type"].as_str());
        assert_eq!(
            row["totalCost"].parse::<f64>().expect("a number"),
            figure(asset, "totalCost")
        );
    }
}

async fn order_and_pages(services: Arc<Services>) {
    let asked = format!("/model/allocation?{WEEK}&aggregate=controller&accumulate=true&idle=false");
    let set = services.set(&asked).await;
    let default = services.get(&asked).await.text;
    for sort_by in [
        "totalCost",
        "cpuCost",
        "gpuCost",
        "ramCost",
        "pvCost",
        "networkCost",
        "loadBalancerCost",
        "sharedCost",
        "externalCost",
        "totalEfficiency",
    ] {
        let value = |name: &&str| {
            let item = &set[*name];
            let adjustment = item[format!("{sort_by}Adjustment")].as_f64().unwrap_or_default();
            figure(item, sort_by) + adjustment
        };
        let text = services
            .get(&format!("{asked}&sortBy={sort_by}&sortByOrder=desc"))
            .await
            .text;
        let names = names_in_order(&text);
        assert_eq!(names.len(), set.len(), "{sort_by}");
        let descending: Vec<_> = names.iter().map(value).collect();
        // What differs by less than its rounding may be in any order.
        assert!(
            descending.windows(2).all(|pair| pair[0] >= pair[1] - 2e-5),
            "{sort_by}: {descending:?}"
        );
        let text = services
            .get(&format!("{asked}&sortBy={sort_by}&sortByOrder=asc"))
            .await
            .text;
        let ascending: Vec<_> = names_in_order(&text).iter().map(value).collect();
        assert!(
            ascending.windows(2).all(|pair| pair[0] <= pair[1] + 2e-5),
            "{sort_by}: {ascending:?}"
        );
    }
    let text = services.get(&format!("{asked}&sortBy=name&sortByOrder=asc")).await.text;
    let by_name = names_in_order(&text);
    assert!(by_name.len() == set.len() && by_name.is_sorted());

    let names = names_in_order(&default);
    for (offset, limit) in [
        (0, 5),
        (5, 5),
        (3, 1),
        (names.len() - 2, 5),
        (names.len() + 5, 5),
        (4, 0),
    ] {
        let text = services
            .get(&format!("{asked}&offset={offset}&limit={limit}"))
            .await
            .text;
        let rest = names.get(offset..).unwrap_or_default();
        let expected = if limit == 0 {
            rest
        } else {
            &rest[..limit.min(rest.len())]
        };
        assert_eq!(names_in_order(&text), expected, "{offset} {limit}");
    }
    // Idle is one item more, and every set has a page of its own.
    let days = services
        .sets(&format!("/model/allocation?{WEEK}&aggregate=namespace&limit=2"))
        .await;
    assert_eq!(days.len(), 7);
    assert!(days.iter().all(|day| day.len() == 3 && day.contains_key("__idle__")));

    let asked = format!("/model/assets?{WEEK}&accumulate=true");
    let all = services.get(&asked).await.text;
    let page = services.get(&format!("{asked}&offset=1&limit=3")).await.text;
    let costs = |text: &str| -> Vec<f64> {
        let answer: Value = serde_json::from_str(text).expect("JSON");
        let mut costs: Vec<_> = answer["data"][0]
            .as_object()
            .expect("a set")
            .values()
            .map(cost)
            .collect();
        costs.sort_by(|first, second| second.total_cmp(first));
        costs
    };
    assert_eq!(costs(&page), costs(&all)[1..4]);
}

fn cost(item: &Value) -> f64 {
    figure(item, "totalCost")
}

async fn cost_metrics(services: Arc<Services>) {
    const COSTS: [&str; 9] = [
        "totalCost",
        "cpuCost",
        "cpuCostAdjustment",
        "gpuCost",
        "ramCost",
        "pvCost",
        "networkCost",
        "loadBalancerCost",
        "sharedCost",
    ];
    for (cut, hours) in [("accumulate=true", 168.0), ("accumulate=false", 24.0)] {
        let asked = format!("/model/allocation?{WEEK}&aggregate=namespace&{cut}&shareCost=100");
        let whole = services.sets(&asked).await;
        for (metric, span) in [("hourly", 1.0), ("daily", 24.0), ("monthly", 730.0)] {
            for parameter in ["costMetric", "costUnit"] {
                let asked = format!("{asked}&{parameter}={metric}");
                let rates = services.sets(&asked).await;
                assert_eq!(rates.len(), whole.len());
                for (rates, whole) in rates.iter().zip(&whole) {
                    for (name, item) in whole {
                        for field in COSTS {
                            let expected = figure(item, field) * span / hours;
                            let roundings = 1 + (span / hours).ceil() as usize;
                            let what = format!("{metric} {field} of {name}");
                            assert_close(figure(&rates[name], field), expected, roundings, &what);
                        }
                        let amounts = ["cpuCoreHours", "ramBytes", "minutes", "cpuEfficiency"];
                        for field in amounts {
                            assert_close(figure(&rates[name], field), figure(item, field), 2, field);
                        }
                    }
                }
            }
        }
        let cumulative = services.sets(&format!("{asked}&costMetric=cumulative")).await;
        assert_eq!(cumulative, whole);
    }
}

async fn errors_in_filters(services: Arc<Services>) {
    for (filter, got, position, takes) in [
        ("namespace:web", "web without quotes", 11, "double quotes"),
        ("nosuch:\"x\"", "\"nosuch\"", 1, "one of cluster"),
        ("namespace\"web\"", "'\"'", 10, "~:"),
        ("namespace:\"web\"%2Bnosuch:\"x\"", "\"nosuch\"", 17, "one of cluster"),
        ("namespace:\"web", "the end of the text", 15, "double quote"),
        ("label[team:\"x\"", "the end of the text", 15, "]"),
        ("(namespace:\"web\"", "the end of the text", 17, ")"),
        ("namespace:\"a\"|pod:\"b\"%2Bpod:\"c\"", "'+'", 22, "another |"),
        ("namespace:\"a\")", "')'", 14, "+ or |"),
        ("owner:\"é\"x", "\"x\"", 10, "+ or |"),
    ] {
        for path in [
            "/model/allocation",
            "/model/allocation/summary",
            "/model/allocation/autocomplete",
        ] {
            let message = services
                .refused(&format!("{path}?{WEEK}&field=pod&filter={filter}"))
                .await;
            let begins = format!("parameter filter got {got} at character {position}, where it takes ");
            assert!(
                message.starts_with(&begins) && message.contains(takes),
                "{filter}: {message}"
            );
        }
    }
    let message = services.refused(&format!("/assets?{WEEK}&filter=pod:\"x\"")).await;
    assert!(
        message.starts_with("parameter filter got \"pod\" at character 1"),
        "{message}"
    );
}

async fn filters_on_many_fields(services: Arc<Services>) {
    let pods = services
        .set(&format!("/model/allocation?{DAY}&accumulate=true&idle=false&{BARE}"))
        .await;
    let properties = |item: &Value, name: &str| item["properties"][name].as_str().unwrap_or_default().to_owned();
    let (name, container) = pods
        .iter()
        .find(|(_, item)| !properties(item, "controller").is_empty())
        .expect("a container of a controller");
    let fields = [
        ("cluster", "cluster"),
        ("node", "node"),
        ("namespace", "namespace"),
        ("controllerKind", "controllerKind"),
        ("controllerName", "controller"),
        ("pod", "pod"),
        ("container", "container"),
    ];
    let filter: Vec<_> = fields
        .iter()
        .map(|(field, property)| format!("{field}:%22{}%22", properties(container, property)))
        .collect();
    let found = services
        .set(&format!(
            "/model/allocation?{DAY}&accumulate=true&idle=false&{BARE}&filter={}",
            filter.join("%2B")
        ))
        .await;
    assert_eq!(found.keys().collect::<Vec<_>>(), [name]);
    assert_same_figures(&found, &Set::from_iter([(name.clone(), container.clone())]), &[], name);
}

async fn older_filters(services: Arc<Services>) {
    let mut found = 0;
    for (older, filter) in [
        ("filterNamespaces=web,data", "namespace:\"web\",\"data\""),
        ("filterNamespaces=kube*", "namespace<~:\"kube\""),
        ("filterNamespaces=web,kube*", "namespace:\"web\"|namespace<~:\"kube\""),
        (
            "filterClusters=prod-us&filterNamespaces=web,data",
            "cluster:\"prod-us\"%2Bnamespace:\"web\",\"data\"",
        ),
        ("filterNodes=node-prod-us-0001", "node:\"node-prod-us-0001\""),
        ("filterControllerKinds=statefulset", "controllerKind:\"statefulset\""),
        (
            "filterControllers=deployment:web-*",
            "controllerKind:\"deployment\"%2BcontrollerName<~:\"web-\"",
        ),
        ("filterPods=redis*", "pod<~:\"redis\""),
        ("filterContainers=istio-proxy", "container:\"istio-proxy\""),
        ("filterServices=redis-headless", "services:\"redis-headless\""),
        ("filterLabels=team:core,team:data", "label[team]:\"core\",\"data\""),
        (
            "filterLabels=team:core&filterClusters=prod*",
            "label[team]:\"core\"%2Bcluster<~:\"prod\"",
        ),
        ("filterAnnotations=cost_center:*", "annotation[cost_center]<~:\"\""),
        ("filterTeams=core", "team:\"core\""),
        ("filterEnvironments=prod", "environment:\"prod\""),
    ] {
        let asked = format!("/model/allocation?{WEEK}&aggregate=namespace,controller&accumulate=true");
        let first = services.set(&format!("{asked}&{older}")).await;
        let second = services.set(&format!("{asked}&filter={filter}")).await;
        assert_eq!(first, second, "{older}");
        found += usize::from(first.len() > 1);
        // The newer one counts when both are given.
        let both = services
            .set(&format!("{asked}&filterNamespaces=nosuch&filter={filter}"))
            .await;
        assert_eq!(both, second, "{older}");
    }
    assert!(found > 12, "only {found} filters find anything");
    for (older, filter) in [
        ("filterTypes=Node,disk", "assetType:\"node\",\"disk\""),
        (
            "filterClusters=prod*&filterProviders=AWS",
            "cluster<~:\"prod\"%2Bprovider:\"AWS\"",
        ),
        ("filterCategories=Storage", "category:\"Storage\""),
        ("filterAccounts=111122223333", "account:\"111122223333\""),
        ("filterNames=node-prod*", "name<~:\"node-prod\""),
        ("filterLabels=label_team:core", "label[label_team]:\"core\""),
    ] {
        let asked = format!("/model/assets?{WEEK}&accumulate=true");
        let first = services.set(&format!("{asked}&{older}")).await;
        let second = services.set(&format!("{asked}&filter={filter}")).await;
        assert!(!first.is_empty(), "{older}");
        assert_eq!(first, second, "{older}");
    }
}

/// The windows of sets, each as the parameter `window` would have it.
fn windows(sets: &[Set]) -> Vec<String> {
    let of = |set: &Set| {
        let window = &set.values().next().expect("an item")["window"];
        let [start, end] = ["start", "end"].map(|end| window[end].as_str().expect("a time"));
        format!("{start},{end}")
    };
    sets.iter().map(of).collect()
}

async fn steps_and_accumulation(services: Arc<Services>) {
    const NINE_DAYS: &str = "window=2026-03-01T00:00:00Z,2026-03-10T00:00:00Z";
    let week = golden_set("alloc-ns-7d-acc");
    let days = golden_sets("alloc-ns-9d-day");
    // The golden window begins on a Sunday, so that steps and weeks are the same.
    for cut in [
        "step=1w",
        "step=7d",
        "accumulate=week",
        "accumulateBy=week&accumulate=false",
    ] {
        let asked = format!("/model/allocation?{NINE_DAYS}&aggregate=namespace&idle=false&{BARE}&{cut}");
        let sets = services.sets(&asked).await;
        assert_eq!(sets.len(), 2, "{cut}");
        assert_same_figures(&sets[0], &week, &[], cut);
        let windows = windows(&sets);
        assert_eq!(windows[0], "2026-03-01T00:00:00Z,2026-03-08T00:00:00Z", "{cut}");
        assert!(windows[1].starts_with("2026-03-08T00:00:00Z,"), "{cut}: {windows:?}");
        for (name, item) in &sets[1] {
            let daily = days[7..].iter().filter_map(|day| day.get(name));
            assert_close(cost(item), sum(daily, "totalCost"), 3, &format!("{name}: {cut}"));
        }
    }
    // A week that begins before the window has the days from there on.
    let asked = format!("window=2026-03-05T00:00:00Z,2026-03-10T00:00:00Z&aggregate=namespace&idle=false&{BARE}");
    for (cut, first) in [("accumulate=week", 4..7), ("step=3d", 4..7), ("step=1w", 4..9)] {
        let sets = services.sets(&format!("/model/allocation?{asked}&{cut}")).await;
        for (name, item) in &sets[0] {
            let daily = days[first.clone()].iter().filter_map(|day| day.get(name));
            assert_close(cost(item), sum(daily, "totalCost"), 6, &format!("{name}: {cut}"));
        }
    }
    let months = services
        .sets(&format!("/model/allocation?{NINE_DAYS}&aggregate=all&accumulate=month"))
        .await;
    let quarters = services
        .sets(&format!(
            "/model/allocation?{NINE_DAYS}&aggregate=all&accumulate=quarter"
        ))
        .await;
    let whole = services
        .sets(&format!("/model/allocation?{NINE_DAYS}&aggregate=all&accumulate=true"))
        .await;
    assert_eq!((months.len(), quarters.len(), whole.len()), (1, 1, 1));
    assert_close(
        sum(months[0].values(), "totalCost"),
        sum(whole[0].values(), "totalCost"),
        4,
        "a month",
    );
    assert_close(
        sum(quarters[0].values(), "totalCost"),
        sum(whole[0].values(), "totalCost"),
        4,
        "a quarter",
    );

    let asked = format!("/model/allocation?{HOURLY_DAY}&aggregate=namespace&{BARE}");
    let sets = services.sets(&format!("{asked}&step=6h&idle=true")).await;
    assert_eq!(
        windows(&sets),
        [
            "2026-03-09T00:00:00Z,2026-03-09T06:00:00Z",
            "2026-03-09T06:00:00Z,2026-03-09T12:00:00Z",
            "2026-03-09T12:00:00Z,2026-03-09T18:00:00Z",
            "2026-03-09T18:00:00Z,2026-03-10T00:00:00Z",
        ]
    );
    assert_same_figures(&sets[1], &golden_set("alloc-ns-hourly-acc-idle"), &[], "six hours");
    let day = services
        .set(&format!("{asked}&step=1h&accumulate=day&idle=false"))
        .await;
    for (name, item) in &day {
        let parts = sets.iter().filter_map(|set| set.get(name));
        assert_close(cost(item), sum(parts, "totalCost"), 5, name);
    }
    let refused = services.refused(&format!("{asked}&step=1d&accumulate=hour")).await;
    assert!(refused.contains("does not go with accumulate=hour"), "{refused}");
}

async fn parts_of_assets(services: Arc<Services>) {
    const FRACTIONS: [&str; 6] = [
        "cpuPercentage",
        "gpuPercentage",
        "ramPercentage",
        "loadBalancerPercentage",
        "pvPercentage",
        "nodeResourceCostPercentage",
    ];
    let asked = format!("{DAY}&accumulate=true&{BARE}");
    let more = "includeProportionalAssetResourceCosts=true";
    let namespaces = services
        .set(&format!(
            "/model/allocation?{asked}&aggregate=namespace&idle=false&{more}"
        ))
        .await;
    let clusters = services
        .set(&format!("/model/allocation?{asked}&aggregate=cluster&splitIdle=true"))
        .await;
    let mut parts: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut volumes = 0;
    for (name, item) in &namespaces {
        for part in item["proportionalAssetResourceCosts"]
            .as_object()
            .expect("parts")
            .values()
        {
            for field in FRACTIONS {
                let fraction = figure(part, field);
                // Golden assets are rounded, so that a volume may seem to cost more than its disk.
                assert!((0.0..=1.0 + 1e-4).contains(&fraction), "{field} of {name}: {part}");
            }
            match part["type"].as_str().expect("a kind") {
                "Node" => parts
                    .entry(part["cluster"].as_str().expect("a cluster"))
                    .or_default()
                    .push(part),
                "PV" => volumes += 1,
                _ => {}
            }
        }
    }
    assert!(volumes > 0);
    assert_eq!(
        parts.keys().copied().collect::<Vec<_>>(),
        ["edge-1", "prod-us", "staging"]
    );
    for (cluster, parts) in parts {
        let (allocated, idle) = (&clusters[cluster], &clusters[&format!("{cluster}/__idle__")]);
        let resources = ["cpu", "gpu", "ram"];
        let costs = |item: &Value| resources.map(|resource| adjusted(item, &format!("{resource}Cost")));
        let (used, unused) = (costs(allocated), costs(idle));
        for (resource, (used, unused)) in resources.iter().zip(used.into_iter().zip(unused)) {
            let expected = if used + unused > 0.0 {
                used / (used + unused)
            } else {
                0.0
            };
            let got = sum(parts.iter().copied(), &format!("{resource}Percentage"));
            assert_close(got, expected, 8, &format!("{resource} of {cluster}"));
        }
        let (used, unused): (f64, f64) = (used.iter().sum(), unused.iter().sum());
        let got = sum(parts.iter().copied(), "nodeResourceCostPercentage");
        assert_close(got, used / (used + unused), 8, &format!("nodes of {cluster}"));
    }
    let without = services
        .set(&format!("/model/allocation?{asked}&aggregate=namespace"))
        .await;
    let empty = |item: &Value| {
        item["proportionalAssetResourceCosts"]
            .as_object()
            .is_none_or(|parts| parts.is_empty())
    };
    assert!(without.values().all(empty), "not asked for");
}

async fn labels_of_aggregates(services: Arc<Services>) {
    let asked = format!("/model/allocation?{WEEK}&aggregate=controller&accumulate=true&idle=false");
    let with = services.set(&format!("{asked}&includeAggregatedMetadata=true")).await;
    let without = services.set(&asked).await;
    let labels = |item: &Value| item["properties"]["labels"].as_object().cloned().unwrap_or_default();
    assert!(without.values().all(|item| labels(item).is_empty()));
    let labelled: Vec<_> = with
        .iter()
        .filter(|(_, item)| labels(item).contains_key("team"))
        .collect();
    assert!(!labelled.is_empty());
    for (name, item) in labelled {
        let team = &item["properties"]["labels"]["team"];
        let team = team.as_str().expect("a text");
        // What all members agree on, all members have.
        let members = services.set(&format!("{asked}&filter=label[team]:\"{team}\"")).await;
        assert_close(
            cost(&members[name]) - figure(&members[name], "sharedCost"),
            cost(item) - figure(item, "sharedCost"),
            4,
            name,
        );
    }
}

async fn explanations(services: Arc<Services>) {
    for (path, table) in [
        ("/model/allocation?aggregate=namespace", "allocations_by_namespace"),
        ("/model/allocation?aggregate=cluster", "allocations_by_namespace"),
        ("/model/allocation?aggregate=label:team", "allocations_by_workload"),
        ("/model/allocation?aggregate=controller", "allocations_by_workload"),
        (
            "/model/allocation?aggregate=namespace&filter=label[team]:\"core\"",
            "allocations_by_workload",
        ),
        ("/model/allocation?aggregate=pod", "allocations"),
        ("/model/allocation?aggregate=namespace&filter=pod:\"x\"", "allocations"),
        (
            "/model/allocation/summary?aggregate=namespace",
            "allocations_by_namespace",
        ),
        ("/model/assets?aggregate=type", "assets_by_type"),
        ("/assets?aggregate=type", "assets_by_type"),
        ("/model/assets?aggregate=name", "assets"),
    ] {
        // Costs that are shared or idle are looked up elsewhere.
        let asked = format!("{path}&{WEEK}&idle=false&{BARE}&explain=true");
        services.json(&asked).await;
        let answer = services.json(&asked).await;
        let explanation = &answer["explanation"];
        let tables = explanation["tables"].as_array().expect("tables");
        let names: Vec<_> = tables
            .iter()
            .map(|table| table["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(names, [table], "{path}");
        for table in tables {
            assert!(
                figure(table, "files") > 0.0 && figure(table, "rows") > 0.0,
                "{path}: {table}"
            );
            assert_eq!(
                (&table["filesRead"], &table["bytesRead"]),
                (&json!(0), &json!(0)),
                "{path}"
            );
            assert!(!table["reason"].as_str().expect("a reason").is_empty());
        }
        assert_eq!(explanation["release"], 1);
        assert!(!explanation["plans"].as_array().expect("plans").is_empty());
        let unexplained = services.json(&asked.replace("explain=true", "explain=false")).await;
        assert_eq!(unexplained["data"], answer["data"], "{path}");
        assert!(unexplained.get("explanation").is_none());
    }
}

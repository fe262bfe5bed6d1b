//! The gRPC API of query, asked as other services ask it.

use std::{collections::BTreeMap, fs, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bingen::AllocationSet;
use cost_answer::{AllocationColumns, AssetColumns, Decoder, RecordBatch};
use fedcost_proto::query::v1::{
    Accumulate, Allocation, Asset, AssetType, AutocompleteRequest, ColumnsResponse, GetReleaseRequest, Idle, IdleMode,
    Label, ListClustersRequest, Page, QueryAllocationsRequest, QueryAllocationsResponse, QueryAssetsRequest,
    SetSummary, Sharing, Step, Window, query_service_client::QueryServiceClient,
};
use prost::Message as _;
use prost_types::Timestamp;
use query_svc::config::LimitsConfig;
use reqwest::{Client, Response};
use service_kit::MAX_MESSAGE_BYTES;
use service_kit::client::Channel;
use test_cluster::{TestCluster, TestOptions};
use tokio::time::timeout;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::{
    asking::{Checks, Services},
    bucket::{copy_of_golden, daily},
    network,
};

/// 2026-03-01, midnight UTC.
const FIRST_DAY: i64 = 1_772_323_200;
const DAY: i64 = 86_400;

/// What comes of something else is waited for this long at most.
const PATIENCE: Duration = Duration::from_secs(60);

fn window(days: std::ops::Range<i64>) -> Option<Window> {
    let day = |number: i64| {
        Some(Timestamp {
            seconds: FIRST_DAY + number * DAY,
            nanos: 0,
        })
    };
    Some(Window {
        start: day(days.start),
        end: day(days.end),
    })
}

/// All hours that the golden bucket has, container by container: the longest answer there is.
fn everything() -> QueryAllocationsRequest {
    QueryAllocationsRequest {
        window: window(0..9),
        step: Step::Hour.into(),
        idle: Some(Idle {
            mode: IdleMode::Separate.into(),
            by_node: true,
            split: true,
        }),
        include_proportional_asset_resource_costs: true,
        ..QueryAllocationsRequest::default()
    }
}

fn by_namespace() -> QueryAllocationsRequest {
    QueryAllocationsRequest {
        window: window(0..7),
        aggregate: vec!["namespace".to_owned()],
        ..QueryAllocationsRequest::default()
    }
}

/// A client that knows nothing of gRPC, so that what it sees is the server's doing.
struct Plain {
    client: Client,
    address: SocketAddr,
}

impl Plain {
    fn of(services: &Services) -> Self {
        // Not a gateway's, which must say what may be seen.
        let ours = services.cluster.service_files("reports").unwrap();
        Self {
            client: network::client(&ours, Some(&ours)),
            address: services.cluster.addresses().query,
        }
    }

    /// Asks for allocations, within `grpc-timeout` if there is one.
    async fn allocations(&self, request: &QueryAllocationsRequest, within: Option<&str>) -> Response {
        let message = request.encode_to_vec();
        let mut body = vec![0];
        body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend(message);
        let method = "fedcost.query.v1.QueryService/QueryAllocations";
        let mut call = self
            .client
            .post(format!("https://{}/{method}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body);
        if let Some(within) = within {
            call = call.header("grpc-timeout", within);
        }
        call.send().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_the_api_says() {
    let mut checks = Checks::start().await;
    checks
        .run("allocations", allocations_in_rows_and_in_columns_are_the_same)
        .await;
    checks.run("assets", assets_in_rows_and_in_columns_are_the_same).await;
    checks
        .run("releases, clusters, values", releases_clusters_and_values)
        .await;
    checks.run("pages", pages_are_parts_of_the_whole).await;
    checks.run("bad fields", bad_fields_are_named).await;
    checks
        .run("ends of the calendar", times_at_the_ends_of_the_calendar_break_nothing)
        .await;
    checks.end().await;
}

/// The messages of a stream.
async fn read<T>(mut stream: Streaming<T>) -> Vec<T> {
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        messages.push(message);
    }
    messages
}

/// The sets and the rows of an answer in columns.
fn decode(messages: Vec<ColumnsResponse>) -> (Vec<SetSummary>, Vec<RecordBatch>) {
    let (mut decoder, mut batches) = (Decoder::new(), Vec::new());
    let mut sets = Vec::new();
    for (number, message) in messages.into_iter().enumerate() {
        assert!(number == 0 || message.sets.is_empty(), "sets are in the first message");
        sets.extend(message.sets);
        decoder.push(message.arrow_ipc);
        while let Some(batch) = decoder.next_batch().unwrap() {
            batches.push(batch);
        }
    }
    decoder.finish().unwrap();
    (sets, batches)
}

fn assert_close(got: f64, expected: f64, what: &dyn std::fmt::Debug) {
    assert!(
        (got - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{got} instead of {expected}: {what:?}"
    );
}

fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(|time| time.seconds)
}

/// Questions that together have all that an allocation may have.
fn allocation_questions() -> Vec<QueryAllocationsRequest> {
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    vec![
        QueryAllocationsRequest {
            window: window(3..5),
            ..QueryAllocationsRequest::default()
        },
        QueryAllocationsRequest {
            aggregate: keys(&["cluster", "namespace"]),
            idle: Some(Idle {
                mode: IdleMode::Separate.into(),
                by_node: true,
                split: true,
            }),
            sharing: Some(Sharing {
                namespaces: keys(&["kube-system"]),
                labels: vec![Label {
                    name: "team".to_owned(),
                    value: "sre".to_owned(),
                }],
                cost_per_month: 730.0,
                tenancy_costs: true,
                include_breakdown: true,
                ..Sharing::default()
            }),
            include_aggregated_metadata: true,
            include_proportional_asset_resource_costs: true,
            ..by_namespace()
        },
        QueryAllocationsRequest {
            accumulate: Accumulate::All.into(),
            filter: "cluster:\"prod-us\",\"staging\"".to_owned(),
            page: Some(Page {
                offset: 1,
                limit: 3,
                sort_by: "ramCost".to_owned(),
                ascending: true,
            }),
            ..by_namespace()
        },
        // Two days of which nothing is known, and one of which something is.
        QueryAllocationsRequest {
            window: window(-2..1),
            ..by_namespace()
        },
        everything(),
    ]
}

async fn allocations_in_rows_and_in_columns_are_the_same(services: Arc<Services>) {
    let mut query = services.cluster.query();
    let mut seen = BTreeMap::new();
    for question in allocation_questions() {
        let messages = read(query.query_allocations(question.clone()).await.unwrap().into_inner()).await;
        assert!(messages.is_sorted_by_key(|message| message.set), "{question:?}");
        let columns = read(
            query
                .query_allocation_columns(question.clone())
                .await
                .unwrap()
                .into_inner(),
        )
        .await;
        let (sets, batches) = decode(columns);

        // Each set has a message, even when nothing is in it.
        let numbers: Vec<_> = (0..).take(sets.len()).collect::<Vec<u32>>();
        let mut answered: Vec<_> = messages.iter().map(|message| message.set).collect();
        answered.dedup();
        assert_eq!(answered, numbers, "{question:?}");
        for message in &messages {
            assert_eq!(message.window, sets[message.set as usize].window);
        }
        if question.page.is_none() {
            let mut counts = vec![0; sets.len()];
            for message in &messages {
                counts[message.set as usize] += message.allocations.len() as u64;
            }
            assert_eq!(
                counts,
                sets.iter().map(|set| set.items).collect::<Vec<_>>(),
                "{question:?}"
            );
        }

        let rows: Vec<(u32, Allocation)> = messages.into_iter().flat_map(of_set).collect();
        let mut compared = rows.iter();
        for batch in &batches {
            let columns = AllocationColumns::new(batch).unwrap();
            for row in 0..columns.rows() {
                let row = columns.row(row);
                let (set, item) = compared.next().expect("more in columns than in rows");
                let what = &(row.set, row.name);
                assert_eq!((row.set, row.name), (*set, &*item.name));
                let properties = item.properties.clone().unwrap();
                assert_eq!(
                    [
                        row.cluster,
                        row.node,
                        row.namespace,
                        row.controller_kind,
                        row.controller,
                        row.pod,
                        row.container
                    ],
                    [
                        &*properties.cluster,
                        &properties.node,
                        &properties.namespace,
                        &properties.controller_kind,
                        &properties.controller,
                        &properties.pod,
                        &properties.container,
                    ],
                    "{what:?}"
                );
                assert_eq!(
                    row.services.clone().collect::<Vec<_>>(),
                    properties.services,
                    "{what:?}"
                );
                assert_eq!(row.labels.clone().count(), properties.labels.len(), "{what:?}");
                for (name, value) in row.labels.clone() {
                    assert_eq!(properties.labels[name], value, "{what:?}");
                }
                assert_eq!(row.start.map(|time| time.timestamp()), seconds(item.start), "{what:?}");
                assert_eq!(row.end.map(|time| time.timestamp()), seconds(item.end), "{what:?}");
                for (in_columns, in_rows) in [
                    (row.cpu_core_hours, item.cpu_core_hours),
                    (row.cpu_cost, item.cpu_cost),
                    (row.cpu_cost_adjustment, item.cpu_cost_adjustment),
                    (row.cpu_core_usage_average, item.cpu_core_usage_average),
                    (row.gpu_cost, item.gpu_cost),
                    (row.network_cost, item.network_cost),
                    (row.load_balancer_cost, item.load_balancer_cost),
                    (row.ram_cost, item.ram_cost),
                    (row.ram_byte_request_average, item.ram_byte_request_average),
                    (row.shared_cost, item.shared_cost),
                    (row.external_cost, item.external_cost),
                ] {
                    assert_close(in_columns, in_rows, what);
                }
                let sums = [
                    (
                        row.volumes.clone().map(|part| part.cost).sum::<f64>(),
                        item.volumes.iter().map(|part| part.cost).sum(),
                    ),
                    (
                        row.load_balancers.clone().map(|part| part.cost).sum(),
                        item.load_balancers.iter().map(|part| part.cost).sum(),
                    ),
                    (
                        row.shared_costs.clone().map(|part| part.total_cost).sum(),
                        item.shared_costs.iter().map(|part| part.total_cost).sum(),
                    ),
                    (
                        row.asset_shares.clone().map(|part| part.cpu).sum(),
                        item.asset_shares.iter().map(|part| part.cpu).sum(),
                    ),
                ];
                for ((in_columns, in_rows), part) in sums.into_iter().zip(["volumes", "balancers", "shared", "shares"])
                {
                    assert_close(in_columns, in_rows, &(part, what));
                    *seen.entry(part).or_insert(0) += usize::from(in_rows > 0.0);
                }
                assert_eq!(row.maxima.is_some(), item.raw.is_some(), "{what:?}");
            }
        }
        assert_eq!(
            compared.next().map(|(_, item)| &item.name),
            None,
            "more in rows than in columns"
        );
        *seen.entry("items").or_insert(0) += rows.len();
    }
    assert!(seen.len() == 5 && seen.values().all(|count| *count > 0), "{seen:?}");
}

fn of_set(message: QueryAllocationsResponse) -> impl Iterator<Item = (u32, Allocation)> {
    message.allocations.into_iter().map(move |item| (message.set, item))
}

async fn assets_in_rows_and_in_columns_are_the_same(services: Arc<Services>) {
    let mut query = services.cluster.query();
    let mut kinds = BTreeMap::new();
    for question in [
        QueryAssetsRequest {
            window: window(2..5),
            ..QueryAssetsRequest::default()
        },
        QueryAssetsRequest {
            window: window(0..7),
            aggregate: vec!["type".to_owned(), "label:label_team".to_owned()],
            accumulate: Accumulate::All.into(),
            ..QueryAssetsRequest::default()
        },
    ] {
        let messages = read(query.query_assets(question.clone()).await.unwrap().into_inner()).await;
        let (sets, batches) = decode(read(query.query_asset_columns(question).await.unwrap().into_inner()).await);
        let rows: Vec<(u32, Asset)> = messages
            .into_iter()
            .flat_map(|message| message.assets.into_iter().map(move |asset| (message.set, asset)))
            .collect();
        assert_eq!(sets.iter().map(|set| set.items).sum::<u64>(), rows.len() as u64);
        let mut compared = rows.iter();
        for batch in &batches {
            let columns = AssetColumns::new(batch).unwrap();
            for row in 0..columns.rows() {
                let row = columns.row(row);
                let (set, asset) = compared.next().expect("more in columns than in rows");
                assert_eq!((row.set, row.name), (*set, &*asset.name));
                let properties = asset.properties.clone().unwrap();
                assert_eq!(
                    [row.cluster, row.provider, row.account, row.asset_name, row.provider_id],
                    [
                        &*properties.cluster,
                        &properties.provider,
                        &properties.account,
                        &properties.name,
                        &properties.provider_id,
                    ],
                );
                assert_close(row.total_cost, asset.total_cost, &row.name);
                assert_close(row.adjustment, asset.adjustment, &row.name);
                assert_eq!(row.kind.name().is_none(), asset.r#type() == AssetType::Unspecified);
                *kinds.entry(asset.r#type()).or_insert(0) += 1;
            }
        }
        assert!(compared.next().is_none(), "more in rows than in columns");
    }
    assert!(kinds.len() >= 5, "{kinds:?}");
}

async fn releases_clusters_and_values(services: Arc<Services>) {
    let mut query = services.cluster.query();
    let release = query.get_release(GetReleaseRequest {}).await.unwrap().into_inner();
    assert!(release.number >= 1 && release.published.is_some() && release.loaded.is_some());
    let clusters = query
        .list_clusters(ListClustersRequest::default())
        .await
        .unwrap()
        .into_inner()
        .clusters;
    let ids: Vec<_> = clusters.iter().map(|cluster| &*cluster.id).collect();
    assert_eq!(ids, ["edge-1", "prod-eu", "prod-us", "staging"]);
    let question = AutocompleteRequest {
        window: window(0..7),
        field: "namespace".to_owned(),
        search: "K".to_owned(),
        limit: 1,
        filter: "cluster:\"prod-us\"".to_owned(),
        ..AutocompleteRequest::default()
    };
    let values = query.autocomplete(question).await.unwrap().into_inner().values;
    assert_eq!(values, ["kube-system"]);
}

async fn pages_are_parts_of_the_whole(services: Arc<Services>) {
    let mut query = services.cluster.query();
    let question = QueryAllocationsRequest {
        aggregate: vec!["cluster".to_owned(), "controller".to_owned()],
        ..by_namespace()
    };
    let names = async |query: &mut QueryServiceClient<Channel>, page: Page| {
        let question = QueryAllocationsRequest {
            page: Some(page),
            ..question.clone()
        };
        let columns = read(
            query
                .query_allocation_columns(question.clone())
                .await
                .unwrap()
                .into_inner(),
        )
        .await;
        let (sets, _) = decode(columns);
        let mut names = vec![Vec::new(); sets.len()];
        let messages = read(query.query_allocations(question).await.unwrap().into_inner()).await;
        for (set, item) in messages.into_iter().flat_map(of_set) {
            names[set as usize].push(item.name);
        }
        (
            sets.into_iter().map(|set| set.items as usize).collect::<Vec<_>>(),
            names,
        )
    };
    let page = |offset, limit, ascending| Page {
        offset,
        limit,
        sort_by: "cpuCost".to_owned(),
        ascending,
    };
    for ascending in [false, true] {
        let (counts, whole) = names(&mut query, page(0, 0, ascending)).await;
        assert_eq!(counts, whole.iter().map(Vec::len).collect::<Vec<_>>());
        assert!(whole.len() == 7 && counts.iter().all(|count| *count > 12), "{counts:?}");
        for (offset, limit) in [(0, 5), (5, 5), (10, 1000), (1000, 5), (3, 0)] {
            let (counts_of_all, part) = names(&mut query, page(offset, limit, ascending)).await;
            // How many there are is told on every page.
            assert_eq!(counts_of_all, counts);
            for (part, whole) in part.iter().zip(&whole) {
                let rest = whole.get(offset as usize..).unwrap_or_default();
                let most = if limit == 0 {
                    rest.len()
                } else {
                    rest.len().min(limit as usize)
                };
                assert_eq!(part, &rest[..most], "{offset} {limit}");
            }
        }
    }
}

/// Checks that a call was refused for one field, and that the message says so too.
fn assert_bad_field(status: &Status, field: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
    let details = status
        .get_details_bad_request()
        .unwrap_or_else(|| panic!("{field}: no details"));
    let fields: Vec<_> = details
        .field_violations
        .iter()
        .map(|violation| &*violation.field)
        .collect();
    assert_eq!(fields, [field]);
    assert_eq!(details.field_violations[0].description, status.message());
    assert!(!status.message().is_empty());
}

async fn bad_fields_are_named(services: Arc<Services>) {
    let mut query = services.cluster.query();
    let text = |text: &str| vec![text.to_owned()];
    let sort_by = |field: &str| {
        Some(Page {
            sort_by: field.to_owned(),
            ..Page::default()
        })
    };
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let span = |start, end| {
        Some(Window {
            start: time(start),
            end: time(end),
        })
    };
    let ok = by_namespace;
    for (question, field) in [
        (QueryAllocationsRequest { window: None, ..ok() }, "window"),
        (
            QueryAllocationsRequest {
                window: Some(Window {
                    start: time(0),
                    end: None,
                }),
                ..ok()
            },
            "window",
        ),
        (
            QueryAllocationsRequest {
                window: window(3..3),
                ..ok()
            },
            "window",
        ),
        (
            QueryAllocationsRequest {
                window: span(FIRST_DAY + DAY, FIRST_DAY),
                ..ok()
            },
            "window",
        ),
        (
            QueryAllocationsRequest {
                window: span(i64::MIN, 0),
                ..ok()
            },
            "window",
        ),
        (
            QueryAllocationsRequest {
                window: span(0, i64::MAX),
                ..ok()
            },
            "window",
        ),
        // A thousand years of hours.
        (
            QueryAllocationsRequest {
                window: window(0..365_000),
                step: Step::Hour.into(),
                ..ok()
            },
            "window",
        ),
        (
            QueryAllocationsRequest {
                aggregate: text("nosuch"),
                ..ok()
            },
            "aggregate",
        ),
        (
            QueryAllocationsRequest {
                filter: "nosuch:\"x\"".to_owned(),
                ..ok()
            },
            "filter",
        ),
        (
            QueryAllocationsRequest {
                filter: "namespace:web".to_owned(),
                ..ok()
            },
            "filter",
        ),
        (
            QueryAllocationsRequest {
                page: sort_by("colour"),
                ..ok()
            },
            "sortBy",
        ),
        (
            QueryAllocationsRequest {
                sharing: Some(Sharing {
                    cost_per_month: -1.0,
                    ..Sharing::default()
                }),
                ..ok()
            },
            "shareCost",
        ),
        (
            QueryAllocationsRequest {
                sharing: Some(Sharing {
                    cost_per_month: f64::NAN,
                    ..Sharing::default()
                }),
                ..ok()
            },
            "shareCost",
        ),
        (
            QueryAllocationsRequest {
                utc_offset_seconds: 86_400,
                ..ok()
            },
            "utc_offset_seconds",
        ),
    ] {
        let rows = query.query_allocations(question.clone()).await.unwrap_err();
        assert_bad_field(&rows, field);
        let columns = query.query_allocation_columns(question).await.unwrap_err();
        assert_bad_field(&columns, field);
    }
    let ok = || QueryAssetsRequest {
        window: window(0..7),
        ..QueryAssetsRequest::default()
    };
    for (question, field) in [
        (QueryAssetsRequest { window: None, ..ok() }, "window"),
        (
            QueryAssetsRequest {
                aggregate: text("pod"),
                ..ok()
            },
            "aggregate",
        ),
        (
            QueryAssetsRequest {
                filter: "pod:\"x\"".to_owned(),
                ..ok()
            },
            "filter",
        ),
        (
            QueryAssetsRequest {
                page: sort_by("colour"),
                ..ok()
            },
            "sortBy",
        ),
    ] {
        let rows = query.query_assets(question.clone()).await.unwrap_err();
        assert_bad_field(&rows, field);
        let columns = query.query_asset_columns(question).await.unwrap_err();
        assert_bad_field(&columns, field);
    }
    let ok = || AutocompleteRequest {
        window: window(0..7),
        field: "pod".to_owned(),
        ..AutocompleteRequest::default()
    };
    for (question, field) in [
        (AutocompleteRequest { window: None, ..ok() }, "window"),
        (
            AutocompleteRequest {
                field: String::new(),
                ..ok()
            },
            "field",
        ),
        (AutocompleteRequest { assets: true, ..ok() }, "field"),
        (
            AutocompleteRequest {
                filter: "pod".to_owned(),
                ..ok()
            },
            "filter",
        ),
    ] {
        assert_bad_field(&query.autocomplete(question).await.unwrap_err(), field);
    }
}

/// Times at the ends of what can be told, in calendars that shift them further.
async fn times_at_the_ends_of_the_calendar_break_nothing(services: Arc<Services>) {
    // Of what can be told, and of the years that are taken.
    const FIRST: i64 = -8_334_601_228_800;
    const FIRST_TAKEN: i64 = -377_736_739_200;
    const LAST_TAKEN: i64 = 253_433_923_199;
    const LAST: i64 = 8_210_266_876_799;
    let mut query = services.cluster.query();
    let time = |seconds| {
        Some(Timestamp {
            seconds,
            nanos: 999_999_999,
        })
    };
    for (start, end) in [
        (FIRST, FIRST + DAY),
        (FIRST, FIRST + 1),
        (LAST - DAY, LAST),
        (LAST - 1, LAST),
    ] {
        for accumulate in [Accumulate::None, Accumulate::Week, Accumulate::Quarter] {
            for utc_offset_seconds in [0, 86_399, -86_399] {
                let question = QueryAllocationsRequest {
                    window: Some(Window {
                        start: time(start),
                        end: time(end),
                    }),
                    accumulate: accumulate.into(),
                    utc_offset_seconds,
                    ..by_namespace()
                };
                let taken = [start, end]
                    .iter()
                    .all(|time| (FIRST_TAKEN..=LAST_TAKEN).contains(time));
                match query.query_allocations(question.clone()).await {
                    Ok(_) => assert!(taken, "{question:?}"),
                    Err(status) => {
                        assert!(!taken, "{question:?}: {status:?}");
                        assert_bad_field(&status, "window");
                    }
                }
            }
        }
    }
    assert!(query.query_allocations(by_namespace()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_too_many_items_are_refused() {
    let services = Services::with_limits(LimitsConfig {
        items: 50,
        ..LimitsConfig::default()
    })
    .await;
    let mut query = services.cluster.query();
    let question = QueryAllocationsRequest {
        window: window(3..4),
        ..QueryAllocationsRequest::default()
    };
    let refused = query.query_allocations(question.clone()).await.unwrap_err();
    assert_bad_field(&refused, "aggregate");
    assert!(refused.message().contains("allowed are 50"), "{refused:?}");
    let page = Some(Page {
        offset: 20,
        limit: 50,
        ..Page::default()
    });
    let messages = query
        .query_allocations(QueryAllocationsRequest { page, ..question })
        .await
        .unwrap();
    let items: usize = read(messages.into_inner())
        .await
        .iter()
        .map(|message| message.allocations.len())
        .sum();
    assert_eq!(items, 50);
    assert!(
        query
            .query_allocations(QueryAllocationsRequest {
                window: window(3..4),
                ..by_namespace()
            })
            .await
            .is_ok()
    );
    let by_http = reqwest::get(format!(
        "{}/model/allocation?window=2026-03-04T00:00:00Z,2026-03-05T00:00:00Z",
        services.cluster.base_url()
    ));
    let by_http = by_http.await.unwrap();
    assert_eq!(by_http.status(), 400);
    assert!(by_http.text().await.unwrap().contains("allowed are 50"));
    services.cluster.stop().await;
}

/// Long texts at every container, together more than one message of gRPC may hold.
#[tokio::test(flavor = "multi_thread")]
async fn long_answers_are_cut_into_messages() {
    // What a text in a file has room for, nearly.
    const LENGTH: usize = 60_000;
    const TEXTS: usize = 10;
    let bucket = copy_of_golden();
    let file = daily(bucket.path(), "staging", "allocations", FIRST_DAY);
    let mut set = AllocationSet::decode(&fs::read(&file).unwrap()).unwrap();
    for allocation in set.allocations.values_mut() {
        let properties = allocation.properties.as_mut().unwrap();
        for text in 0..TEXTS {
            properties.annotations.insert(format!("long{text}"), "x".repeat(LENGTH));
        }
    }
    let containers = set.allocations.len();
    assert!(
        containers * TEXTS * LENGTH > MAX_MESSAGE_BYTES,
        "only {containers} containers"
    );
    fs::write(&file, set.encode().unwrap()).unwrap();
    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    cluster.refresh_and_wait().await.unwrap();

    let mut query = cluster.query();
    let question = QueryAllocationsRequest {
        window: window(0..1),
        filter: "annotation:\"long0\"".to_owned(),
        ..QueryAllocationsRequest::default()
    };
    let messages = read(query.query_allocations(question.clone()).await.unwrap().into_inner()).await;
    let rows: Vec<_> = messages.into_iter().flat_map(of_set).collect();
    let columns = read(query.query_allocation_columns(question).await.unwrap().into_inner()).await;
    let (sets, batches) = decode(columns);
    assert_eq!((sets.len(), sets[0].items), (1, rows.len() as u64));
    assert!(
        rows.len() * TEXTS * LENGTH > MAX_MESSAGE_BYTES,
        "only {} rows",
        rows.len()
    );
    let is_long = |name: &str, value: &str| name.starts_with("long") && value.len() == LENGTH;
    for (_, item) in &rows {
        let texts = &item.properties.as_ref().unwrap().annotations;
        let long = texts.iter().filter(|(name, value)| is_long(name, value));
        assert_eq!(long.count(), TEXTS, "{}", item.name);
    }
    let mut found = 0;
    for batch in &batches {
        let columns = AllocationColumns::new(batch).unwrap();
        for row in 0..columns.rows() {
            let row = columns.row(row);
            found += row.annotations.filter(|(name, value)| is_long(name, value)).count();
        }
    }
    assert_eq!(found, rows.len() * TEXTS);
    cluster.stop().await;
}

/// Takes the only turn, and keeps it by not reading the answer.
async fn take_the_turn(plain: &Plain) -> Response {
    let mut answer = plain.allocations(&everything(), None).await;
    let begun = answer.chunk().await.unwrap();
    assert!(begun.is_some_and(|bytes| !bytes.is_empty()));
    answer
}

/// Asks until the answer is another one than `refused`: what happens elsewhere is seen a little later here.
async fn once_not<T, F>(refused: Code, mut ask: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let asking = async {
        loop {
            match ask().await {
                Err(status) if status.code() == refused => tokio::time::sleep(Duration::from_millis(10)).await,
                other => return other,
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("never anything else")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_frees_the_turn() {
    let services = Services::with_limits(LimitsConfig {
        concurrent: 1,
        waiting: 0,
        ..LimitsConfig::default()
    })
    .await;
    let plain = Plain::of(&services);
    let ask = || {
        let mut query = services.cluster.query();
        async move { query.query_allocations(by_namespace()).await }
    };
    for _ in 0..3 {
        let answer = take_the_turn(&plain).await;
        let refused = ask().await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        let mut query = services.cluster.query();
        let values = AutocompleteRequest {
            window: window(0..1),
            field: "pod".to_owned(),
            ..AutocompleteRequest::default()
        };
        assert_eq!(
            query.autocomplete(values).await.unwrap_err().code(),
            Code::ResourceExhausted
        );
        // What needs no turn is answered all the same.
        assert!(query.get_release(GetReleaseRequest {}).await.is_ok());
        assert!(query.list_clusters(ListClustersRequest::default()).await.is_ok());
        let url = format!(
            "{}/allocation?window=7d&aggregate=namespace",
            services.cluster.base_url()
        );
        let by_http = reqwest::get(url).await.unwrap();
        assert_eq!(by_http.status(), 429);
        assert!(by_http.headers().contains_key("retry-after"));

        drop(answer);
        let answered = once_not(Code::ResourceExhausted, ask).await.unwrap();
        assert!(!read(answered.into_inner()).await.is_empty());
    }
    services.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_wait_for_a_turn() {
    let services = Services::with_limits(LimitsConfig {
        concurrent: 1,
        waiting: 1,
        ..LimitsConfig::default()
    })
    .await;
    let answer = take_the_turn(&Plain::of(&services)).await;
    let ask = || {
        let mut query = services.cluster.query();
        tokio::spawn(async move { query.query_allocations(by_namespace()).await })
    };
    // Of two, one waits and the other one is refused.
    let (first, second) = (ask(), ask());
    let (refused, waits) = match futures::future::select(first, second).await {
        futures::future::Either::Left((refused, waits)) | futures::future::Either::Right((refused, waits)) => {
            (refused.unwrap().unwrap_err(), waits)
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(
        refused.message().contains("1 questions are waiting already"),
        "{refused:?}"
    );
    assert!(!waits.is_finished());
    drop(answer);
    let answered = timeout(PATIENCE, waits).await.expect("its turn never comes").unwrap();
    assert!(answered.is_ok(), "{answered:?}");
    services.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_end_a_wait_and_free_its_place() {
    let services = Services::with_limits(LimitsConfig {
        concurrent: 1,
        waiting: 1,
        ..LimitsConfig::default()
    })
    .await;
    let plain = Plain::of(&services);
    let answer = take_the_turn(&plain).await;
    let ended = [Code::DeadlineExceeded, Code::Cancelled];
    for _ in 0..3 {
        // The turn is never free, so that only the deadline can end this.
        let ask = || {
            let mut query = services.cluster.query();
            let mut request = Request::new(by_namespace());
            request.set_timeout(Duration::from_millis(50));
            async move { query.query_allocations(request).await }
        };
        let status = once_not(Code::ResourceExhausted, ask).await.unwrap_err();
        assert!(ended.contains(&status.code()), "{status:?}");
    }
    // The server ends it by itself, for callers who only say by when they want an answer.
    let asking = async {
        loop {
            let late = plain.allocations(&by_namespace(), Some("50m")).await;
            let code: i32 = late.headers()["grpc-status"].to_str().unwrap().parse().unwrap();
            match Code::from(code) {
                Code::ResourceExhausted => tokio::time::sleep(Duration::from_millis(10)).await,
                code => return code,
            }
        }
    };
    let code = timeout(PATIENCE, asking).await.expect("the server waits on");
    assert!(ended.contains(&code), "{code:?}");
    drop(answer);
    let mut query = services.cluster.query();
    let answered = timeout(PATIENCE, query.query_allocations(by_namespace()))
        .await
        .expect("its turn never comes");
    assert!(answered.is_ok(), "{answered:?}");
    services.cluster.stop().await;
}

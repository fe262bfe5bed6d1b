//! A query-svc that answers in columns what a script says, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array},
    ipc::writer::StreamWriter,
};
use fedcost_proto::query::v1::{
    self as proto, AutocompleteRequest, AutocompleteResponse, ColumnsResponse, GetReleaseRequest, GetReleaseResponse,
    ListClustersRequest, ListClustersResponse, QueryAllocationsRequest, QueryAllocationsResponse, QueryAssetsRequest,
    QueryAssetsResponse,
    query_service_server::{QueryService, QueryServiceServer},
};
use service_kit::{
    TrustDomain,
    server::GrpcServer,
    tls::{self, TlsMaterial},
};
use tokio::net::TcpListener;
use tokio_stream::Iter;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::support::Query;

/// Data is there for 2026 and no other year.
const FIRST_SECOND: i64 = 1_767_225_600;
const LAST_SECOND: i64 = 1_798_761_600;

/// What query-svc was asked.
#[derive(Clone, Default)]
pub(crate) struct Asked {
    pub(crate) allocations: Arc<Mutex<Vec<QueryAllocationsRequest>>>,
    pub(crate) assets: Arc<Mutex<Vec<QueryAssetsRequest>>>,
    pub(crate) values: Arc<Mutex<Vec<AutocompleteRequest>>>,
}

impl Asked {
    pub(crate) fn last_allocations(&self) -> QueryAllocationsRequest {
        self.allocations.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn last_assets(&self) -> QueryAssetsRequest {
        self.assets.lock().unwrap().last().unwrap().clone()
    }
}

/// Starts it, and says where it is.
pub(crate) async fn start(shutdown: CancellationToken) -> (Query, Asked) {
    tls::install_crypto_provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let query = Query::at(listener.local_addr().unwrap());
    let tls = TlsMaterial::load(query.issue("query-svc")).unwrap();
    let asked = Asked::default();
    let service = QueryServiceServer::new(Scripted(asked.clone()));
    let server = GrpcServer::new("query-svc", tls, TrustDomain::default()).add_service(service);
    server.health().set_serving();
    tokio::spawn(async move { server.serve(listener, shutdown).await.unwrap() });
    (query, asked)
}

struct Scripted(Asked);

type Messages<T> = Iter<std::vec::IntoIter<Result<T, Status>>>;

#[tonic::async_trait]
impl QueryService for Scripted {
    type QueryAllocationsStream = Messages<QueryAllocationsResponse>;
    type QueryAllocationColumnsStream = Messages<ColumnsResponse>;
    type QueryAssetsStream = Messages<QueryAssetsResponse>;
    type QueryAssetColumnsStream = Messages<ColumnsResponse>;

    async fn query_allocations(
        &self,
        _: Request<QueryAllocationsRequest>,
    ) -> Result<Response<Self::QueryAllocationsStream>, Status> {
        Err(Status::unimplemented("the gateway asks for columns"))
    }

    async fn query_allocation_columns(
        &self,
        request: Request<QueryAllocationsRequest>,
    ) -> Result<Response<Self::QueryAllocationColumnsStream>, Status> {
        let question = request.into_inner();
        self.0.allocations.lock().unwrap().push(question.clone());
        if question.filter.contains("nosuch") {
            return Err(Status::invalid_argument(
                "parameter filter got \"nosuch\"; it takes a field",
            ));
        }
        let sets = sets(question.window.as_ref(), question.step(), question.accumulate());
        let explanation = question.explain.then(|| proto::Explanation {
            release: 7,
            scans: vec![proto::TableScan {
                table: "allocations".to_owned(),
                rows: 6,
                ..proto::TableScan::default()
            }],
            plans: vec!["Scan".to_owned()],
            elapsed_micros: 5,
        });
        let mut names = vec!["web", "=data"];
        if question
            .idle
            .is_some_and(|idle| idle.mode() == proto::IdleMode::Separate)
        {
            names.push("__idle__");
        }
        Ok(answer(sets, &names, explanation, |rows| {
            vec![
                (
                    "namespace",
                    Arc::new(StringArray::from_iter_values(rows.names())) as ArrayRef,
                ),
                ("cpu_cost", rows.numbers(1.5)),
                ("cpu_core_hours", rows.numbers(24.0)),
                ("ram_cost", rows.numbers(0.25)),
                ("ram_cost_adjustment", rows.numbers(-0.05)),
            ]
        }))
    }

    async fn query_assets(&self, _: Request<QueryAssetsRequest>) -> Result<Response<Self::QueryAssetsStream>, Status> {
        Err(Status::unimplemented("the gateway asks for columns"))
    }

    async fn query_asset_columns(
        &self,
        request: Request<QueryAssetsRequest>,
    ) -> Result<Response<Self::QueryAssetColumnsStream>, Status> {
        let question = request.into_inner();
        self.0.assets.lock().unwrap().push(question.clone());
        let sets = sets(question.window.as_ref(), question.step(), question.accumulate());
        Ok(answer(sets, &["node-1", "disk-1"], None, |rows| {
            let kinds = rows.names().map(|name| if name == "node-1" { "Node" } else { "Disk" });
            vec![
                ("type", Arc::new(StringArray::from_iter_values(kinds)) as ArrayRef),
                ("asset_name", Arc::new(StringArray::from_iter_values(rows.names()))),
                ("members", Arc::new(Int64Array::from(vec![1; rows.0.len()]))),
                ("total_cost", rows.numbers(2.5)),
                ("adjustment", rows.numbers(-0.5)),
                ("cpu_core_hours", rows.numbers(48.0)),
            ]
        }))
    }

    async fn autocomplete(
        &self,
        request: Request<AutocompleteRequest>,
    ) -> Result<Response<AutocompleteResponse>, Status> {
        self.0.values.lock().unwrap().push(request.into_inner());
        Ok(Response::new(AutocompleteResponse {
            values: vec!["data".to_owned(), "web".to_owned()],
        }))
    }

    async fn list_clusters(&self, _: Request<ListClustersRequest>) -> Result<Response<ListClustersResponse>, Status> {
        let cluster = |id: &str| proto::Cluster {
            id: id.to_owned(),
            name: id.to_owned(),
            provider: "AWS".to_owned(),
            rows: 3,
            ..proto::Cluster::default()
        };
        Ok(Response::new(ListClustersResponse {
            clusters: vec![cluster("prod-eu"), cluster("prod-us")],
        }))
    }

    async fn get_release(&self, _: Request<GetReleaseRequest>) -> Result<Response<GetReleaseResponse>, Status> {
        Ok(Response::new(GetReleaseResponse {
            number: 7,
            ..GetReleaseResponse::default()
        }))
    }
}

fn seconds(window: Option<&proto::Window>) -> (i64, i64) {
    let window = window.unwrap();
    (window.start.unwrap().seconds, window.end.unwrap().seconds)
}

fn sets(window: Option<&proto::Window>, step: proto::Step, accumulate: proto::Accumulate) -> Vec<(i64, i64)> {
    let (start, end) = seconds(window);
    let step = match (accumulate, step) {
        (proto::Accumulate::All, _) => end - start,
        (_, proto::Step::Hour) => 3600,
        (_, proto::Step::Day | proto::Step::Unspecified) => 86_400,
    };
    let starts = (start..end).step_by(step.try_into().unwrap());
    starts.map(|start| (start, start + step)).collect()
}

/// The rows of an answer: set, its window, name.
struct Rows<'a>(Vec<(u32, (i64, i64), &'a str)>);

impl<'a> Rows<'a> {
    fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(_, _, name)| *name)
    }

    fn numbers(&self, number: f64) -> ArrayRef {
        Arc::new(Float64Array::from(vec![number; self.0.len()]))
    }

    fn times(&self, of: fn(&(i64, i64)) -> i64) -> ArrayRef {
        let micros = self.0.iter().map(|(_, window, _)| of(window) * 1_000_000);
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
    }
}

fn answer(
    sets: Vec<(i64, i64)>,
    names: &[&str],
    explanation: Option<proto::Explanation>,
    figures: impl FnOnce(&Rows<'_>) -> Vec<(&'static str, ArrayRef)>,
) -> Response<Messages<ColumnsResponse>> {
    let mut rows = Rows(Vec::new());
    for (set, window) in (0..).zip(&sets) {
        if (FIRST_SECOND..LAST_SECOND).contains(&window.0) {
            rows.0.extend(names.iter().map(|name| (set, *window, *name)));
        }
    }
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (
            "set",
            Arc::new(UInt32Array::from_iter_values(rows.0.iter().map(|(set, _, _)| *set))),
        ),
        ("name", Arc::new(StringArray::from_iter_values(rows.names()))),
        ("start", rows.times(|window| window.0)),
        ("end", rows.times(|window| window.1)),
    ];
    columns.extend(figures(&rows));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let summary = |(start, end)| proto::SetSummary {
        window: Some(proto::Window {
            start: time(start),
            end: time(end),
        }),
        items: names.len() as u64,
    };
    let head = ColumnsResponse {
        sets: sets.into_iter().map(summary).collect(),
        arrow_ipc: Vec::new().into(),
        explanation,
    };
    let pieces = stream.chunks(1000).map(|piece| ColumnsResponse {
        arrow_ipc: piece.to_vec().into(),
        ..ColumnsResponse::default()
    });
    let messages: Vec<_> = std::iter::once(head).chain(pieces).map(Ok).collect();
    Response::new(tokio_stream::iter(messages))
}

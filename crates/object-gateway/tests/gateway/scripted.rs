//! A gateway without a bucket, which does as its script says.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use fedcost_proto::storage::v1::{
    Attempt, CopyRequest, CopyResponse, DeleteRequest, DeleteResponse, GetHeader, GetRequest, GetResponse, HeadRequest,
    HeadResponse, ListRequest, ListResponse, ObjectMeta, PutRequest, PutResponse,
    byte_range::Range,
    get_response::Part,
    put_request,
    storage_service_server::{StorageService, StorageServiceServer},
};
use futures::{Stream, StreamExt};
use object_gateway::{GatewayStore, Retries, wire};
use service_kit::client::Channel;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};

/// The script, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Answers of the next calls, instead of what they ask for.
    pub(super) failures: VecDeque<Status>,
    /// So many of the next calls are never answered.
    pub(super) unanswered: usize,
    /// After how many bytes each of the next downloads breaks off.
    pub(super) breaks: VecDeque<usize>,
    /// What every object holds.
    pub(super) content: Vec<u8>,
    /// The entity tag of every object.
    pub(super) etag: Option<String>,
    /// By how many bytes a download's content differs from what its header says.
    pub(super) surplus: i64,
    /// The calls in their order: name and path.
    pub(super) calls: Vec<String>,
    /// The ranges and tags that downloads asked for.
    pub(super) asked: Vec<(Option<Range>, Option<String>)>,
    /// The attempts that changes said they are.
    pub(super) attempts: Vec<Option<Attempt>>,
    /// The messages of uploads: bytes, and `commit` with its size.
    pub(super) uploaded: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    /// Starts the gateway; it ends with the test's runtime.
    pub(super) async fn start(script: Script) -> (Self, GatewayStore) {
        let scripted = Self(Arc::new(Mutex::new(script)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = StorageServiceServer::new(scripted.clone());
        let served = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(served);
        let origin = format!("http://{address}").parse().unwrap();
        let channel = Channel::new(origin, move || TcpStream::connect(address));
        let retries = Retries {
            attempts: 3,
            first_delay: Duration::from_millis(1),
            longest_delay: Duration::from_millis(2),
            answer_within: Duration::from_millis(300),
        };
        (scripted, GatewayStore::new(channel).with_retries(retries))
    }

    pub(super) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.script(|script| std::mem::take(&mut script.calls))
    }

    async fn begin_change(&self, call: &str, path: &str, attempt: Option<Attempt>) -> Result<(), Status> {
        self.script(|script| script.attempts.push(attempt));
        self.begin(call, path).await
    }

    async fn begin(&self, call: &str, path: &str) -> Result<(), Status> {
        let is_unanswered = self.script(|script| {
            script.calls.push(format!("{call} {path}"));
            let is_unanswered = script.unanswered > 0;
            script.unanswered = script.unanswered.saturating_sub(1);
            is_unanswered
        });
        if is_unanswered {
            std::future::pending::<()>().await;
        }
        self.script(|script| script.failures.pop_front()).map_or(Ok(()), Err)
    }
}

pub(super) fn away() -> Status {
    Status::unavailable("restarting")
}

pub(super) fn busy() -> Status {
    let details = ErrorDetails::with_error_info(wire::reason::BUSY, wire::ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(Code::ResourceExhausted, "busy", details)
}

fn meta(path: &str, script: &Script) -> ObjectMeta {
    ObjectMeta {
        path: path.to_owned(),
        size: script.content.len() as u64,
        last_modified: Some(Default::default()),
        etag: script.etag.clone(),
        version: None,
    }
}

type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl StorageService for Scripted {
    type ListStream = BoxStream<ListResponse>;
    type GetStream = BoxStream<GetResponse>;

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let prefix = request.into_inner().prefix;
        self.begin("list", &prefix).await?;
        let objects = self.script(|script| vec![meta(&format!("{prefix}/x"), script)]);
        let page = ListResponse {
            objects,
            common_prefixes: Vec::new(),
        };
        Ok(Response::new(futures::stream::iter([Ok(page)]).boxed()))
    }

    async fn head(&self, request: Request<HeadRequest>) -> Result<Response<HeadResponse>, Status> {
        let path = request.into_inner().path;
        self.begin("head", &path).await?;
        let meta = self.script(|script| Some(meta(&path, script)));
        Ok(Response::new(HeadResponse {
            meta,
            attributes: Vec::new(),
        }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Self::GetStream>, Status> {
        let GetRequest {
            path,
            range,
            conditions,
            ..
        } = request.into_inner();
        self.begin("get", &path).await?;
        let messages = self.script(|script| {
            let size = script.content.len();
            let range = range.and_then(|range| range.range);
            let (start, end) = match range {
                Some(Range::Bounded(bounded)) => (bounded.start as usize, bounded.end as usize),
                _ => (0, size),
            };
            let tag = conditions.and_then(|conditions| conditions.if_match);
            let differs = tag.is_some() && tag != script.etag;
            script.asked.push((range, tag));
            if differs {
                return Err(Status::failed_precondition("changed"));
            }
            let (meta, attributes) = (Some(meta(&path, script)), Vec::new());
            let header = GetHeader {
                meta,
                start: start as u64,
                end: end as u64,
                attributes,
            };
            let broken = script.breaks.pop_front();
            let sent = end.min(broken.map_or(end, |bytes| start + bytes));
            let sent = sent.saturating_add_signed(script.surplus as isize);
            let mut content = script.content.clone();
            content.resize(content.len().max(sent), 0);
            let data = content[start..sent]
                .chunks(10)
                .map(|bytes| Part::Data(bytes.to_vec().into()));
            let parts = std::iter::once(Part::Header(header)).chain(data);
            let mut messages: Vec<_> = parts.map(|part| Ok(GetResponse { part: Some(part) })).collect();
            messages.extend(broken.map(|_| Err(away())));
            Ok(messages)
        })?;
        Ok(Response::new(futures::stream::iter(messages).boxed()))
    }

    async fn put(&self, request: Request<Streaming<PutRequest>>) -> Result<Response<PutResponse>, Status> {
        let mut messages = request.into_inner();
        let mut begun = false;
        while let Some(message) = messages.message().await? {
            match message.part.unwrap() {
                put_request::Part::Header(header) => {
                    begun = true;
                    self.begin_change("put", &header.path, header.attempt).await?;
                }
                put_request::Part::Data(bytes) => {
                    let shown = format!("{} x {}", bytes.len(), char::from(bytes[0]));
                    self.script(|script| script.uploaded.push(shown));
                }
                put_request::Part::Commit(commit) => {
                    self.script(|script| script.uploaded.push(format!("commit {}", commit.size)));
                    return Ok(Response::new(PutResponse {
                        etag: Some("new".to_owned()),
                        version: None,
                        sha256: None,
                    }));
                }
            }
        }
        assert!(begun, "an upload without a header");
        self.script(|script| script.uploaded.push("no commit".to_owned()));
        Err(Status::aborted("no commit"))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let request = request.into_inner();
        self.begin_change("delete", &request.path, request.attempt).await?;
        Ok(Response::new(DeleteResponse {}))
    }

    async fn copy(&self, request: Request<CopyRequest>) -> Result<Response<CopyResponse>, Status> {
        let request = request.into_inner();
        self.begin_change("copy", &request.from, request.attempt).await?;
        Ok(Response::new(CopyResponse {}))
    }
}

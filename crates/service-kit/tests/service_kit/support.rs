//! An authority in a temporary folder, a server on a free port, and a service that does as the test says.

use std::{fs, net::SocketAddr, path::Path, pin::Pin, sync::Arc, time::Duration};

use fedcost_proto::ingest::v1::{
    self as proto, GetStatusRequest, GetStatusResponse, ListFilesRequest, ListFilesResponse, RefreshRequest,
    RefreshResponse, Status, WatchStatusRequest, WatchStatusResponse,
    ingest_service_client::IngestServiceClient,
    ingest_service_server::{IngestService, IngestServiceServer},
};
use futures::{Stream, StreamExt, stream};
use prometheus_client::registry::Registry;
use service_kit::client::Channel;
use service_kit::{
    Identity, TrustDomain,
    certs::DevelopmentCa,
    client::{Endpoint, EndpointConfig},
    metrics::ServerMetrics,
    peer_identity,
    server::{GrpcServer, Health, ServeError},
    tls::{TlsFiles, TlsMaterial, install_crypto_provider},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response};

pub(crate) const SERVER: &str = "ingest-svc";
pub(crate) const CALLER: &str = "query-svc";

/// A stream of the scripted service ends at this number.
pub(crate) const LAST: u64 = u64::MAX;

pub(crate) fn trust_domain(name: &str) -> TrustDomain {
    name.parse().unwrap()
}

pub(crate) struct Authority {
    pub(crate) folder: TempDir,
    pub(crate) ca: DevelopmentCa,
}

impl Authority {
    pub(crate) fn new() -> Self {
        install_crypto_provider();
        let folder = TempDir::new().unwrap();
        let ca = DevelopmentCa::open_or_create(folder.path(), TrustDomain::default()).unwrap();
        Self { folder, ca }
    }

    pub(crate) fn service(&self, name: &str) -> Arc<TlsMaterial> {
        TlsMaterial::load(self.ca.issue_service(name).unwrap()).unwrap()
    }

    pub(crate) fn cluster(&self, id: &str) -> Arc<TlsMaterial> {
        TlsMaterial::load(self.ca.issue_cluster(id).unwrap()).unwrap()
    }

    /// Issues the service's files anew, in place.
    pub(crate) fn renew(&self, name: &str) -> TlsFiles {
        let stale = self.ca.issue_service(name).unwrap();
        // A certificate that is gone is issued again; the reload meets a moment without it on the way.
        fs::remove_file(stale.cert).unwrap();
        self.ca.issue_service(name).unwrap()
    }
}

/// Does as the test says: the stream of `WatchStatus` shows `cycle`, `Refresh` with `wait` panics, and `ListFiles`
/// panics after its first answer.
struct Scripted {
    cycle: watch::Receiver<u64>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, tonic::Status>> + Send>>;

#[tonic::async_trait]
impl IngestService for Scripted {
    type WatchStatusStream = Answers<WatchStatusResponse>;
    type ListFilesStream = Answers<ListFilesResponse>;

    async fn refresh(&self, request: Request<RefreshRequest>) -> Result<Response<RefreshResponse>, tonic::Status> {
        assert!(!request.get_ref().wait, "on purpose, while answering");
        Ok(Response::new(RefreshResponse::default()))
    }

    /// Tells the caller who it is, in `last_error`.
    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, tonic::Status> {
        let status = Status {
            last_error: peer_identity(&request)?.to_string(),
            ..Status::default()
        };
        Ok(Response::new(GetStatusResponse { status: Some(status) }))
    }

    async fn watch_status(
        &self,
        _request: Request<WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, tonic::Status> {
        let answers = WatchStream::new(self.cycle.clone())
            .take_while(|cycle| std::future::ready(*cycle != LAST))
            .map(|cycle| {
                Ok(WatchStatusResponse {
                    status: Some(Status {
                        cycle,
                        ..Status::default()
                    }),
                })
            });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn list_files(
        &self,
        _request: Request<ListFilesRequest>,
    ) -> Result<Response<Self::ListFilesStream>, tonic::Status> {
        let first = stream::once(async { Ok(ListFilesResponse::default()) });
        let second = stream::once(async {
            // What is ready at once travels together with the first answer, and would take that with it.
            tokio::task::yield_now().await;
            panic!("on purpose, while streaming")
        });
        Ok(Response::new(Box::pin(first.chain(second))))
    }

    async fn get_coverage(
        &self,
        _: Request<proto::GetCoverageRequest>,
    ) -> Result<Response<proto::GetCoverageResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not in the script"))
    }

    async fn repair(&self, _: Request<proto::RepairRequest>) -> Result<Response<proto::RepairResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not in the script"))
    }

    async fn reset(&self, _: Request<proto::ResetRequest>) -> Result<Response<proto::ResetResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not in the script"))
    }

    async fn list_releases(
        &self,
        _: Request<proto::ListReleasesRequest>,
    ) -> Result<Response<proto::ListReleasesResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not in the script"))
    }

    async fn pin_release(
        &self,
        _: Request<proto::PinReleaseRequest>,
    ) -> Result<Response<proto::PinReleaseResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not in the script"))
    }

    async fn unpin_release(
        &self,
        _: Request<proto::UnpinReleaseRequest>,
    ) -> Result<Response<proto::UnpinReleaseResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not in the script"))
    }

    async fn roll_back(
        &self,
        _: Request<proto::RollBackRequest>,
    ) -> Result<Response<proto::RollBackResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not in the script"))
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) cycle: watch::Sender<u64>,
    pub(crate) health: Health,
    pub(crate) registry: Registry,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub(crate) async fn start(tls: Arc<TlsMaterial>) -> Self {
        Self::start_with(tls, |server| server).await
    }

    pub(crate) async fn start_with(tls: Arc<TlsMaterial>, configure: impl FnOnce(GrpcServer) -> GrpcServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, tls, configure)
    }

    /// Starts where another server was before.
    pub(crate) async fn start_at(address: SocketAddr, tls: Arc<TlsMaterial>) -> Self {
        Self::start_on(TcpListener::bind(address).await.unwrap(), tls, |server| server)
    }

    fn start_on(
        listener: TcpListener,
        tls: Arc<TlsMaterial>,
        configure: impl FnOnce(GrpcServer) -> GrpcServer,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (cycle, receiver) = watch::channel(0);
        let mut registry = Registry::default();
        let server = GrpcServer::new(SERVER, tls, TrustDomain::default())
            .add_service(IngestServiceServer::new(Scripted { cycle: receiver }))
            .with_metrics(ServerMetrics::register(&mut registry));
        let server = configure(server);
        let health = server.health();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.serve(listener, shutdown.clone()));
        Self {
            address,
            cycle,
            health,
            registry,
            shutdown,
            task,
        }
    }

    pub(crate) fn channel(&self, tls: &Arc<TlsMaterial>) -> Channel {
        self.channel_expecting(tls, SERVER)
    }

    pub(crate) fn channel_expecting(&self, tls: &Arc<TlsMaterial>, service: &str) -> Channel {
        let expected = Identity::service(TrustDomain::default(), service).unwrap();
        Endpoint::new(&EndpointConfig::new(format!("https://{}", self.address)), expected)
            .unwrap()
            .channel(tls)
    }

    pub(crate) fn client(&self, tls: &Arc<TlsMaterial>) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.channel(tls))
    }

    /// The numbers as Prometheus would read them.
    pub(crate) fn numbers(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Waits until a line of the numbers is there: the server counts a moment after the client has its answer.
    pub(crate) async fn expect_number(&self, line: &str) {
        eventually(&format!("{line} in {}", self.numbers()), async || {
            self.numbers().lines().any(|found| found == line)
        })
        .await;
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

/// Who the server says the caller is.
pub(crate) async fn who_am_i(client: &mut IngestServiceClient<Channel>) -> Result<String, tonic::Status> {
    let answer = client.get_status(GetStatusRequest {}).await?;
    Ok(answer.into_inner().status.unwrap().last_error)
}

pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never came about: {what}");
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

//! The services behind the gateway.

use std::{future::Future, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use fedcost_proto::{
    ingest::v1::{
        Coverage, GetCoverageRequest, GetStatusRequest, ListFilesRequest, ListReleasesRequest, ListReleasesResponse,
        RepairRequest, SourceFile, Status as IngestStatus, ingest_service_client::IngestServiceClient,
    },
    query::v1::{
        AutocompleteRequest, AutocompleteResponse, ColumnsResponse, GetReleaseRequest, GetReleaseResponse,
        ListClustersRequest, ListClustersResponse, QueryAllocationsRequest, QueryAssetsRequest,
        query_service_client::QueryServiceClient,
    },
};
use service_kit::{
    MAX_MESSAGE_BYTES,
    client::{self, Channel},
};
use tokio::time::{Instant, timeout_at};
use tonic::{Response, Status, Streaming};

use crate::error::ApiError;

/// How long a question about the state of a service may take: it is answered from memory.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Before a question is asked again because its connection failed, and how often at most; each pause is twice the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const REPEATS: usize = 4;

/// Clients of the services behind the gateway. Cloning shares their connections.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    query: QueryServiceClient<Channel>,
    ingest: IngestServiceClient<Channel>,
}

impl Upstream {
    pub(crate) fn new(query: impl Into<Channel>, ingest: impl Into<Channel>) -> Self {
        Self {
            query: QueryServiceClient::new(query.into()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            ingest: IngestServiceClient::new(ingest.into()).max_decoding_message_size(MAX_MESSAGE_BYTES),
        }
    }

    pub(crate) async fn allocations(
        &self,
        question: QueryAllocationsRequest,
        deadline: Instant,
    ) -> Result<Streaming<ColumnsResponse>, ApiError> {
        let ask = || {
            let (mut query, question) = (self.query.clone(), question.clone());
            async move { query.query_allocation_columns(question).await }
        };
        within(deadline, ask).await
    }

    pub(crate) async fn assets(
        &self,
        question: QueryAssetsRequest,
        deadline: Instant,
    ) -> Result<Streaming<ColumnsResponse>, ApiError> {
        let ask = || {
            let (mut query, question) = (self.query.clone(), question.clone());
            async move { query.query_asset_columns(question).await }
        };
        within(deadline, ask).await
    }

    pub(crate) async fn autocomplete(
        &self,
        question: AutocompleteRequest,
        deadline: Instant,
    ) -> Result<AutocompleteResponse, ApiError> {
        let ask = || {
            let (mut query, question) = (self.query.clone(), question.clone());
            async move { query.autocomplete(question).await }
        };
        within(deadline, ask).await
    }

    pub(crate) async fn clusters(&self, deadline: Instant) -> Result<ListClustersResponse, ApiError> {
        let ask = || {
            let mut query = self.query.clone();
            async move { query.list_clusters(ListClustersRequest {}).await }
        };
        within(deadline, ask).await
    }

    pub(crate) async fn release(&self) -> Result<GetReleaseResponse, ApiError> {
        let ask = || {
            let mut query = self.query.clone();
            async move { query.get_release(GetReleaseRequest {}).await }
        };
        within(Instant::now() + STATUS_TIMEOUT, ask).await
    }

    pub(crate) async fn ingest_status(&self) -> Result<IngestStatus, ApiError> {
        let ask = || {
            let mut ingest = self.ingest.clone();
            async move { ingest.get_status(GetStatusRequest {}).await }
        };
        let response = within(Instant::now() + STATUS_TIMEOUT, ask).await?;
        Ok(response.status.unwrap_or_default())
    }

    /// The ETL files that ingest knows, of one cluster or of all.
    pub(crate) async fn files(
        &self,
        cluster: &str,
        failed_only: bool,
        deadline: Instant,
    ) -> Result<Vec<SourceFile>, ApiError> {
        let ask = || {
            let mut ingest = self.ingest.clone();
            let request = ListFilesRequest {
                cluster: cluster.to_owned(),
                failed_only,
            };
            async move { ingest.list_files(request).await }
        };
        let mut pages = within(deadline, ask).await?;
        let mut files = Vec::new();
        let all = async {
            while let Some(page) = pages.message().await? {
                files.extend(page.files);
            }
            Ok(files)
        };
        timeout_at(deadline, all)
            .await
            .map_err(|_| ApiError::TimedOut)?
            .map_err(ApiError::Upstream)
    }

    /// Which windows there are, of one cluster or of all.
    pub(crate) async fn coverage(&self, cluster: &str, deadline: Instant) -> Result<Vec<Coverage>, ApiError> {
        let ask = || {
            let (mut ingest, cluster) = (self.ingest.clone(), cluster.to_owned());
            async move { ingest.get_coverage(GetCoverageRequest { cluster }).await }
        };
        Ok(within(deadline, ask).await?.coverages)
    }

    pub(crate) async fn releases(&self, deadline: Instant) -> Result<ListReleasesResponse, ApiError> {
        let ask = || {
            let mut ingest = self.ingest.clone();
            async move { ingest.list_releases(ListReleasesRequest {}).await }
        };
        within(deadline, ask).await
    }

    pub(crate) async fn repair(&self, request: RepairRequest, deadline: Instant) -> Result<(), ApiError> {
        let ask = || {
            let (mut ingest, request) = (self.ingest.clone(), request.clone());
            async move { ingest.repair(request).await }
        };
        within(deadline, ask).await.map(drop)
    }
}

/// Asks, and asks again when the connection failed: a replica that ends hands over to another one, and what is asked here
/// twice comes to the same as once. An answer that has begun is not asked for again.
async fn within<T, F>(deadline: Instant, ask: impl FnMut() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let delays = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_times(REPEATS)
        .with_jitter();
    let answer = ask.retry(delays).when(client::is_connection_failure);
    match timeout_at(deadline, answer).await {
        Ok(answer) => answer.map(Response::into_inner).map_err(ApiError::Upstream),
        Err(_) => Err(ApiError::TimedOut),
    }
}

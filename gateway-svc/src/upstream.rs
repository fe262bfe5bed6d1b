//! The services behind the gateway.

use std::{future::Future, time::Duration};

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
use service_kit::MAX_MESSAGE_BYTES;
use tokio::time::{Instant, timeout_at};
use tonic::{Response, Status, Streaming, transport::Channel};

use crate::error::ApiError;

/// How long a question about the state of a service may take: it is answered from memory.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Clients of the services behind the gateway. Cloning shares their connections.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    query: QueryServiceClient<Channel>,
    ingest: IngestServiceClient<Channel>,
}

impl Upstream {
    pub(crate) fn new(query: Channel, ingest: Channel) -> Self {
        Self {
            query: QueryServiceClient::new(query).max_decoding_message_size(MAX_MESSAGE_BYTES),
            ingest: IngestServiceClient::new(ingest).max_decoding_message_size(MAX_MESSAGE_BYTES),
        }
    }

    pub(crate) async fn allocations(
        &self,
        question: QueryAllocationsRequest,
        deadline: Instant,
    ) -> Result<Streaming<ColumnsResponse>, ApiError> {
        let mut query = self.query.clone();
        within(deadline, query.query_allocation_columns(question)).await
    }

    pub(crate) async fn assets(
        &self,
        question: QueryAssetsRequest,
        deadline: Instant,
    ) -> Result<Streaming<ColumnsResponse>, ApiError> {
        let mut query = self.query.clone();
        within(deadline, query.query_asset_columns(question)).await
    }

    pub(crate) async fn autocomplete(
        &self,
        question: AutocompleteRequest,
        deadline: Instant,
    ) -> Result<AutocompleteResponse, ApiError> {
        let mut query = self.query.clone();
        within(deadline, query.autocomplete(question)).await
    }

    pub(crate) async fn clusters(&self, deadline: Instant) -> Result<ListClustersResponse, ApiError> {
        let mut query = self.query.clone();
        within(deadline, query.list_clusters(ListClustersRequest {})).await
    }

    pub(crate) async fn release(&self) -> Result<GetReleaseResponse, ApiError> {
        let mut query = self.query.clone();
        within(Instant::now() + STATUS_TIMEOUT, query.get_release(GetReleaseRequest {})).await
    }

    pub(crate) async fn ingest_status(&self) -> Result<IngestStatus, ApiError> {
        let mut ingest = self.ingest.clone();
        let response = within(Instant::now() + STATUS_TIMEOUT, ingest.get_status(GetStatusRequest {})).await?;
        Ok(response.status.unwrap_or_default())
    }

    /// The ETL files that ingest knows, of one cluster or of all.
    pub(crate) async fn files(
        &self,
        cluster: &str,
        failed_only: bool,
        deadline: Instant,
    ) -> Result<Vec<SourceFile>, ApiError> {
        let mut ingest = self.ingest.clone();
        let request = ListFilesRequest {
            cluster: cluster.to_owned(),
            failed_only,
        };
        let mut pages = within(deadline, ingest.list_files(request)).await?;
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
        let mut ingest = self.ingest.clone();
        let cluster = cluster.to_owned();
        let answer = within(deadline, ingest.get_coverage(GetCoverageRequest { cluster })).await?;
        Ok(answer.coverages)
    }

    pub(crate) async fn releases(&self, deadline: Instant) -> Result<ListReleasesResponse, ApiError> {
        let mut ingest = self.ingest.clone();
        within(deadline, ingest.list_releases(ListReleasesRequest {})).await
    }

    pub(crate) async fn repair(&self, request: RepairRequest, deadline: Instant) -> Result<(), ApiError> {
        let mut ingest = self.ingest.clone();
        within(deadline, ingest.repair(request)).await.map(drop)
    }
}

async fn within<T>(deadline: Instant, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, ApiError> {
    match timeout_at(deadline, call).await {
        Ok(answer) => answer.map(Response::into_inner).map_err(ApiError::Upstream),
        Err(_) => Err(ApiError::TimedOut),
    }
}

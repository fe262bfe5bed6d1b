//! The services behind the gateway.

use std::{future::Future, sync::Arc, time::Duration};

use cost_model::{Scope, scope::Pattern};
use fedcost_proto::{
    ingest::v1::{
        Coverage, GetCoverageRequest, GetStatusRequest, ListFilesRequest, ListReleasesRequest, ListReleasesResponse,
        RepairRequest, SourceFile, Status as IngestStatus, ingest_service_client::IngestServiceClient,
    },
    query::v1::{
        self as query, AutocompleteRequest, AutocompleteResponse, ColumnsResponse, GetReleaseRequest,
        GetReleaseResponse, ListClustersRequest, ListClustersResponse, QueryAllocationsRequest, QueryAssetsRequest,
        query_service_client::QueryServiceClient,
    },
};
use service_kit::MAX_MESSAGE_BYTES;
use tokio::time::{Instant, timeout_at};
use tonic::{Response, Status, Streaming, transport::Channel};

use crate::error::ApiError;

/// How long a question about the state of a service may take: it is answered from memory.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Clients of the services behind the gateway, who ask for somebody. Cloning shares their connections.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    query: QueryServiceClient<Channel>,
    ingest: IngestServiceClient<Channel>,
    /// What whoever asks may see.
    scope: Arc<Scope>,
}

impl Upstream {
    /// Clients who ask for nobody: what they are told is nothing, until [`within`](Self::within) says for whom they ask.
    pub(crate) fn new(query: Channel, ingest: Channel) -> Self {
        Self {
            query: QueryServiceClient::new(query).max_decoding_message_size(MAX_MESSAGE_BYTES),
            ingest: IngestServiceClient::new(ingest).max_decoding_message_size(MAX_MESSAGE_BYTES),
            scope: Arc::new(Scope::NOTHING),
        }
    }

    /// The same, for somebody who may see this.
    pub(crate) fn within(self, scope: Arc<Scope>) -> Self {
        Self { scope, ..self }
    }

    fn scope(&self) -> Option<query::Scope> {
        let texts = |patterns: &[Pattern]| patterns.iter().map(ToString::to_string).collect();
        let grants = self.scope.grants().iter().map(|grant| query::Grant {
            clusters: texts(grant.clusters()),
            namespaces: texts(grant.namespaces()),
        });
        Some(query::Scope {
            everything: self.scope.is_everything(),
            grants: grants.collect(),
        })
    }

    /// Query-svc would leave it out; here it can be said why.
    fn check_explain(&self, explain: bool) -> Result<(), ApiError> {
        match explain && !self.scope.is_everything() {
            true => Err(ApiError::Unexplained),
            false => Ok(()),
        }
    }

    pub(crate) async fn allocations(
        &self,
        mut question: QueryAllocationsRequest,
        deadline: Instant,
    ) -> Result<Streaming<ColumnsResponse>, ApiError> {
        self.check_explain(question.explain)?;
        question.scope = self.scope();
        let mut query = self.query.clone();
        within(deadline, query.query_allocation_columns(question)).await
    }

    pub(crate) async fn assets(
        &self,
        mut question: QueryAssetsRequest,
        deadline: Instant,
    ) -> Result<Streaming<ColumnsResponse>, ApiError> {
        self.check_explain(question.explain)?;
        question.scope = self.scope();
        let mut query = self.query.clone();
        within(deadline, query.query_asset_columns(question)).await
    }

    pub(crate) async fn autocomplete(
        &self,
        mut question: AutocompleteRequest,
        deadline: Instant,
    ) -> Result<AutocompleteResponse, ApiError> {
        question.scope = self.scope();
        let mut query = self.query.clone();
        within(deadline, query.autocomplete(question)).await
    }

    pub(crate) async fn clusters(&self, deadline: Instant) -> Result<ListClustersResponse, ApiError> {
        let mut query = self.query.clone();
        let question = ListClustersRequest { scope: self.scope() };
        within(deadline, query.list_clusters(question)).await
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

    /// The ETL files that ingest knows, of one cluster or of all, of which all may be seen.
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
                let seen = page.files.into_iter();
                files.extend(seen.filter(|file| self.scope.sees_whole_cluster(&file.cluster)));
            }
            Ok(files)
        };
        timeout_at(deadline, all)
            .await
            .map_err(|_| ApiError::TimedOut)?
            .map_err(ApiError::Upstream)
    }

    /// Which windows there are, of one cluster or of all, of which all may be seen.
    pub(crate) async fn coverage(&self, cluster: &str, deadline: Instant) -> Result<Vec<Coverage>, ApiError> {
        let mut ingest = self.ingest.clone();
        let cluster = cluster.to_owned();
        let answer = within(deadline, ingest.get_coverage(GetCoverageRequest { cluster })).await?;
        let seen = answer.coverages.into_iter();
        Ok(seen
            .filter(|coverage| self.scope.sees_whole_cluster(&coverage.cluster))
            .collect())
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

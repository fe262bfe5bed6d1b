//! The services behind the gateway.

use std::{future::Future, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
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

type Query = QueryServiceClient<Channel>;
type Ingest = IngestServiceClient<Channel>;

/// Clients of the services behind the gateway, who ask for somebody. Cloning shares their connections.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    query: Query,
    ingest: Ingest,
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
        let ask = |mut query: Query, question| async move { query.query_allocation_columns(question).await };
        within(deadline, &self.query, &question, ask).await
    }

    pub(crate) async fn assets(
        &self,
        mut question: QueryAssetsRequest,
        deadline: Instant,
    ) -> Result<Streaming<ColumnsResponse>, ApiError> {
        self.check_explain(question.explain)?;
        question.scope = self.scope();
        let ask = |mut query: Query, question| async move { query.query_asset_columns(question).await };
        within(deadline, &self.query, &question, ask).await
    }

    pub(crate) async fn autocomplete(
        &self,
        mut question: AutocompleteRequest,
        deadline: Instant,
    ) -> Result<AutocompleteResponse, ApiError> {
        question.scope = self.scope();
        let ask = |mut query: Query, question| async move { query.autocomplete(question).await };
        within(deadline, &self.query, &question, ask).await
    }

    pub(crate) async fn clusters(&self, deadline: Instant) -> Result<ListClustersResponse, ApiError> {
        let question = ListClustersRequest { scope: self.scope() };
        let ask = |mut query: Query, question| async move { query.list_clusters(question).await };
        within(deadline, &self.query, &question, ask).await
    }

    pub(crate) async fn release(&self) -> Result<GetReleaseResponse, ApiError> {
        let ask = |mut query: Query, question| async move { query.get_release(question).await };
        within(Instant::now() + STATUS_TIMEOUT, &self.query, &GetReleaseRequest {}, ask).await
    }

    pub(crate) async fn ingest_status(&self) -> Result<IngestStatus, ApiError> {
        let ask = |mut ingest: Ingest, question| async move { ingest.get_status(question).await };
        let deadline = Instant::now() + STATUS_TIMEOUT;
        let response = within(deadline, &self.ingest, &GetStatusRequest {}, ask).await?;
        Ok(response.status.unwrap_or_default())
    }

    /// The ETL files that ingest knows, of one cluster or of all, of which all may be seen.
    pub(crate) async fn files(
        &self,
        cluster: &str,
        failed_only: bool,
        deadline: Instant,
    ) -> Result<Vec<SourceFile>, ApiError> {
        let question = ListFilesRequest {
            cluster: cluster.to_owned(),
            failed_only,
        };
        let ask = |mut ingest: Ingest, question| async move { ingest.list_files(question).await };
        let mut pages = within(deadline, &self.ingest, &question, ask).await?;
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
        let question = GetCoverageRequest {
            cluster: cluster.to_owned(),
        };
        let ask = |mut ingest: Ingest, question| async move { ingest.get_coverage(question).await };
        let coverages = within(deadline, &self.ingest, &question, ask).await?.coverages;
        Ok(coverages
            .into_iter()
            .filter(|coverage| self.scope.sees_whole_cluster(&coverage.cluster))
            .collect())
    }

    pub(crate) async fn releases(&self, deadline: Instant) -> Result<ListReleasesResponse, ApiError> {
        let ask = |mut ingest: Ingest, question| async move { ingest.list_releases(question).await };
        within(deadline, &self.ingest, &ListReleasesRequest {}, ask).await
    }

    pub(crate) async fn repair(&self, request: RepairRequest, deadline: Instant) -> Result<(), ApiError> {
        let ask = |mut ingest: Ingest, request| async move { ingest.repair(request).await };
        within(deadline, &self.ingest, &request, ask).await.map(drop)
    }
}

/// Asks, and asks again when the connection failed: a replica that ends hands over to another one, and what is asked here
/// twice comes to the same as once. An answer that has begun is not asked for again.
async fn within<C: Clone, Q: Clone, T, F>(
    deadline: Instant,
    client: &C,
    question: &Q,
    ask: impl Fn(C, Q) -> F,
) -> Result<T, ApiError>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let delays = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_times(REPEATS)
        .with_jitter();
    let answer = (|| ask(client.clone(), question.clone()))
        .retry(delays)
        .when(client::is_connection_failure);
    match timeout_at(deadline, answer).await {
        Ok(answer) => answer.map(Response::into_inner).map_err(ApiError::Upstream),
        Err(_) => Err(ApiError::TimedOut),
    }
}

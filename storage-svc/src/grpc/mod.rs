//! The handlers: they check, ask the policy, translate, and leave the rest to the store.

mod convert;
mod get;
mod list;
mod put;

use std::{pin::Pin, sync::Arc, time::Duration};

use fedcost_proto::storage::v1::{
    CopyRequest, CopyResponse, DeleteRequest, DeleteResponse, GetRequest, GetResponse, HeadRequest, HeadResponse,
    ListRequest, ListResponse, PutRequest, PutResponse, storage_service_server::StorageService,
};
use futures::Stream;
use object_store::{CopyMode, CopyOptions, ObjectStoreExt};
use service_kit::{Identity, peer_identity};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::{
    config::Limits,
    error::StorageError,
    limiter::Limiter,
    metrics::StorageMetrics,
    path::{FolderPath, ObjectPath},
    policy::{Operation, Policy},
    store::Store,
    turns::{Attempt, Outcome, Superseded, Taken, Turns},
};

/// How long a store may leave a listing or a download without the next piece. Longer than the store's own retries.
const STORE_STALL: Duration = Duration::from_secs(90);

type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The handlers of `fedcost.storage.v1.StorageService`.
#[derive(Debug, Clone)]
pub(crate) struct StorageHandlers {
    store: Store,
    policy: Arc<Policy>,
    metrics: StorageMetrics,
    limiter: Limiter,
    turns: Turns,
}

impl StorageHandlers {
    pub(crate) fn new(store: Store, policy: Policy, metrics: StorageMetrics, limits: Limits) -> Self {
        Self {
            store,
            policy: Arc::new(policy),
            limiter: Limiter::new(limits, metrics.clone()),
            metrics,
            turns: Turns::default(),
        }
    }

    /// Who calls, if it has not called too often.
    fn admitted<T>(&self, request: &Request<T>) -> Result<Arc<Identity>, Status> {
        let caller = peer_identity(request)?;
        self.limiter.admit(&caller)?;
        Ok(caller)
    }

    fn authorise(&self, caller: &Identity, operation: Operation, path: &ObjectPath) -> Result<(), StorageError> {
        let allowed = self.policy.allows(caller, operation, path);
        self.decide(allowed, caller, operation, || path.to_string())
    }

    fn authorise_listing(&self, caller: &Identity, folder: &FolderPath) -> Result<(), StorageError> {
        let allowed = self.policy.allows_listing(caller, folder);
        self.decide(allowed, caller, Operation::List, || folder.to_string())
    }

    fn decide(
        &self,
        allowed: bool,
        caller: &Identity,
        operation: Operation,
        path: impl FnOnce() -> String,
    ) -> Result<(), StorageError> {
        if allowed {
            return Ok(());
        }
        let (caller, path) = (caller.to_string(), path());
        tracing::warn!(caller, %operation, path, "denied by the policy");
        self.metrics.denied(caller.clone(), operation);
        Err(StorageError::Denied {
            caller,
            operation,
            path,
        })
    }

    /// Carries out a change of an object when its turn has come, and to its end even if the caller goes away: a change
    /// that was given up half way could still take place later, when the caller has repeated it and gone on.
    async fn change(
        &self,
        path: &ObjectPath,
        attempt: Option<Attempt>,
        change: impl Future<Output = object_store::Result<Outcome>> + Send + 'static,
    ) -> Result<object_store::Result<Outcome>, StorageError> {
        let taken = self.turns.take(path.as_path(), attempt).await;
        let turn = match taken.map_err(|Superseded| StorageError::Superseded)? {
            Taken::Turn(turn) => turn,
            Taken::Done(outcome) => return Ok(Ok(outcome)),
        };
        let change = async move {
            let outcome = change.await?;
            turn.end(&outcome);
            Ok(outcome)
        };
        let changed = tokio::spawn(change.in_current_span()).await;
        Ok(changed.unwrap_or_else(|failed| Err(failed.into())))
    }

    fn store_error(&self, error: object_store::Error, path: &ObjectPath) -> StorageError {
        StorageError::from_store(error, path.as_path().as_ref(), &self.store.scrubber)
    }
}

fn object_path(field: &'static str, path: &str) -> Result<ObjectPath, StorageError> {
    ObjectPath::parse(path).map_err(|error| StorageError::path(field, error))
}

fn folder_path(field: &'static str, path: &str) -> Result<FolderPath, StorageError> {
    FolderPath::parse(path).map_err(|error| StorageError::path(field, error))
}

#[tonic::async_trait]
impl StorageService for StorageHandlers {
    type ListStream = BoxStream<ListResponse>;
    type GetStream = BoxStream<GetResponse>;

    #[tracing::instrument(name = "list", skip_all, fields(prefix = request.get_ref().prefix))]
    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let caller = self.admitted(&request)?;
        Ok(Response::new(self.list_pages(&caller, &request.into_inner()).await?))
    }

    #[tracing::instrument(name = "head", skip_all, fields(path = request.get_ref().path))]
    async fn head(&self, request: Request<HeadRequest>) -> Result<Response<HeadResponse>, Status> {
        let caller = self.admitted(&request)?;
        Ok(Response::new(self.read_head(&caller, request.into_inner()).await?))
    }

    #[tracing::instrument(name = "get", skip_all, fields(path = request.get_ref().path))]
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Self::GetStream>, Status> {
        let caller = self.admitted(&request)?;
        Ok(Response::new(self.read_content(&caller, request.into_inner()).await?))
    }

    #[tracing::instrument(name = "put", skip_all, fields(path))]
    async fn put(&self, request: Request<Streaming<PutRequest>>) -> Result<Response<PutResponse>, Status> {
        let caller = self.admitted(&request)?;
        Ok(Response::new(self.write(&caller, request.into_inner()).await?))
    }

    #[tracing::instrument(name = "delete", skip_all, fields(path = request.get_ref().path))]
    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let caller = self.admitted(&request)?;
        let request = request.into_inner();
        let path = object_path("path", &request.path)?;
        let attempt = convert::attempt("attempt.change", request.attempt)?;
        self.authorise(&caller, Operation::Delete, &path)?;
        let (objects, deleted) = (Arc::clone(&self.store.objects), path.as_path().clone());
        let deletion = async move { objects.delete(&deleted).await.map(|()| Outcome::default()) };
        let deleted = self.change(&path, attempt, deletion).await?;
        deleted.map_err(|error| self.store_error(error, &path))?;
        Ok(Response::new(DeleteResponse {}))
    }

    #[tracing::instrument(name = "copy", skip_all, fields(from = request.get_ref().from, to = request.get_ref().to))]
    async fn copy(&self, request: Request<CopyRequest>) -> Result<Response<CopyResponse>, Status> {
        let caller = self.admitted(&request)?;
        let request = request.into_inner();
        let from = object_path("from", &request.from)?;
        let to = object_path("to", &request.to)?;
        let attempt = convert::attempt("attempt.change", request.attempt)?;
        self.authorise(&caller, Operation::Read, &from)?;
        self.authorise(&caller, Operation::Write, &to)?;
        let mode = if request.create_only {
            CopyMode::Create
        } else {
            CopyMode::Overwrite
        };
        let options = CopyOptions::new().with_mode(mode);
        let objects = Arc::clone(&self.store.objects);
        let (source, target) = (from.as_path().clone(), to.as_path().clone());
        let copy = async move {
            let copied = objects.copy_opts(&source, &target, options).await;
            copied.map(|()| Outcome::default())
        };
        let copied = self.change(&to, attempt, copy).await?;
        copied.map_err(|error| {
            // What is missing is the source, what exists is the target.
            let subject = if matches!(error, object_store::Error::NotFound { .. }) {
                &from
            } else {
                &to
            };
            self.store_error(error, subject)
        })?;
        Ok(Response::new(CopyResponse {}))
    }
}

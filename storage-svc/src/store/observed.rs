//! Numbers and spans of what is asked of the bucket itself, retries and credentials included.

use std::{fmt, future::Future, ops::Range, sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, path::Path,
};
use tracing::{Instrument as _, field, info_span};

use crate::metrics::{StorageMetrics, StoreOperation, StoreOutcome};

/// A store that counts each operation, and gives each a span.
pub(super) struct Observed {
    inner: Arc<dyn ObjectStore>,
    metrics: StorageMetrics,
}

impl Observed {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, metrics: StorageMetrics) -> Self {
        Self { inner, metrics }
    }

    async fn observe<T>(
        &self,
        operation: StoreOperation,
        path: &Path,
        bytes: Option<usize>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let span = info_span!(
            "object_store",
            otel.name = operation.name(),
            otel.kind = "client",
            otel.status_code = field::Empty,
            object_store.operation = operation.name(),
            object_store.path = %path,
            object_store.bytes = bytes,
        );
        let begun = Instant::now();
        let result = work.instrument(span.clone()).await;
        let outcome = outcome_of(&result);
        if outcome == StoreOutcome::Failed {
            span.record("otel.status_code", "ERROR");
        }
        self.metrics.store_operation(operation, outcome, begun.elapsed());
        result
    }

    /// A listing counts when it ends, or at the first failure.
    fn observe_stream<T: Send + 'static>(
        &self,
        operation: StoreOperation,
        items: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let mut counting = Counting {
            metrics: self.metrics.clone(),
            operation,
            begun: Instant::now(),
            outcome: StoreOutcome::Ok,
        };
        items
            .inspect(move |item| {
                if item.is_err() {
                    counting.note(outcome_of(item));
                }
            })
            .boxed()
    }
}

/// Counts when it is dropped, with the stream that it watches.
struct Counting {
    metrics: StorageMetrics,
    operation: StoreOperation,
    begun: Instant,
    outcome: StoreOutcome,
}

impl Counting {
    fn note(&mut self, outcome: StoreOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.metrics
            .store_operation(self.operation, self.outcome, self.begun.elapsed());
    }
}

/// What is not there, or has changed, is an answer and no failure.
fn outcome_of<T>(result: &Result<T>) -> StoreOutcome {
    match result {
        Ok(_) => StoreOutcome::Ok,
        Err(Error::NotFound { .. }) => StoreOutcome::NotFound,
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. }) => {
            StoreOutcome::Condition
        }
        Err(Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => StoreOutcome::Denied,
        Err(_) => StoreOutcome::Failed,
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, formatter)
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, formatter)
    }
}

#[async_trait]
impl ObjectStore for Observed {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bytes = payload.content_length();
        let put = self.inner.put_opts(path, payload, options);
        self.observe(StoreOperation::Put, path, Some(bytes), put).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let begin = self.inner.put_multipart_opts(path, options);
        self.observe(StoreOperation::BeginUpload, path, None, begin).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head {
            StoreOperation::Head
        } else {
            StoreOperation::Get
        };
        let get = self.inner.get_opts(path, options);
        self.observe(operation, path, None, get).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let get = self.inner.get_ranges(path, ranges);
        self.observe(StoreOperation::Get, path, None, get).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.observe_stream(StoreOperation::Delete, self.inner.delete_stream(paths))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.observe_stream(StoreOperation::List, self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.observe_stream(StoreOperation::List, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let root = Path::default();
        let list = self.inner.list_with_delimiter(prefix);
        self.observe(StoreOperation::List, prefix.unwrap_or(&root), None, list)
            .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let copy = self.inner.copy_opts(from, to, options);
        self.observe(StoreOperation::Copy, to, None, copy).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let rename = self.inner.rename_opts(from, to, options);
        self.observe(StoreOperation::Copy, to, None, rename).await
    }
}

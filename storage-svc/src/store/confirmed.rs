//! Writes whose answer may get lost.
//!
//! When the answer to a conditional put is lost, the library sends it again and the server then reports a conflict
//! with the object that the first request wrote. To the caller that looks as if somebody else had won, and a commit
//! that is in fact there would be given up. In the same way the end of an upload in parts, sent again, finds no such
//! upload. So each of them carries an id of its own, and a failure is believed only after the id of the present object
//! was read back.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future, stream::BoxStream};
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result, UploadPart, path::Path,
};
use uuid::Uuid;

use super::attempts::UnclearAttempts;

/// A store whose writes tell themselves from another's, and that answers alike where stores differ.
///
/// An update may have taken place unseen, and have been replaced before its id was read back. It then ends with an
/// error of its own kind rather than a conflict, by which the caller would take it for not done and do it again.
pub(crate) struct ConfirmedWrites<S> {
    inner: Arc<S>,
    /// Metadata that names the write an object comes from. Callers never see it.
    write_id: Attribute,
}

impl<S: ObjectStore> ConfirmedWrites<S> {
    /// `write_id` is the name of metadata that the store takes and callers do not use.
    pub(crate) fn new(inner: S, write_id: &'static str) -> Self {
        Self {
            inner: Arc::new(inner),
            write_id: Attribute::Metadata(write_id.into()),
        }
    }

    async fn put_conditionally(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let id = WriteId::new(&self.write_id);
        id.add_to(&mut options.attributes);
        let attempts = UnclearAttempts::default();
        options.extensions.insert(attempts.clone());
        let create = options.mode == PutMode::Create;
        let error = match self.inner.put_opts(path, payload, options).await {
            Ok(written) => return Ok(written),
            // Azure, for one, may say of an object that is there that a condition does not hold.
            Err(Error::Precondition { path, source }) if create => Error::AlreadyExists { path, source },
            Err(error) if may_hide_success(&error) => error,
            Err(error) => return Err(error),
        };
        match id.look_for(self.inner.as_ref(), path).await {
            Present::Own(written) => Ok(written),
            // Whoever wants to create an object learns that another is there, whatever was there before.
            Present::Other if create => Err(error),
            Present::Other | Present::Nothing if attempts.any() => Err(unknown_outcome(error)),
            Present::Other | Present::Nothing | Present::Unread => Err(error),
        }
    }
}

/// The id of one write.
#[derive(Debug)]
struct WriteId {
    attribute: Attribute,
    id: String,
}

/// What is there after a write that failed.
enum Present {
    /// What was written.
    Own(PutResult),
    Other,
    Nothing,
    /// The store does not tell.
    Unread,
}

impl WriteId {
    fn new(attribute: &Attribute) -> Self {
        Self {
            attribute: attribute.clone(),
            id: Uuid::new_v4().to_string(),
        }
    }

    fn add_to(&self, attributes: &mut Attributes) {
        attributes.insert(self.attribute.clone(), self.id.clone().into());
    }

    async fn look_for(&self, store: &impl ObjectStore, path: &Path) -> Present {
        match store.get_opts(path, GetOptions::new().with_head(true)).await {
            Ok(present)
                if present
                    .attributes
                    .get(&self.attribute)
                    .is_some_and(|found| found.as_ref() == self.id) =>
            {
                tracing::info!(%path, "a write whose answer was lost is in place");
                Present::Own(PutResult {
                    e_tag: present.meta.e_tag,
                    version: present.meta.version,
                })
            }
            Ok(_) => Present::Other,
            Err(Error::NotFound { .. }) => Present::Nothing,
            Err(unread) => {
                tracing::debug!(%path, %unread, "could not read back a write");
                Present::Unread
            }
        }
    }
}

/// An error for a request that may have taken place.
fn unknown_outcome(error: Error) -> Error {
    Error::Generic {
        store: "bucket",
        source: Box::new(UnknownOutcome(error)),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("an answer was lost, so that it is not known whether this took place; the store then said: {0}")]
struct UnknownOutcome(#[source] Error);

/// An upload in parts that carries an id.
#[derive(Debug)]
struct ConfirmedUpload<S> {
    upload: Box<dyn MultipartUpload>,
    store: Arc<S>,
    path: Path,
    id: WriteId,
}

#[async_trait]
impl<S: ObjectStore> MultipartUpload for ConfirmedUpload<S> {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        self.upload.put_part(payload)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let error = match self.upload.complete().await {
            Ok(written) => return Ok(written),
            Err(error) if matches!(error, Error::NotFound { .. }) || may_hide_success(&error) => error,
            Err(error) => return Err(error),
        };
        match self.id.look_for(self.store.as_ref(), &self.path).await {
            Present::Own(written) => Ok(written),
            // The upload was there when its parts were sent, so an earlier attempt has ended it, or somebody else has.
            _ if matches!(error, Error::NotFound { .. }) => Err(unknown_outcome(error)),
            _ => Err(error),
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

impl<S: ObjectStore> ConfirmedWrites<S> {
    /// Reads the end of an object from a store that has no such ranges, as Azure.
    async fn get_suffix(&self, path: &Path, options: &GetOptions, length: u64) -> Result<GetResult> {
        let mut options = options.clone();
        options.range = None;
        let head = GetOptions {
            head: true,
            ..options.clone()
        };
        let present = self.inner.get_opts(path, head).await?.meta;
        if length < present.size && !options.head {
            options.range = Some(GetRange::Offset(present.size - length));
            // The size is that of this very content.
            options.if_match = options.if_match.or(present.e_tag);
        }
        self.inner.get_opts(path, options).await
    }
}

/// Whether a failed write may have written the object nevertheless.
fn may_hide_success(error: &Error) -> bool {
    matches!(
        error,
        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::Generic { .. }
    )
}

impl<S: fmt::Display> fmt::Display for ConfirmedWrites<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, formatter)
    }
}

impl<S: fmt::Display> fmt::Debug for ConfirmedWrites<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The library's own debug output holds the credentials.
        fmt::Display::fmt(&self.inner, formatter)
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for ConfirmedWrites<S> {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match options.mode {
            PutMode::Overwrite => self.inner.put_opts(path, payload, options).await,
            PutMode::Create | PutMode::Update(_) => self.put_conditionally(path, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        mut options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if options
            .extensions
            .get::<PutMode>()
            .is_some_and(|mode| *mode != PutMode::Overwrite)
        {
            // The library completes an upload without a condition.
            let reason = "a conditional write of this size is not possible on this store";
            return Err(Error::NotSupported { source: reason.into() });
        }
        let id = WriteId::new(&self.write_id);
        id.add_to(&mut options.attributes);
        Ok(Box::new(ConfirmedUpload {
            upload: self.inner.put_multipart_opts(path, options).await?,
            store: Arc::clone(&self.inner),
            path: path.clone(),
            id,
        }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = match (&options.range, self.inner.get_opts(path, options.clone()).await) {
            (Some(GetRange::Suffix(length)), Err(Error::NotSupported { .. })) => {
                self.get_suffix(path, &options, *length).await?
            }
            (_, result) => result?,
        };
        result.attributes.remove(&self.write_id);
        Ok(result)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset_of_caller = offset.clone();
        // Azurite takes no notice of the offset, and on the others this costs nothing.
        self.inner
            .list_with_offset(prefix, offset)
            .try_filter(move |object| future::ready(object.location > offset_of_caller))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let create = options.mode == CopyMode::Create;
        match self.inner.copy_opts(from, to, options).await {
            // To S3 such a copy is an upload in parts, whose end finds nothing when it is sent again. The library sets
            // no attributes on it, so there is no id to look for.
            Err(error @ Error::NotFound { .. }) if create && self.inner.head(from).await.is_ok() => {
                Err(unknown_outcome(error))
            }
            copied => copied,
        }
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use object_store::{ObjectStoreExt, UpdateVersion, memory::InMemory};

    use super::*;

    /// Carries out a put and then loses its answer: either the library's retry meets the object, or nothing comes.
    #[derive(Debug)]
    struct LosesAnswers {
        inner: InMemory,
        retries: bool,
        loses: AtomicBool,
    }

    impl fmt::Display for LosesAnswers {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("LosesAnswers")
        }
    }

    #[async_trait]
    impl ObjectStore for LosesAnswers {
        async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
            let first = self.inner.put_opts(path, payload.clone(), options.clone()).await;
            if !self.loses.swap(false, Ordering::Relaxed) {
                return first;
            }
            if self.retries {
                return self.inner.put_opts(path, payload, options).await;
            }
            Err(Error::Generic {
                store: "test",
                source: "connection reset".into(),
            })
        }
        async fn put_multipart_opts(
            &self,
            path: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.inner.put_multipart_opts(path, options).await
        }
        async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
            self.inner.get_opts(path, options).await
        }
        fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.inner.delete_stream(paths)
        }
        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.inner.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    fn store(retries: bool) -> ConfirmedWrites<LosesAnswers> {
        ConfirmedWrites::new(
            LosesAnswers {
                inner: InMemory::new(),
                retries,
                loses: AtomicBool::new(true),
            },
            "write-id",
        )
    }

    #[tokio::test]
    async fn its_own_write_is_no_conflict() {
        let path = Path::from("commit");
        for retries in [true, false] {
            let store = store(retries);
            let written = store
                .put_opts(&path, "ours".into(), PutMode::Create.into())
                .await
                .unwrap();

            store.inner.loses.store(true, Ordering::Relaxed);
            let written = store
                .put_opts(&path, "again".into(), PutMode::Update(written.into()).into())
                .await
                .unwrap();
            let read = store.get(&path).await.unwrap();
            assert_eq!(read.meta.e_tag, written.e_tag);
            assert!(read.attributes.is_empty());
            assert_eq!(read.bytes().await.unwrap(), "again");
        }
    }

    #[tokio::test]
    async fn the_write_of_another_is_a_conflict() {
        let path = Path::from("commit");
        for retries in [true, false] {
            let store = store(retries);
            store.inner.inner.put(&path, "theirs".into()).await.unwrap();
            let error = store
                .put_opts(&path, "ours".into(), PutMode::Create.into())
                .await
                .unwrap_err();
            assert_eq!(matches!(error, Error::AlreadyExists { .. }), retries, "{error}");

            let stale = UpdateVersion {
                e_tag: Some("stale".to_owned()),
                version: None,
            };
            let error = store
                .put_opts(&path, "ours".into(), PutMode::Update(stale).into())
                .await
                .unwrap_err();
            assert!(matches!(error, Error::Precondition { .. }), "{error}");
            assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "theirs");
        }
    }

    #[tokio::test]
    async fn a_conditional_upload_in_parts_is_refused() {
        let mut options = PutMultipartOptions::default();
        options.extensions.insert(PutMode::Create);
        let error = store(true)
            .put_multipart_opts(&Path::from("large"), options)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NotSupported { .. }), "{error}");
    }
}

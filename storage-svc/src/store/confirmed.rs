//! Conditional writes whose answer may get lost.
//!
//! When the answer to a conditional put is lost, the library sends it again and the server then reports a conflict
//! with the object that the first request wrote. To the caller that looks as if somebody else had won, and a commit
//! that is in fact there would be given up. So each conditional put carries an id of its own, and a conflict or a
//! lost answer is believed only after the id of the present object was read back.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future, stream::BoxStream};
use object_store::{
    Attribute, CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, path::Path,
};
use uuid::Uuid;

/// A store whose conditional puts tell their own write from another's, and that answers alike where stores differ.
///
/// One case stays open: when the answer is lost and another write replaces the object before the id is read back, a
/// conflict is reported for a write that did take place. The object's history is then the other writer's to tell.
pub(crate) struct ConfirmedWrites<S> {
    inner: S,
    /// Metadata that names the write an object comes from. Callers never see it.
    write_id: Attribute,
}

impl<S: ObjectStore> ConfirmedWrites<S> {
    /// `write_id` is the name of metadata that the store takes and callers do not use.
    pub(crate) fn new(inner: S, write_id: &'static str) -> Self {
        Self {
            inner,
            write_id: Attribute::Metadata(write_id.into()),
        }
    }

    async fn put_conditionally(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let id = Uuid::new_v4().to_string();
        options.attributes.insert(self.write_id.clone(), id.clone().into());
        let create = options.mode == PutMode::Create;
        let error = match self.inner.put_opts(path, payload, options).await {
            Ok(written) => return Ok(written),
            // Azure, for one, may say of an object that is there that a condition does not hold.
            Err(Error::Precondition { path, source }) if create => Error::AlreadyExists { path, source },
            Err(error) if may_hide_success(&error) => error,
            Err(error) => return Err(error),
        };
        match self.inner.get_opts(path, GetOptions::new().with_head(true)).await {
            Ok(present)
                if present
                    .attributes
                    .get(&self.write_id)
                    .is_some_and(|found| found.as_ref() == id) =>
            {
                tracing::info!(%path, "a conditional write whose answer was lost is in place");
                Ok(PutResult {
                    e_tag: present.meta.e_tag,
                    version: present.meta.version,
                })
            }
            Ok(_) => Err(error),
            Err(unread) => {
                tracing::debug!(%path, %unread, "could not read back a conditional write");
                Err(error)
            }
        }
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

/// Whether a failed conditional put may have written the object nevertheless.
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

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        if options
            .extensions
            .get::<PutMode>()
            .is_some_and(|mode| *mode != PutMode::Overwrite)
        {
            // The library completes an upload without a condition.
            let reason = "a conditional write of this size is not possible on this store";
            return Err(Error::NotSupported { source: reason.into() });
        }
        self.inner.put_multipart_opts(path, options).await
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
        self.inner.copy_opts(from, to, options).await
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

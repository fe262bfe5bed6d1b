//! Conditional writes to a store that has none, kept by the gateway.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UpdateVersion, path::Path,
};

/// A store without conditional writes: before each the object is looked at, and then written whatever is there.
///
/// Between the two nobody else may change the object, so whoever uses this lets the changes of one object wait for one
/// another, as the handlers do ([`Turns`](crate::turns::Turns)), and is alone with the bucket.
#[derive(Debug)]
pub(super) struct SerialConditions {
    inner: Arc<dyn ObjectStore>,
}

impl SerialConditions {
    pub(super) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner }
    }

    /// What is there now, if anything is.
    async fn present(&self, path: &Path) -> Result<Option<ObjectMeta>> {
        match self.inner.head(path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn require_absence(&self, path: &Path) -> Result<()> {
        match self.present(path).await? {
            None => Ok(()),
            Some(_) => Err(Error::AlreadyExists {
                path: path.to_string(),
                source: "there is one".into(),
            }),
        }
    }

    async fn require_version(&self, path: &Path, expected: &UpdateVersion) -> Result<()> {
        let differs = |present: &Option<String>, expected: &Option<String>| expected.is_some() && present != expected;
        let reason = match self.present(path).await? {
            None => "there is none",
            Some(present) if differs(&present.e_tag, &expected.e_tag) => "it has another entity tag",
            Some(present) if differs(&present.version, &expected.version) => "it has another version",
            Some(_) => return Ok(()),
        };
        Err(Error::Precondition {
            path: path.to_string(),
            source: reason.into(),
        })
    }
}

impl fmt::Display for SerialConditions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

#[async_trait]
impl ObjectStore for SerialConditions {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        match std::mem::take(&mut options.mode) {
            PutMode::Overwrite => {}
            PutMode::Create => self.require_absence(path).await?,
            PutMode::Update(expected) => self.require_version(path, &expected).await?,
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
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
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, mut options: CopyOptions) -> Result<()> {
        match std::mem::take(&mut options.mode) {
            CopyMode::Overwrite => {}
            CopyMode::Create => {
                // Where the source is missing too, that is what is told, as the stores do.
                self.inner.head(from).await?;
                self.require_absence(to).await?;
            }
        }
        self.inner.copy_opts(from, to, options).await
    }
}

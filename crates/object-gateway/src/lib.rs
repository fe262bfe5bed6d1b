//! The bucket, as seen through the storage gateway.
//!
//! [`GatewayStore`] is an [`ObjectStore`] over a channel to `storage-svc`, so that DataFusion and Delta Lake read and
//! write the bucket without credentials for it. What a caller may do there follows from its certificate.

pub mod checksum;
mod download;
mod error;
mod retry;
mod upload;
pub mod wire;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use fedcost_proto::storage::v1::{
    self as proto, CopyRequest, DeleteRequest, HeadRequest, ListRequest, PutHeader, PutResponse,
    storage_service_client::StorageServiceClient,
};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, TagSet,
    path::Path,
};
use service_kit::client::Channel;
use service_kit::{
    Identity, MAX_MESSAGE_BYTES, TrustDomain,
    client::{Endpoint, EndpointConfig, EndpointError},
    identity::IdentityError,
    tls::TlsMaterial,
};
use tonic::Status;

pub use self::retry::Retries;
use self::{checksum::Sha256, error::from_status, upload::GatewayUpload};

/// The gateway's name in its certificate, and in logs and errors.
const GATEWAY: &str = "storage-svc";

/// Deletions under way at once in one stream of them.
const PARALLEL_DELETES: usize = 10;

/// The bucket behind a storage gateway. Clones share the channel.
///
/// Calls that may be repeated are repeated while the gateway is away, within [`Retries`]; a download goes on where
/// it broke off. Conditional writes are not repeated once they were sent: whether the first one took place would stay
/// unknown.
///
/// An upload in parts goes out as one stream, in the order of the calls of `put_part`. It may carry a condition: a
/// [`PutMode`] among the extensions of its options is checked when the upload is completed.
#[derive(Clone)]
pub struct GatewayStore {
    client: StorageServiceClient<Channel>,
    retries: Retries,
    /// What to call the gateway in logs and errors.
    name: Arc<str>,
}

/// Why a storage gateway cannot be called as configured.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The gateway can have no identity in the trust domain.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The gateway's address.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl GatewayStore {
    /// The bucket behind the gateway at this address, which must prove to be one of the trust domain. It is called
    /// only when something is asked of the bucket.
    ///
    /// # Errors
    /// When the address or the trust domain cannot be used.
    ///
    /// # Panics
    /// When called outside a tokio runtime.
    pub fn connect(
        endpoint: &EndpointConfig,
        trust_domain: TrustDomain,
        tls: &Arc<TlsMaterial>,
    ) -> std::result::Result<Self, ConnectError> {
        let gateway = Identity::service(trust_domain, GATEWAY)?;
        Ok(Self::new(Endpoint::new(endpoint, gateway)?.channel(tls)))
    }

    /// The bucket behind the gateway that the channel leads to.
    pub fn new(channel: Channel) -> Self {
        let client = StorageServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self {
            client,
            retries: Retries::default(),
            name: GATEWAY.into(),
        }
    }

    /// Replaces the default retries.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Replaces the name that logs and errors show; `storage-svc` by default.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Writes an object over whatever is there, and proves it: the gateway compares what arrived with `checksum`
    /// before it makes the object visible, and answers with what it computed itself.
    ///
    /// # Errors
    /// As [`ObjectStore::put_opts`], and when the gateway received other content or does not prove what it received.
    pub async fn put_proved(
        &self,
        path: &Path,
        payload: PutPayload,
        attributes: &Attributes,
        checksum: Sha256,
    ) -> Result<PutResult> {
        let mut header = upload::header(path, PutMode::Overwrite, attributes)?;
        header.sha256 = Some(checksum.to_message());
        let response = self.put_repeatedly(&header, &payload).await?;
        // A gateway from before the field would ignore it.
        match response.sha256.as_deref().map(Sha256::from_message) {
            Some(Some(found)) if found == checksum => Ok(upload::written(response)),
            Some(_) => Err(error::malformed("another checksum than that of what was written")),
            None => Err(error::malformed("no checksum of what was written")),
        }
    }

    /// Makes a write that may take place twice.
    async fn put_repeatedly(&self, header: &PutHeader, payload: &PutPayload) -> Result<PutResponse> {
        let response = self.retries.repeat_change(|attempt| {
            let mut header = header.clone();
            header.attempt = Some(attempt);
            let (mut client, messages) = (self.client(), upload::messages(header, payload.clone()));
            let put = async move { Ok(client.put(futures::stream::iter(messages)).await?.into_inner()) };
            self.retries.in_time_to_send(payload.content_length(), put)
        });
        response.await.map_err(|status| from_status(status, &header.path))
    }

    fn client(&self) -> StorageServiceClient<Channel> {
        self.client.clone()
    }

    /// The pages of a listing.
    async fn open_listing(&self, request: ListRequest) -> Result<BoxStream<'static, Result<proto::ListResponse>>> {
        let path = request.prefix.clone();
        let listing = self.retries.repeat(|| {
            let (mut client, request) = (self.client(), request.clone());
            self.retries
                .in_time(async move { Ok(client.list(request).await?.into_inner()) })
        });
        let pages = listing.await.map_err(|status| from_status(status, &path))?;
        let retries = self.retries;
        let pages = futures::stream::try_unfold(pages, move |mut pages| async move {
            let page = retries.in_time(pages.message()).await?;
            Ok(page.map(|page| (page, pages)))
        });
        Ok(pages.map_err(move |status| from_status(status, &path)).boxed())
    }

    fn list_objects(&self, prefix: Option<&Path>, offset: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        let request = list_request(prefix, offset, false);
        futures::stream::once(async move { store.open_listing(request).await })
            .try_flatten()
            .map_ok(|page| futures::stream::iter(page.objects.into_iter().map(read_meta)))
            .try_flatten()
            .boxed()
    }

    async fn head(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let request = HeadRequest {
            path: path.to_string(),
            conditions: Some(conditions(&options)),
            version: options.version,
        };
        let response = self.retries.repeat(|| {
            let (mut client, request) = (self.client(), request.clone());
            self.retries
                .in_time(async move { Ok(client.head(request).await?.into_inner()) })
        });
        let response = response.await.map_err(|status| from_status(status, &request.path))?;
        let meta = read_meta(
            response
                .meta
                .ok_or_else(|| error::malformed("an answer without metadata"))?,
        )?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(futures::stream::empty().boxed()),
            range: 0..meta.size,
            attributes: read_attributes(response.attributes),
            meta,
        })
    }

    async fn delete_one(&self, path: &Path) -> Result<()> {
        let mut attempts = 0;
        let deleted = self.retries.repeat_change(|attempt| {
            attempts += 1;
            let mut client = self.client();
            let request = DeleteRequest {
                path: path.to_string(),
                attempt: Some(attempt),
            };
            self.retries.in_time(async move { client.delete(request).await })
        });
        match deleted.await {
            Ok(_) => Ok(()),
            // An earlier attempt did it, and only its answer was lost.
            Err(status) if attempts > 1 && status.code() == tonic::Code::NotFound => Ok(()),
            Err(status) => Err(from_status(status, path.as_ref())),
        }
    }
}

impl fmt::Display for GatewayStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "GatewayStore({})", self.name)
    }
}

impl fmt::Debug for GatewayStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[async_trait]
impl ObjectStore for GatewayStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let PutOptions {
            mode, tags, attributes, ..
        } = options;
        refuse_tags(&tags)?;
        let idempotent = mode == PutMode::Overwrite;
        let header = upload::header(path, mode, &attributes)?;
        if idempotent {
            return Ok(upload::written(self.put_repeatedly(&header, &payload).await?));
        }
        let bytes = payload.content_length();
        let messages = upload::messages(header, payload);
        let response = self.retries.repeat_unbegun(|| {
            let (mut client, messages) = (self.client(), messages.clone());
            let put = async move { client.put(futures::stream::iter(messages)).await };
            self.retries.in_time_to_send(bytes, put)
        });
        let response = response.await.map_err(|status| from_status(status, path.as_ref()))?;
        Ok(upload::written(response.into_inner()))
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        refuse_tags(&options.tags)?;
        let mode = options.extensions.get::<PutMode>().cloned().unwrap_or_default();
        let header = upload::header(path, mode, &options.attributes)?;
        Ok(Box::new(GatewayUpload::start(self.clone(), path.clone(), header)))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            self.head(path, options).await
        } else {
            download::open(self.clone(), path, options).await
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        paths
            .map(move |path| {
                let store = store.clone();
                async move {
                    let path = path?;
                    store.delete_one(&path).await.map(|()| path)
                }
            })
            .buffered(PARALLEL_DELETES)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_objects(prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_objects(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut pages = self.open_listing(list_request(prefix, None, true)).await?;
        let mut listing = ListResult {
            common_prefixes: Vec::new(),
            objects: Vec::new(),
        };
        while let Some(page) = pages.try_next().await? {
            for object in page.objects {
                listing.objects.push(read_meta(object)?);
            }
            for prefix in page.common_prefixes {
                listing.common_prefixes.push(Path::parse(prefix)?);
            }
        }
        Ok(listing)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let create_only = options.mode == CopyMode::Create;
        let copy = |attempt| {
            let mut client = self.client();
            let request = CopyRequest {
                from: from.to_string(),
                to: to.to_string(),
                create_only,
                attempt,
            };
            self.retries.in_time(async move { client.copy(request).await })
        };
        let copied = if create_only {
            self.retries.repeat_unbegun(|| copy(None)).await
        } else {
            self.retries.repeat_change(|attempt| copy(Some(attempt))).await
        };
        // As in the gateway: what is missing is the source, what exists is the target.
        copied.map(|_| ()).map_err(|status| {
            let subject = if status.code() == tonic::Code::NotFound {
                from
            } else {
                to
            };
            from_status(status, subject.as_ref())
        })
    }
}

/// Tags that were dropped in silence would be missed by the bucket's life-cycle rules.
fn refuse_tags(tags: &TagSet) -> Result<()> {
    if tags.encoded().is_empty() {
        return Ok(());
    }
    Err(object_store::Error::NotSupported {
        source: "the storage gateway knows no tags".into(),
    })
}

fn list_request(prefix: Option<&Path>, offset: Option<&Path>, delimited: bool) -> ListRequest {
    let text = |path: Option<&Path>| path.map(ToString::to_string).unwrap_or_default();
    ListRequest {
        prefix: text(prefix),
        offset: text(offset),
        delimited,
    }
}

fn conditions(options: &GetOptions) -> proto::GetConditions {
    proto::GetConditions {
        if_match: options.if_match.clone(),
        if_none_match: options.if_none_match.clone(),
        if_modified_since: options.if_modified_since.map(wire::timestamp),
        if_unmodified_since: options.if_unmodified_since.map(wire::timestamp),
    }
}

fn read_meta(meta: proto::ObjectMeta) -> Result<ObjectMeta> {
    let last_modified = meta.last_modified.and_then(wire::time);
    Ok(ObjectMeta {
        location: Path::parse(meta.path)?,
        last_modified: last_modified.ok_or_else(|| error::malformed("an object without a time"))?,
        size: meta.size,
        e_tag: meta.etag,
        version: meta.version,
    })
}

/// Leaves out attributes that a newer gateway may know and we do not.
fn read_attributes(attributes: Vec<proto::Attribute>) -> Attributes {
    let mut known = Attributes::with_capacity(attributes.len());
    for proto::Attribute { name, value } in attributes {
        if let Some(attribute) = wire::attribute_named(&name) {
            known.insert(attribute, value.into());
        }
    }
    known
}

/// The result of a call.
type Answer<T> = std::result::Result<T, Status>;

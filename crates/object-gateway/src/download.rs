//! Reads: a header and the content, which goes on where it broke off.

use std::ops::Range;

use bytes::Bytes;
use fedcost_proto::storage::v1::{self as proto, GetHeader, GetRequest, GetResponse, byte_range, get_response::Part};
use futures::{StreamExt, stream::BoxStream};
use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, Result, path::Path};
use service_kit::client::is_connection_failure;
use tonic::Streaming;

use crate::{
    GatewayStore, conditions,
    error::{from_status, malformed},
    read_attributes, read_meta,
};

/// How often one download may break off.
const RESUMPTIONS: usize = 5;

pub(crate) async fn open(store: GatewayStore, path: &Path, options: GetOptions) -> Result<GetResult> {
    let request = GetRequest {
        path: path.to_string(),
        conditions: Some(conditions(&options)),
        range: options.range.map(byte_range),
        version: options.version,
    };
    let (header, content) = begin(&store, &request).await?;
    let range = header.start..header.end;
    let meta = read_meta(header.meta.ok_or_else(|| malformed("content without metadata"))?)?;
    let download = Download {
        store,
        request,
        etag: meta.e_tag.clone(),
        content,
        rest: range.clone(),
        resumptions: RESUMPTIONS,
    };
    Ok(GetResult {
        payload: GetResultPayload::Stream(download.into_stream()),
        attributes: read_attributes(header.attributes),
        meta,
        range,
    })
}

/// Makes the call and waits for the header, again and again while the gateway is away.
async fn begin(store: &GatewayStore, request: &GetRequest) -> Result<(GetHeader, Streaming<GetResponse>)> {
    let answer = store.retries.repeat(|| {
        let (mut client, request) = (store.client(), request.clone());
        store.retries.in_time(async move {
            let mut content = client.get(request).await?.into_inner();
            Ok((content.message().await?, content))
        })
    });
    match answer.await.map_err(|status| from_status(status, &request.path))? {
        (
            Some(GetResponse {
                part: Some(Part::Header(header)),
            }),
            content,
        ) => Ok((header, content)),
        _ => Err(malformed("content without a header")),
    }
}

/// A range as a message holds it.
fn byte_range(range: GetRange) -> proto::ByteRange {
    let range = match range {
        GetRange::Bounded(Range { start, end }) => byte_range::Range::Bounded(byte_range::Bounded { start, end }),
        GetRange::Offset(offset) => byte_range::Range::Offset(offset),
        GetRange::Suffix(suffix) => byte_range::Range::Suffix(suffix),
    };
    proto::ByteRange { range: Some(range) }
}

/// Content on its way.
struct Download {
    store: GatewayStore,
    request: GetRequest,
    /// Without one the object may change between two calls unnoticed, so the download is then not resumed.
    etag: Option<String>,
    content: Streaming<GetResponse>,
    /// What is still to come.
    rest: Range<u64>,
    resumptions: usize,
}

impl Download {
    fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        futures::stream::try_unfold(self, |mut download| async move {
            Ok(download.next().await?.map(|bytes| (bytes, download)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.store.retries.in_time(self.content.message()).await {
                // The end is waited for rather than cut off, and all that matters is here when it fails.
                Ok(None) | Err(_) if self.rest.is_empty() => return Ok(None),
                Ok(Some(GetResponse {
                    part: Some(Part::Data(bytes)),
                })) => {
                    self.rest.start += bytes.len() as u64;
                    if self.rest.start > self.rest.end {
                        return Err(malformed("more content than it had announced"));
                    }
                    return Ok(Some(bytes));
                }
                Ok(Some(_)) => return Err(malformed("something else than content")),
                Ok(None) => return Err(malformed("less content than it had announced")),
                Err(status) if is_connection_failure(&status) && self.resumptions > 0 && self.etag.is_some() => {
                    tracing::debug!(%status, path = self.request.path, "resuming a download");
                    self.resume().await?;
                }
                Err(status) => return Err(from_status(status, &self.request.path)),
            }
        }
    }

    async fn resume(&mut self) -> Result<()> {
        self.resumptions -= 1;
        self.request.range = Some(byte_range(GetRange::Bounded(self.rest.clone())));
        // The object that was begun, or none.
        self.request.conditions = Some(proto::GetConditions {
            if_match: self.etag.clone(),
            ..Default::default()
        });
        let (header, content) = begin(&self.store, &self.request).await?;
        if (header.start, header.end) != (self.rest.start, self.rest.end) {
            return Err(malformed("another part of the object than was asked for"));
        }
        self.content = content;
        Ok(())
    }
}

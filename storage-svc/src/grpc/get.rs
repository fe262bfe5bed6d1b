//! Reading: metadata, and content as a stream.

use fedcost_proto::storage::v1::{GetHeader, GetRequest, GetResponse, HeadRequest, HeadResponse, get_response::Part};
use futures::StreamExt;
use object_gateway::wire;
use object_store::{GetOptions, ObjectStoreExt};
use service_kit::Identity;
use tonic::Status;

use super::{BoxStream, STORE_STALL, StorageHandlers, convert, object_path};
use crate::{error::StorageError, path::ObjectPath, policy::Operation};

impl StorageHandlers {
    pub(super) async fn read_head(
        &self,
        caller: &Identity,
        request: HeadRequest,
    ) -> Result<HeadResponse, StorageError> {
        let path = object_path("path", &request.path)?;
        let options = convert::get_options(None, request.conditions, request.version)?.with_head(true);
        self.authorise(caller, Operation::Read, &path)?;
        let result = self.store.objects.get_opts(path.as_path(), options).await;
        let result = result.map_err(|error| self.store_error(error, &path))?;
        Ok(HeadResponse {
            attributes: convert::attributes(&result.attributes),
            meta: Some(convert::meta(request.path, result.meta)),
        })
    }

    pub(super) async fn read_content(
        &self,
        caller: &Identity,
        request: GetRequest,
    ) -> Result<BoxStream<GetResponse>, StorageError> {
        let path = object_path("path", &request.path)?;
        let options = convert::get_options(request.range, request.conditions, request.version)?;
        self.authorise(caller, Operation::Read, &path)?;
        let slot = self.limiter.begin_read()?;
        let result = match self.store.objects.get_opts(path.as_path(), options.clone()).await {
            Ok(result) => result,
            Err(error) => return Err(self.explain(error, &path, &options).await),
        };
        let header = Part::Header(GetHeader {
            attributes: convert::attributes(&result.attributes),
            start: result.range.start,
            end: result.range.end,
            meta: Some(convert::meta(request.path, result.meta.clone())),
        });
        let handlers = self.clone();
        let pieces = tokio_stream::StreamExt::timeout(result.into_stream(), STORE_STALL).flat_map(move |bytes| {
            let pieces = match bytes {
                Ok(Ok(bytes)) => {
                    handlers.metrics.read(bytes.len() as u64);
                    wire::pieces(bytes)
                        .map(|piece| Ok(message(Part::Data(piece))))
                        .collect()
                }
                Ok(Err(error)) => vec![Err(Status::from(handlers.store_error(error, &path)))],
                Err(_) => {
                    let detail = "the store sent nothing for too long".to_owned();
                    vec![Err(Status::from(StorageError::StoreUnavailable { detail }))]
                }
            };
            futures::stream::iter(pieces)
        });
        let answer = futures::stream::iter([Ok(message(header))]).chain(pieces);
        Ok(Box::pin(slot.guard(answer)))
    }

    /// Finds out whether a failed read asked for bytes that are not there: S3 answers that like any bad request.
    async fn explain(&self, error: object_store::Error, path: &ObjectPath, options: &GetOptions) -> StorageError {
        let error = self.store_error(error, path);
        let (StorageError::StoreUnavailable { .. }, Some(range)) = (&error, &options.range) else {
            return error;
        };
        match self.store.objects.head(path.as_path()).await {
            Ok(meta) => match range.as_range(meta.size) {
                Ok(_) => error,
                Err(reason) => StorageError::Range {
                    path: path.to_string(),
                    reason: reason.to_string(),
                },
            },
            Err(_) => error,
        }
    }
}

fn message(part: Part) -> GetResponse {
    GetResponse { part: Some(part) }
}

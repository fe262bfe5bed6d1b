//! Listings, in pages.

use fedcost_proto::storage::v1::{ListRequest, ListResponse};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use service_kit::Identity;

use super::{BoxStream, STORE_STALL, StorageHandlers, convert, folder_path};
use crate::{error::StorageError, path::FolderPath, store::prefix_of};

/// Most objects in a page.
const PAGE: usize = 1000;

impl StorageHandlers {
    pub(super) async fn list_pages(
        &self,
        caller: &Identity,
        request: &ListRequest,
    ) -> Result<BoxStream<ListResponse>, StorageError> {
        let folder = folder_path("prefix", &request.prefix)?;
        let offset = folder_path("offset", &request.offset)?;
        self.authorise_listing(caller, &folder)?;
        let slot = self.limiter.begin_read()?;
        if request.delimited {
            return Ok(Box::pin(slot.guard(self.list_folder(&folder, &offset).await?)));
        }
        let prefix = prefix_of(folder.as_path());
        let objects = match prefix_of(offset.as_path()) {
            None => self.store.objects.list(prefix),
            Some(offset) => self.store.objects.list_with_offset(prefix, offset),
        };
        let handlers = self.clone();
        let pages = objects
            .try_chunks(PAGE)
            .map_err(move |error| handlers.listing_error(error.1, &folder))
            .map_ok(|objects| page(objects, Vec::new()));
        let pages = tokio_stream::StreamExt::timeout(pages, STORE_STALL);
        let answer = pages.map(|page| Ok(page.map_err(|_| stalled())??));
        Ok(Box::pin(slot.guard(answer)))
    }

    async fn list_folder(
        &self,
        folder: &FolderPath,
        offset: &FolderPath,
    ) -> Result<BoxStream<ListResponse>, StorageError> {
        let listing = self.store.objects.list_with_delimiter(prefix_of(folder.as_path()));
        let mut listing = tokio::time::timeout(STORE_STALL, listing)
            .await
            .map_err(|_| stalled())?
            .map_err(|error| self.listing_error(error, folder))?;
        if let Some(offset) = prefix_of(offset.as_path()) {
            listing.objects.retain(|object| object.location > *offset);
            listing.common_prefixes.retain(|prefix| prefix > offset);
        }
        let mut objects = listing.objects.into_iter().peekable();
        let mut prefixes = listing.common_prefixes.into_iter().map(String::from).peekable();
        let pages = std::iter::from_fn(move || {
            (objects.peek().is_some() || prefixes.peek().is_some()).then(|| {
                Ok(page(
                    objects.by_ref().take(PAGE).collect(),
                    prefixes.by_ref().take(PAGE).collect(),
                ))
            })
        });
        Ok(Box::pin(futures::stream::iter(pages)))
    }

    fn listing_error(&self, error: object_store::Error, folder: &FolderPath) -> StorageError {
        match StorageError::from_store(error, folder.as_path().as_ref(), &self.store.scrubber) {
            // A folder without objects is an empty listing; what is missing here is the bucket.
            StorageError::NotFound { .. } => StorageError::StoreUnavailable {
                detail: "the bucket does not exist".to_owned(),
            },
            error => error,
        }
    }
}

fn page(objects: Vec<ObjectMeta>, common_prefixes: Vec<String>) -> ListResponse {
    let objects = objects
        .into_iter()
        .map(|meta| convert::meta(meta.location.to_string(), meta))
        .collect();
    ListResponse {
        objects,
        common_prefixes,
    }
}

fn stalled() -> StorageError {
    StorageError::StoreUnavailable {
        detail: "the store sent nothing for too long".to_owned(),
    }
}

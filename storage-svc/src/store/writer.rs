//! One write, whose bytes come piece by piece.

use std::collections::VecDeque;

use bytes::Bytes;
use object_store::{
    Attributes, MultipartUpload, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use tokio::task::JoinSet;

use super::Store;

/// A write that is not visible yet. Dropped before the commit, it leaves nothing behind.
pub(crate) struct ObjectWriter {
    store: Store,
    path: Path,
    mode: PutMode,
    attributes: Attributes,
    /// What was not sent yet, in the pieces that it came in.
    pieces: VecDeque<Bytes>,
    buffered: usize,
    written: u64,
    /// Present once the write is too large for one request.
    upload: Option<Box<dyn MultipartUpload>>,
    /// Parts on their way. Tasks, so that they proceed while the next piece is awaited.
    parts: JoinSet<Result<()>>,
}

impl ObjectWriter {
    pub(crate) fn new(store: Store, path: Path, mode: PutMode, attributes: Attributes) -> Self {
        Self {
            store,
            path,
            mode,
            attributes,
            pieces: VecDeque::new(),
            buffered: 0,
            written: 0,
            upload: None,
            parts: JoinSet::new(),
        }
    }

    /// Bytes that were given so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes in memory, at most: what waits, and what is on its way.
    pub(crate) fn held(&self) -> usize {
        self.buffered + self.parts.len() * self.store.uploads.part
    }

    /// Takes the next bytes. Waits when too many parts are on their way, so memory stays bounded.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.written += bytes.len() as u64;
        self.buffered += bytes.len();
        self.pieces.push_back(bytes);
        if self.upload.is_none() && self.buffered > self.store.uploads.single(&self.mode) {
            let mut options = PutMultipartOptions {
                attributes: self.attributes.clone(),
                ..Default::default()
            };
            // A store that can honour it does; one that cannot refuses.
            options.extensions.insert(self.mode.clone());
            self.upload = Some(self.store.objects.put_multipart_opts(&self.path, options).await?);
        }
        while self.upload.is_some() && self.buffered >= self.store.uploads.part {
            self.send_part(self.store.uploads.part).await?;
        }
        Ok(())
    }

    /// Makes the object visible.
    pub(crate) async fn commit(mut self) -> Result<PutResult> {
        if self.upload.is_some() && self.buffered > 0 {
            self.send_part(self.buffered).await?;
        }
        while let Some(sent) = self.parts.join_next().await {
            sent??;
        }
        // Kept in its place until it is complete, so that a failure aborts it.
        if let Some(upload) = &mut self.upload {
            let result = upload.complete().await?;
            self.upload = None;
            return Ok(result);
        }
        let payload = self.take(self.buffered);
        let attributes = std::mem::take(&mut self.attributes);
        let options = PutOptions {
            mode: self.mode.clone(),
            attributes,
            ..Default::default()
        };
        self.store.objects.put_opts(&self.path, payload, options).await
    }

    async fn send_part(&mut self, size: usize) -> Result<()> {
        while self.parts.len() >= self.store.uploads.parallel {
            if let Some(sent) = self.parts.join_next().await {
                sent??;
            }
        }
        let payload = self.take(size);
        if let Some(upload) = &mut self.upload {
            self.parts.spawn(upload.put_part(payload));
        }
        Ok(())
    }

    /// Takes bytes off the front without copying them. Parts are of equal size, which some servers demand.
    fn take(&mut self, size: usize) -> PutPayload {
        let mut missing = size;
        let mut taken = Vec::new();
        while missing > 0
            && let Some(mut piece) = self.pieces.pop_front()
        {
            if piece.len() > missing {
                self.pieces.push_front(piece.split_off(missing));
            }
            missing -= piece.len();
            taken.push(piece);
        }
        self.buffered -= size - missing;
        taken.into_iter().collect()
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        let (path, scrubber) = (self.path.clone(), self.store.scrubber.clone());
        let mut parts = std::mem::take(&mut self.parts);
        // The parts that a bucket holds for an upload cost money until it is aborted.
        tokio::spawn(async move {
            parts.shutdown().await;
            if let Err(error) = upload.abort().await {
                let error = scrubber.scrub(&error.to_string());
                tracing::warn!(%path, error, "could not abort an upload; the bucket may hold its parts");
            }
        });
    }
}

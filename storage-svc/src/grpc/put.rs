//! Writing: a stream of pieces that becomes an object with its last message.

use fedcost_proto::storage::v1::{PutHeader, PutRequest, PutResponse, put_request::Part};
use object_gateway::checksum::{Sha256, Sha256Hasher};
use object_store::PutResult;
use service_kit::Identity;
use tonic::Streaming;

use super::{StorageHandlers, convert, object_path};
use crate::{error::StorageError, limiter::Limit, policy::Operation, store::writer::ObjectWriter, turns::Outcome};

impl StorageHandlers {
    pub(super) async fn write(
        &self,
        caller: &Identity,
        mut stream: Streaming<PutRequest>,
    ) -> Result<PutResponse, StorageError> {
        let Part::Header(header) = self.next_part(&mut stream).await? else {
            return Err(StorageError::field("part", "the first message must hold `header`"));
        };
        tracing::Span::current().record("path", &header.path);
        let path = object_path("header.path", &header.path)?;
        let mode = convert::mode(&header)?;
        let expected = convert::checksum(&header)?;
        let PutHeader {
            attributes, attempt, ..
        } = header;
        let attempt = convert::attempt("header.attempt.change", attempt)?;
        let attributes = convert::read_attributes(attributes)?;
        self.authorise(caller, Operation::Write, &path)?;
        let mut slot = self.limiter.begin_write()?;

        let mut writer = ObjectWriter::new(self.store.clone(), path.as_path().clone(), mode, attributes);
        // Only for those who ask: it costs a good part of a core at full speed.
        let mut hasher = expected.map(|_| Sha256Hasher::default());
        let size = loop {
            match self.next_part(&mut stream).await? {
                Part::Data(bytes) => {
                    if let Some(hasher) = &mut hasher {
                        hasher.update(&bytes);
                    }
                    let taken = writer.write(bytes).await;
                    taken.map_err(|error| self.store_error(error, &path))?;
                    slot.hold(writer.held());
                }
                Part::Commit(commit) => break commit.size,
                Part::Header(_) => return Err(StorageError::field("part", "only the first message holds `header`")),
            }
        };
        let written = writer.written();
        if size != written {
            return Err(StorageError::field(
                "commit.size",
                format!("is {size}, but {written} bytes arrived"),
            ));
        }
        let sha256 = hasher.map(Sha256Hasher::finish);
        if sha256 != expected {
            let path = path.to_string();
            return Err(StorageError::Damaged { path });
        }
        let commit = async move {
            let PutResult { e_tag, version } = writer.commit().await?;
            Ok(Outcome { e_tag, version })
        };
        let result = self.change(&path, attempt, commit).await?;
        let result = result.map_err(|error| self.store_error(error, &path))?;
        self.metrics.written(written);
        Ok(PutResponse {
            etag: result.e_tag,
            version: result.version,
            sha256: sha256.map(Sha256::to_message),
        })
    }

    async fn next_part(&self, stream: &mut Streaming<PutRequest>) -> Result<Part, StorageError> {
        match tokio::time::timeout(self.limiter.write_idle(), stream.message()).await {
            Ok(Ok(Some(PutRequest { part: Some(part) }))) => Ok(part),
            Ok(Ok(Some(PutRequest { part: None }))) => Err(StorageError::field("part", "the message is empty")),
            Ok(Ok(None)) => Err(StorageError::CutShort),
            Ok(Err(status)) => {
                tracing::debug!(%status, "a write broke off");
                Err(StorageError::CutShort)
            }
            Err(_) => {
                self.limiter.count(Limit::WriteIdle);
                Err(StorageError::CallerStalled)
            }
        }
    }
}

//! Whether the bucket is reached, and can do what the lake rests on.

use futures::TryStreamExt;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, Result, UpdateVersion, path::Path};
use uuid::Uuid;

use super::Store;

/// Why the bucket cannot be used, now or ever. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It does not answer as it should. That may change.
    #[error("{action}: {reason}")]
    Away {
        /// What was tried.
        action: &'static str,
        /// What the store said.
        reason: String,
    },
    /// It lacks something. That will not change.
    #[error(
        "the store {0}. Two services could then overwrite each other's commits, so it cannot be used; upgrade it, take \
         another store, or, if this storage-svc is the only one that writes to the bucket, set `conditional_writes: \
         gateway`"
    )]
    Lacking(&'static str),
}

/// What came of a write that had to be refused.
enum Refusal {
    AsItShould,
    Lacking(&'static str),
    Failed(Error),
}

impl Store {
    /// Asks the bucket for one object's name and, unless it is known, whether it keeps the conditions of writes. For
    /// that an object is written below `derived/`, where commits go, and removed again.
    ///
    /// # Errors
    /// A [`ProbeError`].
    pub(crate) async fn probe(&self) -> Result<(), ProbeError> {
        let away = |action, error: Error| ProbeError::Away {
            action,
            reason: self.scrubber.scrub(&error.to_string()),
        };
        let listed = self.objects.list(None).try_next().await;
        listed.map_err(|error| away("cannot list the bucket", error))?;
        if !self.conditions_unknown {
            return Ok(());
        }
        // A name of its own, because several gateways may start at once.
        let path = Path::from(format!("derived/.fedcost-probe-{}", Uuid::new_v4()));
        let found = try_conditions(self.objects.as_ref(), &path).await;
        if let Err(error) = self.objects.delete(&path).await
            && !matches!(error, Error::NotFound { .. })
        {
            let error = self.scrubber.scrub(&error.to_string());
            tracing::warn!(%path, error, "could not remove the object that the bucket was tried out with");
        }
        match found {
            Refusal::AsItShould => Ok(()),
            Refusal::Lacking(what) => Err(ProbeError::Lacking(what)),
            Refusal::Failed(error) => Err(away("cannot try out conditional writes", error)),
        }
    }
}

/// Whether the library or the server says that there is no such thing.
fn is_not_implemented(error: &Error) -> bool {
    match error {
        Error::NotImplemented { .. } | Error::NotSupported { .. } => true,
        // What servers of S3 answer to a header that they know nothing of.
        Error::Generic { .. } => error.to_string().contains("<Code>NotImplemented</Code>"),
        _ => false,
    }
}

async fn try_conditions(objects: &dyn ObjectStore, path: &Path) -> Refusal {
    let put = async |text: &'static str, mode: PutMode| objects.put_opts(path, text.into(), mode.into()).await;
    let first = match put("1", PutMode::Create).await {
        Ok(first) => first,
        Err(error) if is_not_implemented(&error) => {
            return Refusal::Lacking("cannot write an object only if there is none (If-None-Match)");
        }
        Err(error) => return Refusal::Failed(error),
    };
    match put("2", PutMode::Create).await {
        Err(Error::AlreadyExists { .. }) => {}
        Ok(_) => return Refusal::Lacking("overwrites an object that was to be written only if there is none"),
        Err(error) => return Refusal::Failed(error),
    }
    let first: UpdateVersion = first.into();
    let second = match put("3", PutMode::Update(first.clone())).await {
        Ok(second) => second,
        Err(error) if is_not_implemented(&error) => {
            return Refusal::Lacking("cannot write an object only if it has not changed (If-Match)");
        }
        Err(Error::Precondition { .. }) => {
            return Refusal::Lacking("does not know its own entity tag again (If-Match)");
        }
        Err(error) => return Refusal::Failed(error),
    };
    let unchanged = UpdateVersion::from(second) == first;
    match put("4", PutMode::Update(first)).await {
        Err(Error::Precondition { .. }) => Refusal::AsItShould,
        Ok(_) if unchanged => Refusal::Lacking("gives different contents the same entity tag"),
        Ok(_) => Refusal::Lacking("overwrites an object that has changed, though it was told not to (If-Match)"),
        Err(error) => Refusal::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt, sync::Arc};

    use async_trait::async_trait;
    use futures::{StreamExt, stream::BoxStream};
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
        PutPayload, PutResult, memory::InMemory,
    };

    use super::*;
    use crate::{secret::Scrubber, store::UploadSizes};

    /// What a server makes of conditions.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Server {
        Good,
        IgnoresCreate,
        IgnoresMatch,
        HasNoMatch,
        SaysNotImplemented,
        IsAway,
    }

    #[derive(Debug)]
    struct Conditions {
        server: Server,
        inner: InMemory,
    }

    impl fmt::Display for Conditions {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("Conditions")
        }
    }

    #[async_trait]
    impl ObjectStore for Conditions {
        async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
            match (&options.mode, self.server) {
                (PutMode::Create, Server::IgnoresCreate) | (PutMode::Update(_), Server::IgnoresMatch) => {
                    options.mode = PutMode::Overwrite;
                }
                (PutMode::Update(_), Server::HasNoMatch) => {
                    return Err(Error::NotImplemented {
                        operation: "if-match".to_owned(),
                        implementer: "test".to_owned(),
                    });
                }
                (PutMode::Create, Server::SaysNotImplemented) => {
                    return Err(Error::Generic {
                        store: "test",
                        source: "501: <Error><Code>NotImplemented</Code></Error>".into(),
                    });
                }
                (_, Server::IsAway) => {
                    return Err(Error::Generic {
                        store: "test",
                        source: "connection refused".into(),
                    });
                }
                _ => {}
            }
            self.inner.put_opts(path, payload, options).await
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

    #[tokio::test]
    async fn a_store_without_conditions_is_told_from_one_that_is_away() {
        for (server, expected) in [
            (Server::Good, None),
            (
                Server::IgnoresCreate,
                Some("overwrites an object that was to be written only if"),
            ),
            (Server::IgnoresMatch, Some("overwrites an object that has changed")),
            (
                Server::HasNoMatch,
                Some("cannot write an object only if it has not changed"),
            ),
            (
                Server::SaysNotImplemented,
                Some("cannot write an object only if there is none"),
            ),
            (Server::IsAway, Some("cannot try out conditional writes: ")),
        ] {
            let inner = InMemory::new();
            let store = Store {
                objects: Arc::new(Conditions { server, inner }),
                uploads: UploadSizes::remote(8 * 1024 * 1024),
                scrubber: Scrubber::default(),
                conditions_unknown: true,
            };
            let probed = store.probe().await;
            assert!(
                store.objects.list(None).next().await.is_none(),
                "{server:?} holds something"
            );
            let lacking = matches!(probed, Err(ProbeError::Lacking(_)));
            let is_final = !matches!(server, Server::Good | Server::IsAway);
            assert_eq!(lacking, is_final, "{server:?}: {probed:?}");
            match (probed, expected) {
                (Ok(()), None) => {}
                (Err(error), Some(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (probed, _) => panic!("{server:?}: {probed:?}"),
            }
        }
    }
}

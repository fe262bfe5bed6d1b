//! Writes: a header, the content in pieces, a commit.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use fedcost_proto::storage::v1::{self as proto, PutCommit, PutHeader, PutRequest, PutResponse, put_request::Part};
use futures::{
    FutureExt,
    future::{BoxFuture, Either, Shared, select},
};
use object_store::{
    Attributes, Error, MultipartUpload, PutMode, PutPayload, PutResult, Result, UploadPart, path::Path,
};
use tokio::sync::{Mutex, mpsc, oneshot};
use tonic::Status;

use crate::{
    Answer, GatewayStore,
    error::{from_status, malformed},
    wire,
};

/// Most bytes of an upload that are kept to make its call again. More than the gateway takes in before it has begun.
const REPEATABLE_BYTES: usize = 4 * 1024 * 1024;

pub(crate) fn header(path: &Path, mode: PutMode, attributes: &Attributes) -> Result<PutHeader> {
    let (mode, present) = match mode {
        PutMode::Overwrite => (proto::PutMode::Overwrite, None),
        PutMode::Create => (proto::PutMode::Create, None),
        PutMode::Update(present) => (proto::PutMode::IfMatch, Some(present)),
    };
    let (if_match, if_version_match) = present
        .map(|present| (present.e_tag, present.version))
        .unwrap_or_default();
    let mut named = Vec::with_capacity(attributes.len());
    for (attribute, value) in attributes {
        let Some(name) = wire::attribute_name(attribute) else {
            let source = format!("the storage gateway knows no attribute {attribute:?}").into();
            return Err(Error::NotSupported { source });
        };
        named.push(proto::Attribute {
            name: name.into_owned(),
            value: value.as_ref().to_owned(),
        });
    }
    Ok(PutHeader {
        path: path.to_string(),
        mode: mode.into(),
        if_match,
        if_version_match,
        attributes: named,
        sha256: None,
        attempt: None,
    })
}

/// All messages of a write that is at hand as a whole.
pub(crate) fn messages(header: PutHeader, payload: PutPayload) -> Vec<PutRequest> {
    let size = payload.content_length() as u64;
    let content = payload.into_iter().flat_map(wire::pieces).map(Part::Data);
    let parts = std::iter::once(Part::Header(header))
        .chain(content)
        .chain([Part::Commit(PutCommit { size })]);
    parts.map(message).collect()
}

fn message(part: Part) -> PutRequest {
    PutRequest { part: Some(part) }
}

pub(crate) fn written(response: PutResponse) -> PutResult {
    PutResult {
        e_tag: response.etag,
        version: response.version,
    }
}

/// What the owner of an upload asks for, in the order of the calls.
enum Step {
    /// Send these bytes and say when the connection has taken them.
    Part(PutPayload, oneshot::Sender<()>),
    Commit,
}

/// An upload in parts: one call, whose messages are made while the parts come.
pub(crate) struct GatewayUpload {
    path: Path,
    /// None once the upload is over. Unbounded, because each part's future holds its caller back instead.
    steps: Option<mpsc::UnboundedSender<Step>>,
    /// The call's answer, for whoever needs it: a part that could not be sent, or the end.
    answer: Shared<BoxFuture<'static, Answer<PutResponse>>>,
}

impl GatewayUpload {
    pub(crate) fn start(store: GatewayStore, path: Path, header: PutHeader) -> Self {
        let (steps, receiver) = mpsc::unbounded_channel();
        let outgoing = Outgoing::new(header, receiver);
        let repeatable = Arc::clone(&outgoing.repeatable);
        let outgoing = Arc::new(Mutex::new(outgoing));
        // A task, so that the upload proceeds whichever of its futures is polled.
        let call = tokio::spawn(async move {
            let put = || {
                let (mut client, outgoing) = (store.client(), Arc::clone(&outgoing));
                async move {
                    let mut outgoing = outgoing.lock_owned().await;
                    outgoing.begin();
                    let messages = futures::stream::unfold(outgoing, |mut outgoing| async move {
                        let next = outgoing.next().await?;
                        Some((next, outgoing))
                    });
                    Ok(client.put(messages).await?.into_inner())
                }
            };
            let repeatable = || repeatable.load(Ordering::Relaxed);
            store.retries.repeat_unbegun_if(put, repeatable).await
        });
        let answer = call.map(|ended| ended.unwrap_or_else(|failed| Err(Status::internal(failed.to_string()))));
        Self {
            path,
            steps: Some(steps),
            answer: answer.boxed().shared(),
        }
    }

    fn over(&self) -> Error {
        malformed(&format!("nothing: the upload of `{}` is already over", self.path))
    }
}

/// The messages of an upload. They end without a commit when the owner drops the upload before it asks for one.
struct Outgoing {
    steps: mpsc::UnboundedReceiver<Step>,
    /// What goes before the next step is taken.
    ready: VecDeque<PutRequest>,
    /// Told when the part that is being sent is gone.
    sent: Option<oneshot::Sender<()>>,
    size: u64,
    /// What is gone, in case that the gateway has not begun with it and the call is made again.
    gone: Vec<PutRequest>,
    gone_bytes: usize,
    /// Whether that is all that is gone.
    repeatable: Arc<AtomicBool>,
}

impl Outgoing {
    fn new(header: PutHeader, steps: mpsc::UnboundedReceiver<Step>) -> Self {
        Self {
            steps,
            ready: VecDeque::from([message(Part::Header(header))]),
            sent: None,
            size: 0,
            gone: Vec::new(),
            gone_bytes: 0,
            repeatable: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Starts a call, with what has gone out in an earlier one.
    fn begin(&mut self) {
        self.gone_bytes = 0;
        let mut ready: VecDeque<_> = std::mem::take(&mut self.gone).into();
        ready.append(&mut self.ready);
        self.ready = ready;
    }

    async fn next(&mut self) -> Option<PutRequest> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                self.remember(&next);
                return Some(next);
            }
            if let Some(sent) = self.sent.take() {
                // Nobody may be waiting any more.
                let _unheard = sent.send(());
            }
            match self.steps.recv().await? {
                Step::Part(payload, sent) => {
                    self.size += payload.content_length() as u64;
                    let pieces = payload.into_iter().flat_map(wire::pieces);
                    self.ready.extend(pieces.map(|piece| message(Part::Data(piece))));
                    self.sent = Some(sent);
                }
                Step::Commit => {
                    let size = self.size;
                    self.ready.push_back(message(Part::Commit(PutCommit { size })));
                    // What is asked for after the commit comes too late.
                    self.steps.close();
                }
            }
        }
    }

    fn remember(&mut self, message: &PutRequest) {
        if !self.repeatable.load(Ordering::Relaxed) {
            return;
        }
        if let Some(Part::Data(bytes)) = &message.part {
            self.gone_bytes += bytes.len();
        }
        if self.gone_bytes > REPEATABLE_BYTES {
            self.repeatable.store(false, Ordering::Relaxed);
            self.gone = Vec::new();
        } else {
            self.gone.push(message.clone());
        }
    }
}

#[async_trait]
impl MultipartUpload for GatewayUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let (sent, taken) = oneshot::channel();
        let Some(steps) = &self.steps else {
            return futures::future::ready(Err(self.over())).boxed();
        };
        // The wait below notices a call that has ended.
        let _ended = steps.send(Step::Part(payload, sent));
        let (answer, path) = (self.answer.clone(), self.path.clone());
        async move {
            // A step that is sent as the call ends may stay in the channel, so that nobody drops its sender.
            let answer = match select(taken, answer).await {
                Either::Left((Ok(()), _)) => return Ok(()),
                Either::Left((Err(_), answer)) => answer.await,
                Either::Right((answer, _)) => answer,
            };
            match answer {
                Err(status) => Err(from_status(status, path.as_ref())),
                Ok(_) => Err(malformed("an answer before the end of an upload")),
            }
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let steps = self.steps.take().ok_or_else(|| self.over())?;
        // As above: a call that has ended has its answer ready.
        let _ended = steps.send(Step::Commit);
        let response = self
            .answer
            .clone()
            .await
            .map_err(|status| from_status(status, self.path.as_ref()))?;
        Ok(written(response))
    }

    async fn abort(&mut self) -> Result<()> {
        drop(self.steps.take().ok_or_else(|| self.over())?);
        // Whatever the answer is, there was no commit. It is waited for so that the gateway has tidied up by then.
        let _no_commit = self.answer.clone().await;
        Ok(())
    }
}

impl fmt::Debug for GatewayUpload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GatewayUpload")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it happens to one that is sent in the moment in which the call ends.
    #[tokio::test]
    async fn a_part_that_nobody_takes_ends_with_the_call() {
        let (steps, _untaken) = mpsc::unbounded_channel();
        let answer = async { Err(Status::permission_denied("not yours")) };
        let mut upload = GatewayUpload {
            path: "federated/a/part".into(),
            steps: Some(steps),
            answer: answer.boxed().shared(),
        };
        let refused = upload.put_part("content".into()).await.unwrap_err();
        assert!(matches!(refused, Error::PermissionDenied { .. }), "{refused:?}");
    }
}

//! What callers may use up together, and each cluster alone.

use std::{
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures::Stream;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use prometheus_client::encoding::EncodeLabelValue;
use service_kit::Identity;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};

use crate::{config::Limits, error::StorageError, metrics::StorageMetrics};

/// Which limit a caller has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Limit {
    /// Writes at the same time.
    Writes,
    /// Listings and downloads at the same time.
    Reads,
    /// Bytes of writes in memory.
    WriteBytes,
    /// A cluster's calls in a second.
    ClusterRate,
    /// A caller that does not read what it asked for.
    ReadIdle,
    /// A caller that does not send what it announced.
    WriteIdle,
}

/// Keeps the limits. Clones share what is in use.
#[derive(Debug, Clone)]
pub(crate) struct Limiter {
    limits: Limits,
    writes: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    held: Arc<AtomicUsize>,
    clusters: Option<Arc<DefaultKeyedRateLimiter<String>>>,
    metrics: StorageMetrics,
}

impl Limiter {
    pub(crate) fn new(limits: Limits, metrics: StorageMetrics) -> Self {
        let rate = NonZeroU32::new(limits.cluster_calls_per_second);
        Self {
            writes: Arc::new(Semaphore::new(limits.concurrent_writes)),
            reads: Arc::new(Semaphore::new(limits.concurrent_reads)),
            held: Arc::default(),
            // A burst of a second's worth, as a cycle of uploads begins with one.
            clusters: rate.map(|rate| Arc::new(RateLimiter::keyed(Quota::per_second(rate)))),
            limits,
            metrics,
        }
    }

    /// Lets a call begin, if the caller has not made too many. Services are as many as we started, and the answers that
    /// people wait for depend on them, so only clusters are counted.
    pub(crate) fn admit(&self, caller: &Identity) -> Result<(), StorageError> {
        if let (Some(limiter), Some(id)) = (&self.clusters, caller.cluster_id())
            && limiter.check_key(&id.to_owned()).is_err()
        {
            return Err(self.busy(Limit::ClusterRate));
        }
        Ok(())
    }

    /// Lets a write begin. It is refused rather than kept waiting, so that it is the caller that waits.
    pub(crate) fn begin_write(&self) -> Result<WriteSlot, StorageError> {
        // Writes under way are not stopped half way for want of memory: each is bounded by the store's part sizes.
        if self.held.load(Ordering::Relaxed) >= self.limits.write_bytes {
            return Err(self.busy(Limit::WriteBytes));
        }
        let permit = Arc::clone(&self.writes).try_acquire_owned();
        let permit = permit.map_err(|_| self.busy(Limit::Writes))?;
        self.metrics.write_begun();
        Ok(WriteSlot {
            _permit: permit,
            held: Arc::clone(&self.held),
            own: 0,
            metrics: self.metrics.clone(),
        })
    }

    /// Lets a listing or a download begin.
    pub(crate) fn begin_read(&self) -> Result<ReadSlot, StorageError> {
        let permit = Arc::clone(&self.reads).try_acquire_owned();
        let permit = permit.map_err(|_| self.busy(Limit::Reads))?;
        self.metrics.read_begun();
        Ok(ReadSlot {
            _permit: permit,
            limiter: self.clone(),
        })
    }

    /// How long a write may be without its next piece.
    pub(crate) fn write_idle(&self) -> Duration {
        self.limits.write_idle
    }

    /// Counts a caller that was let go, or not let in.
    pub(crate) fn count(&self, limit: Limit) {
        self.metrics.limited(limit);
    }

    fn busy(&self, limit: Limit) -> StorageError {
        self.count(limit);
        StorageError::Busy
    }
}

/// A write under way.
#[derive(Debug)]
pub(crate) struct WriteSlot {
    _permit: OwnedSemaphorePermit,
    held: Arc<AtomicUsize>,
    own: usize,
    metrics: StorageMetrics,
}

impl WriteSlot {
    /// Notes how many bytes of the write are in memory now.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.held.fetch_sub(self.own, Ordering::Relaxed);
        self.metrics.hold(self.own, bytes);
        self.own = bytes;
    }
}

impl Drop for WriteSlot {
    fn drop(&mut self) {
        self.hold(0);
        self.metrics.write_ended();
    }
}

/// A listing or download under way.
#[derive(Debug)]
pub(crate) struct ReadSlot {
    _permit: OwnedSemaphorePermit,
    limiter: Limiter,
}

impl ReadSlot {
    /// Binds the slot to the answer. A caller that takes nothing of it for too long loses it, and the store's
    /// connection, the buffers and the slot are free again.
    pub(crate) fn guard<T>(self, answer: impl Stream<Item = Result<T, tonic::Status>> + Send + 'static) -> Guarded<T>
    where
        T: Send + 'static,
    {
        let limiter = self.limiter.clone();
        let idle = limiter.limits.read_idle;
        let shared = Arc::new(Mutex::new(Answer {
            stream: Some((Box::pin(answer), self)),
            reader_has_it: Some(Instant::now()),
        }));
        let watched = Arc::downgrade(&shared);
        let watch = tokio::spawn(async move {
            loop {
                tokio::time::sleep(idle / 2).await;
                let Some(shared) = watched.upgrade() else { return };
                let mut answer = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if answer.reader_has_it.is_some_and(|since| since.elapsed() >= idle) {
                    // Dropped after the lock is free, as it may take its time.
                    let gone = answer.stream.take();
                    drop(answer);
                    if gone.is_some() {
                        limiter.count(Limit::ReadIdle);
                    }
                    return;
                }
            }
        });
        Guarded {
            shared,
            watch: watch.abort_handle(),
        }
    }
}

impl Drop for ReadSlot {
    fn drop(&mut self) {
        self.limiter.metrics.read_ended();
    }
}

type Source<T> = Pin<Box<dyn Stream<Item = Result<T, tonic::Status>> + Send>>;

struct Answer<T> {
    /// None once the reader was given up.
    stream: Option<(Source<T>, ReadSlot)>,
    /// Since when it is the reader's turn. None while we wait for the store.
    reader_has_it: Option<Instant>,
}

/// An answer that a caller has to read.
pub(crate) struct Guarded<T> {
    shared: Arc<Mutex<Answer<T>>>,
    watch: AbortHandle,
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl<T> Stream for Guarded<T> {
    type Item = Result<T, tonic::Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut answer = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        answer.reader_has_it = None;
        let Some((stream, _slot)) = &mut answer.stream else {
            return Poll::Ready(Some(Err(StorageError::ReaderStalled.into())));
        };
        let next = ready!(stream.as_mut().poll_next(context));
        answer.reader_has_it = Some(Instant::now());
        Poll::Ready(next)
    }
}

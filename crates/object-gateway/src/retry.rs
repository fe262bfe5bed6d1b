//! Repeating calls while the gateway is away.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use fedcost_proto::storage::v1::Attempt;
use service_kit::client::{is_connection_failure, was_not_begun};
use tokio::time::timeout;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{Answer, error::reason_of, wire::reason};

/// Bytes that the slowest line carries in a second.
const SLOWEST_LINE: usize = 64 * 1024;

/// How often and how soon a call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Attempts after the first.
    pub attempts: usize,
    /// Wait before the first repetition; it doubles with each, and up to as much again is added at random.
    pub first_delay: Duration,
    /// Longest wait, before the random part.
    pub longest_delay: Duration,
    /// An attempt whose answer has not begun by then, or has not gone on, counts as lost. One that writes has the time
    /// besides that its content needs on a slow line. Uploads in parts are exempt.
    pub answer_within: Duration,
}

impl Default for Retries {
    /// Long enough for the gateway to restart: about ten seconds in all. An answer has the time for all that the gateway
    /// tries on a store that fails.
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(3),
            answer_within: Duration::from_secs(5 * 60),
        }
    }
}

impl Retries {
    /// Repeats a call that may take place twice.
    pub(crate) async fn repeat<T, F: Future<Output = Answer<T>>>(&self, call: impl FnMut() -> F) -> Answer<T> {
        self.repeat_when(call, |status| is_connection_failure(status) || is_unbegun(status))
            .await
    }

    /// As [`repeat`](Self::repeat), for a call that changes something: told which attempt it is, the gateway lets none
    /// take place after a later one.
    pub(crate) async fn repeat_change<T, F: Future<Output = Answer<T>>>(
        &self,
        mut call: impl FnMut(Attempt) -> F,
    ) -> Answer<T> {
        let change = Bytes::copy_from_slice(Uuid::new_v4().as_bytes());
        let mut numbers = 0..;
        self.repeat(|| {
            let number = numbers.next().unwrap_or_default();
            call(Attempt {
                change: change.clone(),
                number,
            })
        })
        .await
    }

    /// Repeats a call only if the gateway has not begun with it: it has said so, or the call did not reach it.
    pub(crate) async fn repeat_unbegun<T, F: Future<Output = Answer<T>>>(&self, call: impl FnMut() -> F) -> Answer<T> {
        self.repeat_when(call, is_unbegun).await
    }

    /// As [`repeat_unbegun`](Self::repeat_unbegun), as long as the call can be made again.
    pub(crate) async fn repeat_unbegun_if<T, F: Future<Output = Answer<T>>>(
        &self,
        call: impl FnMut() -> F,
        repeatable: impl Fn() -> bool,
    ) -> Answer<T> {
        self.repeat_when(call, |status| is_unbegun(status) && repeatable())
            .await
    }

    /// Gives an attempt up whose answer is lost, so that no call waits for ever.
    pub(crate) async fn in_time<T>(&self, attempt: impl Future<Output = Answer<T>>) -> Answer<T> {
        self.in_time_to_send(0, attempt).await
    }

    /// As [`in_time`](Self::in_time), for an attempt that sends so many bytes.
    pub(crate) async fn in_time_to_send<T>(&self, bytes: usize, attempt: impl Future<Output = Answer<T>>) -> Answer<T> {
        let within = self.answer_within + Duration::from_secs((bytes / SLOWEST_LINE) as u64);
        match timeout(within, attempt).await {
            Ok(answer) => answer,
            Err(_) => Err(Status::unavailable(format!("no answer within {within:?}"))),
        }
    }

    async fn repeat_when<T, F: Future<Output = Answer<T>>>(
        &self,
        call: impl FnMut() -> F,
        retryable: impl Fn(&Status) -> bool,
    ) -> Answer<T> {
        let delays = ExponentialBuilder::new()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .with_max_times(self.attempts)
            .with_jitter();
        call.retry(delays)
            .when(retryable)
            .notify(|status, delay| {
                tracing::debug!(%status, delay_ms = delay.as_millis(), "repeating a call to the storage gateway");
            })
            .await
    }
}

fn is_unbegun(status: &Status) -> bool {
    let busy = status.code() == Code::ResourceExhausted && reason_of(status).is_some_and(|given| given == reason::BUSY);
    busy || was_not_begun(status)
}

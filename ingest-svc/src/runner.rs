//! When cycles run: on time, and on request.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use chrono::Utc;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cycle::Ingest,
    status::{State, Status, StatusBoard},
};

/// Between a failed cycle and the next attempt, at first and at most.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What came of asking for a cycle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// False when a cycle was running or asked for already.
    pub(crate) started: bool,
    /// The cycle that answers the request.
    cycle: u64,
}

/// By this, whoever may asks for cycles.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    sender: mpsc::Sender<()>,
    status: StatusBoard,
}

impl Requests {
    /// Asks for a cycle, unless one is running.
    pub(crate) fn refresh(&self) -> Asked {
        let status = self.status.now();
        let idle = status.state == State::Idle;
        Asked {
            // The queue holds one: when it is full, a cycle was asked for already.
            started: idle && self.sender.try_send(()).is_ok(),
            cycle: if idle { status.cycle + 1 } else { status.cycle },
        }
    }

    /// Waits for the cycle that answers a request to end.
    pub(crate) async fn finished(&self, asked: Asked) -> Status {
        let mut watch = self.status.watch();
        let ended = |status: &Status| status.state == State::Idle && status.cycle >= asked.cycle;
        match watch.wait_for(ended).await {
            Ok(status) => status.clone(),
            Err(_) => self.status.now(),
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.status.watch()
    }

    pub(crate) fn status(&self) -> Status {
        self.status.now()
    }
}

/// Runs cycles for as long as the service lives.
pub(crate) struct Runner {
    ingest: Ingest,
    status: StatusBoard,
    refresh: Duration,
    requests: mpsc::Receiver<()>,
}

impl Runner {
    pub(crate) fn new(ingest: Ingest, refresh: Duration, status: StatusBoard) -> (Self, Requests) {
        let (sender, requests) = mpsc::channel(1);
        let runner = Self {
            ingest,
            status: status.clone(),
            refresh,
            requests,
        };
        (runner, Requests { sender, status })
    }

    /// Runs until `shutdown`, which ends a running cycle on the spot: what it wrote is cleared up by the next one.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let (first, most) = RETRY_DELAYS;
        let delays = ExponentialBuilder::new()
            .with_min_delay(first)
            .with_max_delay(most)
            .with_jitter()
            .without_max_times();
        let mut retries = delays.build();
        loop {
            let started = Instant::now();
            let Some(result) = shutdown.run_until_cancelled(self.ingest.run()).await else {
                return;
            };
            let next = match result {
                Ok(()) => {
                    retries = delays.build();
                    started + self.refresh
                }
                Err(_) => Instant::now() + retries.next().unwrap_or(most).min(self.refresh),
            };
            let due = Utc::now() + next.saturating_duration_since(Instant::now());
            self.status.update(|status| status.next_cycle = Some(due));
            tokio::select! {
                () = sleep_until(next) => {}
                Some(()) = self.requests.recv() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }
}

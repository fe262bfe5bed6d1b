//! When cycles run: on time, and on request.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use chrono::Utc;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cycle::{CycleError, Ingest},
    orders::{Orders, Repair},
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

/// Asks to return to a release; the answer is the number of the one that does.
#[derive(Debug)]
struct RollBack {
    number: u64,
    answer: oneshot::Sender<Result<u64, CycleError>>,
}

/// By this, whoever may asks for cycles.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    sender: mpsc::Sender<()>,
    roll_backs: mpsc::Sender<RollBack>,
    orders: Orders,
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

    /// Has files read again by the next cycle, which is asked for.
    pub(crate) fn repair(&self, repair: Repair) -> Asked {
        self.orders.repair(repair);
        self.refresh_after()
    }

    /// Has everything read again by the next cycle, which is asked for.
    pub(crate) fn reset(&self) -> Asked {
        self.orders.reset();
        self.refresh_after()
    }

    /// Asks for a cycle that begins later than now: one that is running may have taken its orders already.
    fn refresh_after(&self) -> Asked {
        Asked {
            started: self.sender.try_send(()).is_ok(),
            cycle: self.status.now().cycle + 1,
        }
    }

    /// Returns to a release, once no cycle is running. None when ingest stops first.
    pub(crate) async fn roll_back(&self, number: u64) -> Option<Result<u64, CycleError>> {
        let (answer, answered) = oneshot::channel();
        self.roll_backs.send(RollBack { number, answer }).await.ok()?;
        // What is asked as the runner ends may stay in the channel, where nobody drops its sender.
        tokio::select! {
            biased;
            answer = answered => answer.ok(),
            () = self.roll_backs.closed() => None,
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
    roll_backs: mpsc::Receiver<RollBack>,
}

impl Runner {
    pub(crate) fn new(ingest: Ingest, refresh: Duration, status: StatusBoard, orders: Orders) -> (Self, Requests) {
        let (sender, requests) = mpsc::channel(1);
        let (roll_back_sender, roll_backs) = mpsc::channel(1);
        let runner = Self {
            ingest,
            status: status.clone(),
            refresh,
            requests,
            roll_backs,
        };
        let requests = Requests {
            sender,
            roll_backs: roll_back_sender,
            orders,
            status,
        };
        (runner, requests)
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
            let Some(result) = shutdown.run_until_cancelled(self.ingest.run(Utc::now())).await else {
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
            loop {
                tokio::select! {
                    () = sleep_until(next) => break,
                    Some(()) = self.requests.recv() => break,
                    Some(asked) = self.roll_backs.recv() => {
                        let rolled = self.ingest.roll_back(asked.number, Utc::now());
                        let Some(done) = shutdown.run_until_cancelled(rolled).await else {
                            return;
                        };
                        // Whoever asked may have gone away.
                        let _gone = asked.answer.send(done);
                    }
                    () = shutdown.cancelled() => return,
                }
            }
        }
    }
}

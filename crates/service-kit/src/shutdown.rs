//! The end of a process: signals, and waiting for tasks without hanging on one of them.

use std::{future::Future, io, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, error, info, warn};

/// What a shell reports for a process ended by Ctrl-C.
const EXIT_CODE_INTERRUPTED: i32 = 130;

/// A token that SIGTERM or SIGINT cancels. A second signal ends the process at once, with code 130.
///
/// # Errors
/// When the system refuses the signal handlers.
///
/// # Panics
/// When called outside a tokio runtime.
pub fn on_signals() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        info!(signal = name, "shutting down; a second signal ends the process at once");
        token.cancel();
        let name = next().await;
        warn!(signal = name, "ended by a second signal");
        std::process::exit(EXIT_CODE_INTERRUPTED);
    });
    Ok(shutdown)
}

/// The tasks of a process, by name, so that one that hangs can be named.
#[derive(Debug, Default)]
pub struct NamedTasks {
    tasks: Vec<(String, JoinHandle<()>)>,
}

/// The names of the tasks that did not end well.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JoinReport {
    /// Still running at the deadline, and then aborted.
    pub hung: Vec<String>,
    /// Ended by a panic.
    pub panicked: Vec<String>,
}

impl JoinReport {
    /// True when every task ended by itself in time.
    pub fn is_clean(&self) -> bool {
        self.hung.is_empty() && self.panicked.is_empty()
    }
}

impl NamedTasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` within the caller's span, under `name`.
    pub fn spawn(&mut self, name: impl Into<String>, task: impl Future<Output = ()> + Send + 'static) {
        self.add(name, tokio::spawn(task.instrument(Span::current())));
    }

    /// Takes charge of a task that runs already.
    pub fn add(&mut self, name: impl Into<String>, handle: JoinHandle<()>) {
        self.tasks.push((name.into(), handle));
    }

    /// Waits until all have ended, at most for `deadline` together; then aborts those that hang, and logs their names.
    pub async fn join_within(self, deadline: Duration) -> JoinReport {
        let end = Instant::now() + deadline;
        let mut report = JoinReport::default();
        for (name, mut handle) in self.tasks {
            match timeout_at(end, &mut handle).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) if failure.is_panic() => {
                    error!(task = name, "task panicked");
                    report.panicked.push(name);
                }
                // Cancelled by whoever holds an abort handle: it has ended, as was wanted.
                Ok(Err(_)) => {}
                Err(_) => {
                    error!(
                        task = name,
                        deadline_ms = deadline.as_millis(),
                        "task did not end in time and is aborted"
                    );
                    handle.abort();
                    report.hung.push(name);
                }
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn names_what_hangs_and_what_panics() {
        let mut tasks = NamedTasks::new();
        tasks.spawn("good", async {});
        tasks.spawn("slow", tokio::time::sleep(Duration::from_secs(3)));
        tasks.spawn("stuck", pending());
        tasks.spawn("broken", async { panic!("on purpose") });
        tasks.spawn("late", tokio::time::sleep(Duration::from_secs(5)));
        let started = Instant::now();
        let report = tasks.join_within(Duration::from_secs(4)).await;
        assert_eq!(started.elapsed(), Duration::from_secs(4));
        assert_eq!(report.hung, ["stuck", "late"]);
        assert_eq!(report.panicked, ["broken"]);
        assert!(!report.is_clean());
    }
}

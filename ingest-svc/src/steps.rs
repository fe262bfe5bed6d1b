//! The steps of a cycle after which a process may be killed, so that tests can kill it there.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;

/// A step that a cycle has just taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The bucket was listed, and the lease taken.
    Listed,
    /// New data files of a partition were written; no commit names them.
    PartitionWritten,
    /// A table's commit was made; no release names it.
    TableCommitted,
    /// All tables' commits were made.
    AllCommitted,
    /// The pointer names the new release; it is not on record.
    Published,
    /// The release is on record.
    Recorded,
    /// What no release names any more was cleared away.
    Cleared,
}

impl Step {
    /// All steps, in the order in which they are taken.
    pub const ALL: [Self; 7] = [
        Self::Listed,
        Self::PartitionWritten,
        Self::TableCommitted,
        Self::AllCommitted,
        Self::Published,
        Self::Recorded,
        Self::Cleared,
    ];
}

/// Whether a cycle goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It does.
    Continue,
    /// It ends on the spot, as if the process were killed.
    Die,
}

type Watcher = dyn Fn(Step) -> BoxFuture<'static, Next> + Send + Sync;

/// Who is told of each step; nobody by default.
#[derive(Clone, Default)]
pub struct Steps(Option<Arc<Watcher>>);

impl Steps {
    /// Tells this function of each step, and waits for what it says.
    pub fn watched_by(watcher: impl Fn(Step) -> BoxFuture<'static, Next> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watcher)))
    }

    pub(crate) async fn taken(&self, step: Step) -> Next {
        match &self.0 {
            Some(watcher) => watcher(step).await,
            None => Next::Continue,
        }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Steps(watched)" } else { "Steps" })
    }
}

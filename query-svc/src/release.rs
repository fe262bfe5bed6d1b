//! The release that is served, and the change to a newer one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use lake::{DataFile, Lake, LakeError, Release, TableName, TableState};
use service_kit::server::Health;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A release with its tables, which never change. Queries hold on to the one they began with.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) release: Release,
    /// When it began to be served.
    pub(crate) loaded: DateTime<Utc>,
    tables: BTreeMap<TableName, TableState>,
}

impl Served {
    /// The files of a table; none when the release does not name it.
    pub(crate) fn files(&self, table: TableName) -> &[DataFile] {
        self.tables.get(&table).map_or(&[], |state| &state.files)
    }
}

/// Follows the release pointer.
#[derive(Clone)]
pub(crate) struct Releases {
    lake: Lake,
    served: Arc<ArcSwapOption<Served>>,
}

impl Releases {
    pub(crate) fn new(lake: Lake) -> Self {
        Self {
            lake,
            served: Arc::default(),
        }
    }

    /// The release that is served now.
    pub(crate) fn current(&self) -> Option<Arc<Served>> {
        self.served.load_full()
    }

    /// Looks for a newer release every `interval`. Health answers SERVING from the first one on.
    pub(crate) async fn follow(self, interval: Duration, health: Health, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut seen = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            match self.look(&mut seen).await {
                Ok(true) => health.set_serving(),
                Ok(false) => {}
                // What is served stays served.
                Err(error) => warn!(%error, "cannot look for a release"),
            }
        }
    }

    /// Loads the newest release if it is not the one seen last, and returns whether it did.
    async fn look(&self, seen: &mut Option<String>) -> Result<bool, LakeError> {
        let etag = self.lake.release_etag().await?;
        if etag.is_none() || etag == *seen {
            return Ok(false);
        }
        let Some(published) = self.lake.load_release().await? else {
            return Ok(false);
        };
        let release = published.release;
        let mut tables = BTreeMap::new();
        for (name, table) in &release.tables {
            tables.insert(*name, self.lake.table_at(*name, table.version).await?);
        }
        let loaded = Utc::now();
        info!(
            release = release.number,
            rows = release.rows,
            age_ms = (loaded - release.published).num_milliseconds(),
            "serving"
        );
        self.served.store(Some(Arc::new(Served {
            release,
            loaded,
            tables,
        })));
        // Had the pointer changed between the two reads, it will be seen as changed again.
        *seen = etag;
        Ok(true)
    }
}

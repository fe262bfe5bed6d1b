//! The release that is served, and the change to a newer one.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use datafusion::error::DataFusionError;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lake::{Lake, LakeError, Release, TableName};
use service_kit::server::Health;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument as _, info, warn};

use crate::warm::{BlockSpec, Warm};

/// A release with its tables, which never change. Queries hold on to the one they began with.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) release: Release,
    /// When it began to be served.
    pub(crate) loaded: DateTime<Utc>,
    tables: BTreeMap<TableName, Vec<Arc<BlockSpec>>>,
    warm: Arc<Warm>,
}

impl Served {
    /// The blocks of a table, in order of their days; none when the release does not name it.
    pub(crate) fn blocks(&self, table: TableName) -> &[Arc<BlockSpec>] {
        self.tables.get(&table).map_or(&[], Vec::as_slice)
    }

    /// The block that this one takes the place of.
    fn block_like(&self, block: &BlockSpec) -> Option<&BlockSpec> {
        let blocks = self.blocks(block.table).iter();
        blocks.map(Arc::as_ref).find(|own| own.shares_files_with(block))
    }

    /// What is in memory, and the dictionary of its codes.
    pub(crate) fn warm(&self) -> &Arc<Warm> {
        &self.warm
    }
}

/// Which release is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AsOf {
    /// The one that is served.
    Served,
    /// The one of this number.
    Number(u64),
    /// The one that was the newest at this time.
    Time(DateTime<Utc>),
}

impl AsOf {
    /// What the parameter takes.
    pub(crate) const TAKES: &'static str = "the number of a release, or a time such as 2026-03-01T00:00:00Z";

    /// Reads the parameter; none for what it does not take.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "" => Some(Self::Served),
            text => match text.parse() {
                Ok(number) => Some(Self::Number(number)),
                Err(_) => text.parse().ok().map(Self::Time),
            },
        }
    }
}

/// Why a release was not loaded.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("cannot read a derived table: {0}")]
    Read(#[from] DataFusionError),
}

/// Blocks read at once.
const CONCURRENT_READS: usize = 2;

/// Of the bound, how much is filled ahead of questions: the rest is for what they ask about.
const FILL_AHEAD: f64 = 0.9;

/// A dictionary may grow by this factor, and by this many bytes, before it is made anew.
const DICTIONARY_GROWTH: (usize, usize) = (2, 64 << 20);

/// Follows the release pointer.
#[derive(Clone)]
pub(crate) struct Releases {
    lake: Lake,
    served: Arc<ArcSwapOption<Served>>,
    /// The older release that was last asked for.
    older: Arc<ArcSwapOption<Served>>,
    warm_bytes: u64,
}

impl Releases {
    /// Keeps up to `warm_bytes` of the served release in memory.
    pub(crate) fn new(lake: Lake, warm_bytes: u64) -> Self {
        Self {
            lake,
            served: Arc::default(),
            older: Arc::default(),
            warm_bytes,
        }
    }

    /// The release that is served now.
    pub(crate) fn current(&self) -> Option<Arc<Served>> {
        self.served.load_full()
    }

    /// The release that is to answer; none when none is served, or the one asked for is not on record.
    pub(crate) async fn as_of(&self, asked: AsOf) -> Result<Option<Arc<Served>>, LakeError> {
        let Some(current) = self.current() else { return Ok(None) };
        let release = match asked {
            AsOf::Served => return Ok(Some(current)),
            AsOf::Number(number) if number == current.release.number => return Ok(Some(current)),
            AsOf::Number(number) => self.lake.recorded_release(number).await?,
            AsOf::Time(time) => self.newest_at(time).await?,
        };
        let Some(release) = release else { return Ok(None) };
        let loaded = [Some(current.clone()), self.older.load_full()];
        if let Some(loaded) = loaded
            .into_iter()
            .flatten()
            .find(|loaded| loaded.release.has_tables_of(&release))
        {
            return Ok(Some(loaded));
        }
        let older = Arc::new(Served {
            tables: self.blocks_of(&release).await?,
            release,
            loaded: Utc::now(),
            // Blocks are known by their files, so what both releases name is in memory once.
            warm: Arc::clone(&current.warm),
        });
        self.older.store(Some(Arc::clone(&older)));
        Ok(Some(older))
    }

    async fn newest_at(&self, time: DateTime<Utc>) -> Result<Option<Release>, LakeError> {
        for number in self.lake.recorded_releases().await?.into_iter().rev() {
            match self.lake.recorded_release(number).await? {
                Some(release) if release.published <= time => return Ok(Some(release)),
                _ => {}
            }
        }
        Ok(None)
    }

    async fn blocks_of(&self, release: &Release) -> Result<BTreeMap<TableName, Vec<Arc<BlockSpec>>>, LakeError> {
        let mut tables = BTreeMap::new();
        for (name, table) in &release.tables {
            let state = self.lake.table_at(*name, table.version).await?;
            let blocks = BlockSpec::of_table(*name, &state.files).into_iter().map(Arc::new);
            tables.insert(*name, blocks.collect());
        }
        Ok(tables)
    }

    /// Looks for a newer release every `interval`. Health answers SERVING from the first one on.
    pub(crate) async fn follow(self, interval: Duration, health: Health, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut followed = Followed {
            seen: None,
            warm: Arc::new(Warm::new(self.lake.clone(), self.warm_bytes)),
        };
        // Of the release that is served; ends when another takes its place, so that this does not wait for it.
        let mut filling = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            let look = shutdown.run_until_cancelled(self.look(&mut followed));
            match look.await {
                None => return,
                Some(Ok(None)) => {}
                Some(Ok(Some(served))) => {
                    health.set_serving();
                    // Derived tables answer by now; the rest gets warm while they do.
                    drop(filling.take());
                    filling = Some(AbortOnDropHandle::new(tokio::spawn(
                        async move { fill(&served).await }.in_current_span(),
                    )));
                }
                // What is served stays served.
                Some(Err(error)) => warn!(%error, "cannot look for a release"),
            }
        }
    }

    /// Loads the newest release if it is not the one seen last, and returns it if so.
    async fn look(&self, followed: &mut Followed) -> Result<Option<Arc<Served>>, FollowError> {
        let etag = self.lake.release_etag().await?;
        if etag.is_none() || etag == followed.seen {
            return Ok(None);
        }
        let begun = Instant::now();
        let Some(release) = self.lake.served_release().await? else {
            return Ok(None);
        };
        if self
            .current()
            .is_some_and(|served| served.release.has_tables_of(&release))
        {
            // A writer has only put its token there.
            followed.seen = etag;
            return Ok(None);
        }
        let tables = self.blocks_of(&release).await?;
        followed.renew_grown_dictionary();
        let warm = Arc::clone(&followed.warm);
        let served = self.current();
        let derived = tables.iter().filter(|(name, _)| name.is_derived());
        stream::iter(derived.flat_map(|(_, blocks)| blocks.clone()).collect::<Vec<_>>())
            .map(|block| {
                let (warm, served) = (Arc::clone(&warm), served.clone());
                async move {
                    let earlier = served.as_ref().and_then(|served| served.block_like(&block));
                    warm.block_after(&block, earlier).await.map(drop)
                }
            })
            .buffer_unordered(CONCURRENT_READS)
            .try_collect::<()>()
            .await?;
        let loaded = Utc::now();
        info!(
            release = release.number,
            rows = release.rows,
            load_ms = begun.elapsed().as_millis(),
            age_ms = (loaded - release.published).num_milliseconds(),
            warm_bytes = warm.bytes(),
            "serving"
        );
        let served = Arc::new(Served {
            release,
            loaded,
            tables,
            warm,
        });
        self.served.store(Some(Arc::clone(&served)));
        // Had the pointer changed between the two reads, it will be seen as changed again.
        followed.seen = etag;
        Ok(Some(served))
    }
}

/// What following remembers from one release to the next.
struct Followed {
    seen: Option<String>,
    warm: Arc<Warm>,
}

impl Followed {
    /// Starts over with an empty dictionary when most of it may be of files that are gone.
    fn renew_grown_dictionary(&mut self) {
        let (factor, bytes) = DICTIONARY_GROWTH;
        let now = self.warm.dictionary().read().bytes();
        if self
            .warm
            .filled_with()
            .is_some_and(|first| now > factor * first + bytes)
        {
            info!(bytes = now, "making the dictionary anew");
            self.warm = Arc::new(self.warm.renewed());
        }
    }
}

/// Reads base tables into memory, newest days first, as far as the bound allows, and forgets older releases.
async fn fill(served: &Served) {
    let warm = &served.warm;
    let named: HashSet<&str> = served
        .tables
        .values()
        .flatten()
        .map(|block| block.key.as_ref())
        .collect();
    warm.forget(|key| named.contains(key)).await;
    let bound = warm.bound() as f64 * FILL_AHEAD;
    let mut base: Vec<_> = served
        .tables
        .iter()
        .filter(|(name, _)| name.is_base())
        .flat_map(|(_, blocks)| blocks)
        .collect();
    base.sort_by_key(|block| std::cmp::Reverse(block.files.last().map(|file| file.partition.day)));
    for block in base {
        if warm.bytes() as f64 >= bound {
            break;
        }
        if let Err(error) = warm.block(block).await {
            warn!(%error, table = %block.table, "cannot read ahead");
            return;
        }
    }
    let dictionary_bytes = warm.dictionary().read().bytes();
    warm.set_filled_with(dictionary_bytes);
    info!(warm_bytes = warm.bytes(), dictionary_bytes, "read ahead");
}

//! One cycle: find, ingest, derive, publish.

mod load;
mod partition_work;
mod plan;
mod releases;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use bingen::Pipeline;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::{error::DataFusionError, prelude::SessionContext};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lake::{Holder, Lake, LakeError, Lease, NewRelease, Partition, PublishedRelease, TableName, TableState};
use object_store::ObjectStore;
use service_kit::telemetry;
use tracing::{Instrument as _, field, info, info_span, warn};

use self::{
    load::Released,
    partition_work::{Done, Surroundings},
    plan::{Plan, plan},
};
pub use crate::settings::{Retention, Settings};
use crate::{
    ingest::{self, FindError},
    orders::{Orders, Pending},
    partition::Rewritten,
    status::{Progress, State, StatusBoard},
    steps::{Next, Step},
};

/// Why a cycle failed. What it had written is not in the release, and is cleared up by the next cycle.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// The bucket could not be listed.
    #[error(transparent)]
    Find(#[from] FindError),
    /// An ETL file could not be read from the store.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: object_store::path::Path,
        /// What the store says.
        #[source]
        source: object_store::Error,
    },
    /// Decoding was cancelled, or panicked.
    #[error("decoding {path} did not finish: {source}")]
    Decode {
        /// The file.
        path: object_store::path::Path,
        /// What became of the task.
        #[source]
        source: tokio::task::JoinError,
    },
    /// The lake could not be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A data file of the lake is gone or damaged.
    #[error("partition {partition} of {pipeline} is damaged and will be made anew from its ETL files: {source}", pipeline = pipeline.as_str())]
    Damaged {
        /// Of which ETL files the rows are.
        pipeline: Pipeline,
        /// The partition.
        partition: Partition,
        /// What is wrong with it.
        #[source]
        source: LakeError,
    },
    /// A table could not be derived.
    #[error("cannot derive from partition {partition}: {source}")]
    Derive {
        /// The partition.
        partition: Partition,
        /// What DataFusion says.
        #[source]
        source: DataFusionError,
    },
    /// Shutdown came first.
    #[error("stopped before the cycle ended")]
    Stopped,
    /// A test ended the cycle here.
    #[error("ended after the step {0:?}")]
    Ended(Step),
}

impl CycleError {
    /// Tells a partition that is damaged from a store that fails.
    fn of_partition((pipeline, partition): (Pipeline, Partition), source: LakeError) -> Self {
        let is_damaged = match &source {
            LakeError::Store { source, .. } => matches!(source, object_store::Error::NotFound { .. }),
            LakeError::Parquet { .. } | LakeError::Arrow { .. } => true,
            _ => false,
        };
        if is_damaged {
            Self::Damaged {
                pipeline,
                partition,
                source,
            }
        } else {
            Self::Lake(source)
        }
    }
}

/// Between two looks whether the data files that the release names are all there, and whether some are not needed.
const UPKEEP: TimeDelta = TimeDelta::hours(1);

/// Runs cycles over one bucket.
pub(crate) struct Ingest {
    bucket: Arc<dyn ObjectStore>,
    lake: Lake,
    settings: Settings,
    status: StatusBoard,
    orders: Orders,
    session: SessionContext,
    lease: Lease,
    /// What is released. Kept for as long as nobody else publishes.
    released: Option<Released>,
    /// Partitions to be made anew.
    damaged: BTreeSet<(Pipeline, Partition)>,
    /// When data files were last looked for, and when unneeded ones were last cleared away.
    last_check: Option<DateTime<Utc>>,
    last_upkeep: Option<DateTime<Utc>>,
    /// When the cycle began.
    started: Instant,
}

impl Ingest {
    pub(crate) fn new(bucket: Arc<dyn ObjectStore>, settings: Settings, status: StatusBoard, orders: Orders) -> Self {
        let lake = Lake::new(Arc::clone(&bucket));
        Self {
            lease: Lease::new(lake.clone(), Holder::this(), settings.lease),
            lake,
            bucket,
            settings,
            status,
            orders,
            session: SessionContext::new(),
            released: None,
            damaged: BTreeSet::new(),
            last_check: None,
            last_upkeep: None,
            started: Instant::now(),
        }
    }

    /// Runs a cycle. Whatever the result, the next cycle starts from what is released.
    pub(crate) async fn run(&mut self, now: DateTime<Utc>) -> Result<(), CycleError> {
        self.status.update(|status| {
            status.state = State::Finding;
            status.cycle += 1;
            status.cycle_started = Some(now);
            status.progress = Progress::default();
        });
        let span = info_span!(
            "cycle",
            trace_id = field::Empty,
            otel.status_code = field::Empty,
            number = self.status.now().cycle,
            files = field::Empty,
            bytes = field::Empty,
            rows = field::Empty,
        );
        telemetry::note_trace(&span);
        self.started = Instant::now();
        let orders = self.orders.take();
        let result = self.cycle(&orders, now).instrument(span.clone()).await;
        let _entered = span.enter();
        let duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let progress = self.status.now().progress;
        span.record("files", progress.files_read);
        span.record("bytes", progress.bytes_read);
        span.record("rows", progress.rows);
        if result.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        match &result {
            Ok(()) => info!(
                duration_ms,
                files_found = progress.files_found,
                files_read = progress.files_read,
                files_failed = progress.files_failed,
                files_removed = progress.files_removed,
                bytes_read = progress.bytes_read,
                rows = progress.rows,
                "cycle ended"
            ),
            Err(error) => {
                self.released = None;
                self.orders.put_back(orders);
                if let CycleError::Damaged {
                    pipeline, partition, ..
                } = error
                {
                    self.damaged.insert((*pipeline, *partition));
                }
                warn!(duration_ms, %error, "cycle failed; the last release is still served");
            }
        }
        let ended = Utc::now();
        self.status.update(|status| {
            status.state = State::Idle;
            status.cycle_ended = Some(ended);
            status.cycles_failed += u64::from(result.is_err());
            status.last_cycle_ms = duration_ms;
            if result.is_ok() {
                status.last_success = Some(ended);
            }
            status.last_error = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        });
        result
    }

    async fn step(&self, step: Step) -> Result<(), CycleError> {
        match self.settings.steps.taken(step).await {
            Next::Continue => Ok(()),
            Next::Die => Err(CycleError::Ended(step)),
        }
    }

    async fn cycle(&mut self, orders: &Pending, now: DateTime<Utc>) -> Result<(), CycleError> {
        let released = self.current().await?;
        if self.last_check.is_none_or(|last| now - last > UPKEEP) {
            self.damaged.extend(self.find_damage(&released.tables).await?);
            self.last_check = Some(now);
        }
        self.show(&released);

        let ingest::Found {
            mut files,
            clusters,
            second_files,
            foreign,
        } = ingest::find(&self.bucket).await?;
        files.retain(|file| self.settings.retention.keeps(file, now));
        let work = plan(&files, &released.files, orders, &self.damaged, now);
        self.status.update(|status| {
            status.state = State::Ingesting;
            let read = || work.values().flat_map(|work| &work.read);
            status.second_files = second_files;
            status.foreign_objects = foreign;
            status.clusters = Arc::clone(&clusters);
            status.progress = Progress {
                files_found: files.len() as u64,
                files_to_read: read().count() as u64,
                bytes_to_read: read().map(|file| file.size).sum(),
                files_removed: work.values().map(|work| work.removed.len() as u64).sum(),
                partitions_to_write: work.len() as u64,
                ..Progress::default()
            };
        });
        drop(files);
        if work.is_empty() && released.release.is_some() {
            self.released = Some(released);
            return Ok(());
        }

        let token = self.lease.take(now).await?;
        // The lease is renewed beside the work, which ends on the spot when the lease is lost.
        let mut lease = std::mem::replace(
            &mut self.lease,
            Lease::new(self.lake.clone(), Holder::this(), self.settings.lease),
        );
        let written = tokio::select! {
            written = self.write(released, work, clusters, token, now) => written,
            lost = keep(&mut lease) => Err(lost.into()),
        };
        self.lease = lease;
        // A process that was killed would not give it up either.
        if !matches!(written, Err(CycleError::Ended(_))) {
            self.lease.give_up(now).await;
        }
        self.released = Some(written?);
        self.damaged.clear();
        Ok(())
    }

    /// Does the work, and publishes what comes of it.
    async fn write(
        &mut self,
        released: Released,
        work: Plan,
        clusters: Arc<BTreeSet<String>>,
        token: u64,
        now: DateTime<Utc>,
    ) -> Result<Released, CycleError> {
        let Released {
            release,
            tables,
            files,
            is_own,
        } = released;
        let release = match release {
            Some(release) => Some(self.lake.fence(&release, token).await?),
            None => None,
        };
        self.step(Step::Listed).await?;

        let touched: BTreeSet<Partition> = work.keys().map(|(_, partition)| *partition).collect();
        let mut known = files;
        let removed: Vec<String> = work
            .values()
            .flat_map(|work| work.removed.iter().map(|file| file.path.clone()))
            .collect();
        let mut tables = tables;
        let mut changed = BTreeSet::new();
        let mut read = Vec::new();
        // Assets come first: what the bill added to them is shared out to the allocations.
        let (assets, others): (Plan, Plan) = work
            .into_iter()
            .partition(|((pipeline, _), _)| *pipeline == Pipeline::Assets);
        for work in [assets, others] {
            let around = Surroundings {
                tables: &tables,
                known: &known,
                clusters: &clusters,
                memory: self.memory(),
                now,
            };
            let parallel = std::thread::available_parallelism().map_or(2, usize::from);
            let (this, around) = (&*self, &around);
            let done: Vec<Done> = stream::iter(work)
                .map(|((pipeline, partition), work)| {
                    this.ingest(around, pipeline, partition, work)
                        .instrument(info_span!("partition", pipeline = pipeline.as_str(), %partition))
                })
                .buffer_unordered(parallel)
                .try_collect()
                .await?;
            for part in done {
                for (table, rewritten) in part.tables {
                    changed.extend((!rewritten.is_empty()).then_some(table));
                    apply(&mut tables, table, rewritten);
                }
                read.extend(part.files);
            }
        }

        self.status.update(|status| status.state = State::Publishing);
        let present = Arc::make_mut(&mut known);
        for path in &removed {
            present.remove(path);
        }
        present.extend(read.into_iter().map(|file| (file.path.clone(), file)));
        for partition in touched {
            let rewritten = self.remember(&tables, &known, partition, now).await?;
            changed.insert(TableName::SourceFiles);
            apply(&mut tables, TableName::SourceFiles, rewritten);
        }
        let release = self
            .commit_and_publish(
                release,
                &mut tables,
                |table| !is_own || changed.contains(&table),
                token,
                now,
            )
            .await?;
        let released = Released {
            release: Some(release),
            tables,
            files: known,
            is_own: true,
        };
        self.show(&released);
        self.keep_up(&released, now).await?;
        Ok(released)
    }

    /// Commits tables, and publishes a release that names all of them. Tables that are known to be as they should are
    /// not committed; what an interrupted writer has left in the log of another is undone.
    async fn commit_and_publish(
        &self,
        previous: Option<PublishedRelease>,
        tables: &mut BTreeMap<TableName, TableState>,
        may_differ: impl Fn(TableName) -> bool,
        token: u64,
        now: DateTime<Utc>,
    ) -> Result<PublishedRelease, CycleError> {
        for (name, table) in tables.iter_mut() {
            if table.version.is_none() || may_differ(*name) {
                let files = std::mem::take(&mut table.files);
                *table = self.lake.commit(*name, files, self.moment(now)).await?;
                self.step(Step::TableCommitted).await?;
            }
        }
        self.step(Step::AllCommitted).await?;
        let new = NewRelease {
            tables: versions(tables),
            writer: token,
            above: self.highest_record(previous.as_ref()).await?,
            rolled_back_to: None,
        };
        self.publish(previous.as_ref(), new, self.moment(now)).await
    }

    /// The time now: that of the cycle's beginning, which tests can set, and what has passed since.
    fn moment(&self, began: DateTime<Utc>) -> DateTime<Utc> {
        began + TimeDelta::from_std(self.started.elapsed()).unwrap_or_default()
    }
}

/// The version of each table that there is.
fn versions(tables: &BTreeMap<TableName, TableState>) -> BTreeMap<TableName, lake::TableVersion> {
    let released = tables
        .iter()
        .filter_map(|(name, table)| Some((*name, table.released()?)));
    released.collect()
}

/// Renews a lease until it is lost. A store that fails is asked again until the lease would have run out.
async fn keep(lease: &mut Lease) -> LakeError {
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(lease.renewal()).await;
        match lease.renew(Utc::now()).await {
            Ok(()) => renewed = tokio::time::Instant::now(),
            Err(error @ LakeError::LeaseLost { .. }) => return error,
            Err(error) if renewed.elapsed() >= lease.length() => return error,
            Err(error) => warn!(%error, "the lease cannot be renewed; trying again"),
        }
    }
}

fn apply(tables: &mut BTreeMap<TableName, TableState>, table: TableName, rewritten: Rewritten) {
    let state = tables.entry(table).or_insert_with(|| TableState::empty(table));
    state.files.retain(|file| !rewritten.removed.contains(&file.path));
    state.files.extend(rewritten.added);
}

//! Realistic made-up clusters, as the ETL files their agents would write.
//!
//! Everything follows from the seed and the calendar: the same plan gives the same bytes, and a day that has passed
//! looks the same in every plan that holds it, whenever that plan ends.

mod allocations;
mod assets;
pub mod bucket;
mod catalog;
mod cluster;
mod noise;
mod prices;
mod schedule;

use std::num::NonZeroUsize;
use std::ops::AddAssign;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::{io, thread};

use bingen::{EncodeError, EtlPath, Pipeline, Resolution};

use crate::allocations::{FileWindow, encode_allocations};
use crate::assets::encode_assets;
use crate::cluster::Cluster;
use crate::schedule::{DAY, Span};

/// What a sink may fail with.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// What to make up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoPlan {
    /// How many clusters there are, on several clouds in turn.
    pub clusters: usize,
    /// Nodes per cluster.
    pub nodes: usize,
    /// Pods per node at a time. Jobs and new versions make more of them in a day, proxies more containers.
    pub pods_per_node: usize,
    /// Daily files per cluster and pipeline; the last one is of the day of `end`.
    pub days: usize,
    /// Hourly files per cluster and pipeline; the last one is of the hour of `end`.
    pub hours: usize,
    /// When the data ends, in Unix seconds. Within a day, that day and hour are written as far as they have passed.
    pub end: i64,
    /// What the made-up names and numbers grow from.
    pub seed: u64,
}

impl DemoPlan {
    /// A small plan: four clusters on as many clouds, a week and a day of daily files, and two days of hourly files.
    pub fn example(end: i64) -> Self {
        Self {
            clusters: 4,
            nodes: 12,
            pods_per_node: 12,
            days: 8,
            hours: 48,
            end,
            seed: 1,
        }
    }

    /// How many files the plan asks for.
    pub fn files(&self) -> usize {
        const PIPELINES: usize = 2;
        self.clusters
            .saturating_mul(self.days.saturating_add(self.hours))
            .saturating_mul(PIPELINES)
    }

    fn validate(&self) -> Result<(), DemoError> {
        let limits = [
            ("clusters", self.clusters, 1, 1_000),
            ("nodes", self.nodes, 1, 10_000),
            ("pods_per_node", self.pods_per_node, 1, 250),
            ("days", self.days, 0, 3_660),
            ("hours", self.hours, 0, 24 * 366),
        ];
        for (field, found, least, most) in limits {
            if !(least..=most).contains(&found) {
                return Err(DemoError::OutOfRange {
                    field,
                    found,
                    least,
                    most,
                });
            }
        }
        if self.days + self.hours == 0 {
            return Err(DemoError::NothingAsked);
        }
        // Every window must lie after the epoch, and far enough before the end of all seconds.
        let first = self
            .end
            .saturating_sub((self.days as i64 + self.hours as i64 + 1).saturating_mul(DAY));
        if first < 0 || self.end > i64::from(u32::MAX) {
            return Err(DemoError::EndOutOfRange { end: self.end });
        }
        Ok(())
    }

    /// The windows of one resolution, oldest first.
    fn windows(&self, resolution: Resolution) -> impl Iterator<Item = (Resolution, FileWindow)> {
        let length = resolution.seconds();
        let count = match resolution {
            Resolution::Daily => self.days,
            Resolution::Hourly => self.hours,
        } as i64;
        let after_last = (self.end - 1).div_euclid(length) * length + length;
        let end = self.end;
        (0..count).map(move |number| {
            let start = after_last - (count - number) * length;
            let window = Span {
                start,
                end: start + length,
            };
            (
                resolution,
                FileWindow {
                    window,
                    live: Span {
                        end: window.end.min(end),
                        ..window
                    },
                },
            )
        })
    }
}

/// What was made up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files given to the sink.
    pub files: usize,
    /// Bytes of these files.
    pub bytes: u64,
    /// Allocations in them.
    pub allocations: u64,
    /// Assets in them.
    pub assets: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.allocations += other.allocations;
        self.assets += other.assets;
    }
}

/// Why nothing, or not everything, was made up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A number of the plan is too small or too large.
    #[error("{field} is {found}, but must be from {least} to {most}")]
    OutOfRange {
        /// The plan's field.
        field: &'static str,
        /// Its value.
        found: usize,
        /// The least value allowed.
        least: usize,
        /// The greatest value allowed.
        most: usize,
    },
    /// The plan asks for neither days nor hours.
    #[error("the plan asks for no days and no hours; ask for some of either")]
    NothingAsked,
    /// The data would end, or start, where no file name can say so.
    #[error("the data cannot end at {end} s after 1970: it must start after 1970 and end before 2106")]
    EndOutOfRange {
        /// The plan's end.
        end: i64,
    },
    /// A set could not be written.
    #[error("a made-up set cannot be written")]
    Encode(#[from] EncodeError),
    /// The sink refused a file.
    #[error("{path} was not taken")]
    Sink {
        /// Path of the file, relative to the bucket.
        path: String,
        /// Why.
        source: SinkError,
    },
    /// A file could not be written to disk.
    #[error("{} cannot be written", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes up the files of `plan` and gives each to `sink`, with its path relative to the bucket, in no certain order.
/// `progress` is told what has been given so far after each pair of files; [`DemoPlan::files`] is where it leads.
///
/// # Errors
/// When the plan makes no sense, or as soon as the sink fails.
pub fn generate(
    plan: &DemoPlan,
    sink: &mut dyn FnMut(String, Vec<u8>) -> Result<(), SinkError>,
    progress: &mut dyn FnMut(&Summary),
) -> Result<Summary, DemoError> {
    for_each_file(plan, progress, |path, bytes| {
        sink(path.clone(), bytes).map_err(|source| DemoError::Sink { path, source })
    })
}

pub(crate) fn for_each_file(
    plan: &DemoPlan,
    progress: &mut dyn FnMut(&Summary),
    mut sink: impl FnMut(String, Vec<u8>) -> Result<(), DemoError>,
) -> Result<Summary, DemoError> {
    plan.validate()?;
    let clusters: Vec<Cluster> = (0..plan.clusters).map(|index| Cluster::build(plan, index)).collect();
    let windows: Vec<(Resolution, FileWindow)> = plan
        .windows(Resolution::Daily)
        .chain(plan.windows(Resolution::Hourly))
        .collect();
    let next = AtomicUsize::new(0);
    let mut total = Summary::default();
    thread::scope(|scope| {
        // A short queue, so that a slow sink holds the workers back rather than filling memory.
        let (sender, receiver) = mpsc::sync_channel(2);
        for _ in 0..worker_count() {
            let (sender, clusters, windows, next) = (sender.clone(), &clusters, &windows, &next);
            scope.spawn(move || {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cluster) = clusters.get(job / windows.len()) else {
                        return;
                    };
                    let (resolution, window) = windows[job % windows.len()];
                    // The receiver goes away when the sink fails; there is nothing left to do then.
                    if sender.send(make_files(cluster, resolution, window)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for made in receiver {
            let made = made?;
            for (path, bytes) in made.files {
                total.files += 1;
                total.bytes += bytes.len() as u64;
                sink(path, bytes)?;
            }
            total += made.content;
            progress(&total);
        }
        Ok(total)
    })
}

fn worker_count() -> usize {
    const MOST: usize = 8;
    thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST)
}

/// The files of one cluster and window, which have to agree with each other.
struct MadeFiles {
    files: [(String, Vec<u8>); 2],
    content: Summary,
}

fn make_files(cluster: &Cluster, resolution: Resolution, window: FileWindow) -> Result<MadeFiles, EncodeError> {
    let path = |pipeline| EtlPath::new(cluster.id.as_str(), pipeline, resolution, window.window.start).to_string();
    let allocations = encode_allocations(cluster, window)?;
    let assets = encode_assets(cluster, window, &allocations.machines)?;
    let content = Summary {
        allocations: allocations.allocations as u64,
        assets: assets.assets as u64,
        ..Summary::default()
    };
    let files = [
        (path(Pipeline::Allocations), allocations.bytes),
        (path(Pipeline::Assets), assets.bytes),
    ];
    Ok(MadeFiles { files, content })
}

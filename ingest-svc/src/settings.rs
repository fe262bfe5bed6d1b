//! How ingest behaves.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lake::Resolution;

use crate::{ingest::FoundFile, steps::Steps};

/// How ingest behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From the start of one cycle to the start of the next.
    pub refresh: Duration,
    /// Which windows are kept.
    pub retention: Retention,
    /// Bytes of memory for files being decoded and partitions being written, about.
    pub memory_bytes: u64,
    /// How long releases can be returned to, after a newer one was published.
    pub keep_releases: Duration,
    /// How long the right to write holds for a writer that is not heard of.
    pub lease: Duration,
    /// Who is told of each step of a cycle.
    pub steps: Steps,
}

/// Which windows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days of daily windows; `None` keeps all.
    pub daily: Option<u32>,
    /// Hours of hourly windows; `None` keeps all.
    pub hourly: Option<u32>,
}

impl Retention {
    /// As many days and hours as given, of which 0 keeps all.
    pub fn of(days: u32, hours: u32) -> Self {
        let limit = |count| (count > 0).then_some(count);
        Self {
            daily: limit(days),
            hourly: limit(hours),
        }
    }

    /// The time before which windows of this resolution have ended that are not kept; none when all are.
    pub(crate) fn oldest(self, resolution: Resolution, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match resolution {
            Resolution::Day => self.daily.map(|days| now - TimeDelta::days(i64::from(days))),
            Resolution::Hour => self.hourly.map(|hours| now - TimeDelta::hours(i64::from(hours))),
        }
    }

    pub(crate) fn keeps(self, file: &FoundFile, now: DateTime<Utc>) -> bool {
        self.oldest(file.resolution, now)
            .is_none_or(|oldest| file.window.end > oldest)
    }
}

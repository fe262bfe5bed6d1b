//! Partitions and the data files in them.

use std::{collections::HashMap, fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use deltalake_core::kernel::{Add, Remove};
use serde::{Deserialize, Serialize};

/// How long the windows of a partition's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolution {
    /// One hour, `1h`.
    Hour,
    /// One day, `1d`.
    Day,
}

impl Resolution {
    /// As it stands in paths and in the tables: `1h` or `1d`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Resolution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1h" => Ok(Self::Hour),
            "1d" => Ok(Self::Day),
            other => Err(format!("resolution is `{other}`, not `1h` or `1d`")),
        }
    }
}

/// A partition: all rows of one resolution whose window starts on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// How long the rows' windows are.
    pub resolution: Resolution,
    /// The UTC day on which they start.
    pub day: NaiveDate,
}

impl Partition {
    /// Names of the partition columns, in order.
    pub const COLUMNS: [&'static str; 2] = ["resolution", "day"];

    /// The partition of a window that starts at this time.
    pub fn of(resolution: Resolution, window_start: DateTime<Utc>) -> Self {
        Self {
            resolution,
            day: window_start.date_naive(),
        }
    }

    fn values(self) -> HashMap<String, Option<String>> {
        let [resolution, day] = Self::COLUMNS;
        HashMap::from([
            (resolution.to_owned(), Some(self.resolution.to_string())),
            (day.to_owned(), Some(self.day.to_string())),
        ])
    }

    fn from_values(values: &HashMap<String, Option<String>>) -> Result<Self, String> {
        let value = |column: &str| {
            values
                .get(column)
                .and_then(Option::as_deref)
                .ok_or_else(|| format!("partition column `{column}` has no value"))
        };
        let [resolution, day] = Self::COLUMNS;
        Ok(Self {
            resolution: value(resolution)?.parse()?,
            day: value(day)?
                .parse()
                .map_err(|error| format!("partition column `day`: {error}"))?,
        })
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [resolution, day] = Self::COLUMNS;
        write!(formatter, "{resolution}={}/{day}={}", self.resolution, self.day)
    }
}

/// A Parquet file of a table. Immutable once written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Path relative to the table's folder.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was written.
    pub written: DateTime<Utc>,
    /// The partition that its rows are in.
    pub partition: Partition,
    /// Rows in it.
    pub rows: u64,
    /// First and last federated cluster with rows in it, in order of their ids.
    pub clusters: (String, String),
}

/// Statistics as Delta Lake keeps them per file (Delta protocol, "Per-file Statistics").
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    num_records: u64,
    min_values: Bounds,
    max_values: Bounds,
}

#[derive(Serialize, Deserialize)]
struct Bounds {
    federated_cluster: String,
}

impl DataFile {
    /// Whether rows of this federated cluster may be in it.
    pub fn may_hold(&self, cluster: &str) -> bool {
        self.clusters.0.as_str() <= cluster && cluster <= self.clusters.1.as_str()
    }

    pub(crate) fn to_add(&self) -> Result<Add, serde_json::Error> {
        let statistics = Statistics {
            num_records: self.rows,
            min_values: Bounds {
                federated_cluster: self.clusters.0.clone(),
            },
            max_values: Bounds {
                federated_cluster: self.clusters.1.clone(),
            },
        };
        Ok(Add {
            path: self.path.clone(),
            partition_values: self.partition.values(),
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            modification_time: self.written.timestamp_millis(),
            data_change: true,
            stats: Some(serde_json::to_string(&statistics)?),
            ..Add::default()
        })
    }

    pub(crate) fn to_remove(&self, now: DateTime<Utc>) -> Remove {
        Remove {
            path: self.path.clone(),
            data_change: true,
            deletion_timestamp: Some(now.timestamp_millis()),
            extended_file_metadata: Some(true),
            partition_values: Some(self.partition.values()),
            size: i64::try_from(self.size).ok(),
            ..Remove::default()
        }
    }

    /// Reads an entry of the Delta log that [`DataFile::to_add`] wrote.
    pub(crate) fn from_log(
        path: String,
        size: i64,
        written_ms: i64,
        partition_values: &HashMap<String, Option<String>>,
        statistics: Option<&str>,
    ) -> Result<Self, String> {
        let statistics: Statistics = serde_json::from_str(statistics.ok_or("has no statistics")?)
            .map_err(|error| format!("statistics cannot be read: {error}"))?;
        Ok(Self {
            path,
            size: u64::try_from(size).map_err(|_| format!("size is {size}"))?,
            written: DateTime::from_timestamp_millis(written_ms)
                .ok_or_else(|| format!("modification time is {written_ms} ms"))?,
            partition: Partition::from_values(partition_values)?,
            rows: statistics.num_records,
            clusters: (
                statistics.min_values.federated_cluster,
                statistics.max_values.federated_cluster,
            ),
        })
    }
}

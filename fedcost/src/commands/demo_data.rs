//! `fedcost demo-data`: made-up clusters in a local folder.

use std::{io, path::PathBuf, time::Instant};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use demo_data::{DemoError, DemoPlan, bucket};
use indicatif::{DecimalBytes, HumanCount};

use crate::{output, progress::Screen};

const EXAMPLES: &str = "\
Examples:
  fedcost demo-data --bucket /tmp/bucket
  fedcost demo-data --bucket /tmp/bucket --clusters 20 --nodes 50 --pods-per-node 20 --days 30 --hours 0

The same numbers, seed and end give the same bytes. Files that are there already are replaced.";

/// Write made-up clusters into a folder that stands in for a bucket
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The folder; created when it is missing
    #[arg(long, value_name = "DIR")]
    bucket: PathBuf,
    /// Clusters, on several clouds in turn
    #[arg(long, value_name = "N", default_value_t = 4)]
    clusters: usize,
    /// Nodes per cluster
    #[arg(long, value_name = "N", default_value_t = 8)]
    nodes: usize,
    /// Pods per node at a time
    #[arg(long, value_name = "N", default_value_t = 12)]
    pods_per_node: usize,
    /// Daily files per cluster and pipeline
    #[arg(long, value_name = "N", default_value_t = 14)]
    days: usize,
    /// Hourly files per cluster and pipeline
    #[arg(long, value_name = "N", default_value_t = 48)]
    hours: usize,
    /// Last day of the data, such as 2026-03-31, or the moment when it ends, such as 2026-03-31T15:00:00Z [default: now]
    #[arg(long, value_name = "DATE", value_parser = parse_end)]
    end: Option<DateTime<Utc>>,
    /// What names and numbers grow from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoDataError {
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error("cannot write to stdout: {0}")]
    Print(#[from] io::Error),
}

impl DemoDataError {
    pub(crate) fn is_usage(&self) -> bool {
        use DemoError::{EndOutOfRange, NothingAsked, OutOfRange};
        matches!(
            self,
            Self::Demo(OutOfRange { .. } | NothingAsked | EndOutOfRange { .. })
        )
    }
}

/// The moment when the data ends: of a day its last.
fn parse_end(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.to_utc());
    }
    text.parse::<NaiveDate>()
        .ok()
        .and_then(|day| {
            day.and_time(NaiveTime::MIN)
                .and_utc()
                .checked_add_signed(TimeDelta::days(1))
        })
        .ok_or_else(|| "allowed is a day such as 2026-03-31, or a moment such as 2026-03-31T15:00:00Z".to_owned())
}

/// Writes the files, and prints how many there are.
pub(crate) fn run(arguments: &Arguments) -> Result<(), DemoDataError> {
    let plan = DemoPlan {
        clusters: arguments.clusters,
        nodes: arguments.nodes,
        pods_per_node: arguments.pods_per_node,
        days: arguments.days,
        hours: arguments.hours,
        end: arguments.end.unwrap_or_else(Utc::now).timestamp(),
        seed: arguments.seed,
    };
    let started = Instant::now();
    let bar = Screen::new().files(plan.files() as u64);
    let summary = bucket::write_bucket(&arguments.bucket, &plan, &mut |so_far| {
        bar.set_position(so_far.files as u64);
    })?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let rows = summary.allocations + summary.assets;
    output::print(|stdout| {
        writeln!(
            stdout,
            "{} files with {} allocations and {} assets, {}, in {seconds:.1} s ({} rows per second)",
            HumanCount(summary.files as u64),
            HumanCount(summary.allocations),
            HumanCount(summary.assets),
            DecimalBytes(summary.bytes),
            HumanCount((rows as f64 / seconds) as u64),
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_and_a_moment_where_it_says() {
        let end = |text| parse_end(text).map(|end| end.to_rfc3339());
        assert_eq!(end("2026-03-31").unwrap(), "2026-04-01T00:00:00+00:00");
        assert_eq!(end("2026-03-31T17:00:00+02:00").unwrap(), "2026-03-31T15:00:00+00:00");
        assert!(end("tomorrow").unwrap_err().starts_with("allowed is a day"));
    }
}

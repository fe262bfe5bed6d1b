//! Which windows there are of each cluster, and which are missing.

use std::collections::{BTreeMap, BTreeSet};

use bingen::Pipeline;
use chrono::{DateTime, TimeDelta, Utc};
use lake::Resolution;

use crate::{
    ingest::{PIPELINES, SourceFile},
    settings::Retention,
};

/// Which windows there are of a cluster, pipeline and resolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) cluster: String,
    pub(crate) pipeline: Pipeline,
    pub(crate) resolution: Resolution,
    /// Start of the first window, and end of the last.
    pub(crate) span: Option<(DateTime<Utc>, DateTime<Utc>)>,
    pub(crate) last_upload: Option<DateTime<Utc>>,
    /// End of the last window that was read.
    pub(crate) read_until: Option<DateTime<Utc>>,
    /// Windows that were read.
    pub(crate) windows: u64,
    /// Starts of the windows that are missing.
    pub(crate) missing: Vec<DateTime<Utc>>,
    pub(crate) set_aside: u64,
    pub(crate) with_warnings: u64,
    pub(crate) rows: u64,
    /// Whether the last window is the current one, or the one before it.
    pub(crate) fresh: bool,
}

fn length(resolution: Resolution) -> TimeDelta {
    match resolution {
        Resolution::Day => TimeDelta::days(1),
        Resolution::Hour => TimeDelta::hours(1),
    }
}

/// What the files tell of every cluster, in order of clusters, pipelines and resolutions.
///
/// A cluster is expected to have a window of each pipeline from the first that it has of either to the last that has
/// passed, as far back as windows are kept. A resolution that a cluster never wrote is not expected of it.
pub(crate) fn coverage<'a>(
    files: impl Iterator<Item = &'a SourceFile>,
    retention: Retention,
    now: DateTime<Utc>,
) -> Vec<Coverage> {
    let mut found: BTreeMap<(&str, Resolution), BTreeMap<Pipeline, Vec<&SourceFile>>> = BTreeMap::new();
    for file in files {
        let pipelines = found.entry((&file.cluster, file.resolution)).or_default();
        pipelines.entry(file.pipeline).or_default().push(file);
    }
    let mut coverages = Vec::new();
    for ((cluster, resolution), pipelines) in found {
        let length = length(resolution);
        let starts = pipelines.values().flatten().map(|file| file.window.start);
        let oldest = retention.oldest(resolution, now);
        // A window is kept while its end is later than the oldest time.
        let first = starts.min().map(|first| match oldest {
            Some(oldest) => first.max(next_boundary(oldest - length, length)),
            None => first,
        });
        for pipeline in PIPELINES {
            let files = pipelines.get(&pipeline).map_or(&[][..], Vec::as_slice);
            let read = |file: &&&SourceFile| file.error.is_none() || file.rows > 0;
            let present: BTreeSet<_> = files.iter().filter(read).map(|file| file.window.start).collect();
            let read_until = files.iter().filter(read).map(|file| file.window.end).max();
            let missing = first.map_or_else(Vec::new, |first| missing(first, length, now, &present));
            let ends = files.iter().map(|file| file.window.end).max();
            coverages.push(Coverage {
                cluster: cluster.to_owned(),
                pipeline,
                resolution,
                span: files.iter().map(|file| file.window.start).min().zip(ends),
                last_upload: files.iter().map(|file| file.last_modified).max(),
                read_until,
                windows: present.len() as u64,
                missing,
                set_aside: files.iter().filter(|file| file.error.is_some()).count() as u64,
                with_warnings: files.iter().filter(|file| !file.warnings.is_empty()).count() as u64,
                rows: files.iter().map(|file| file.rows).sum(),
                fresh: ends.is_some_and(|end| now - end <= length),
            });
        }
    }
    coverages.sort_by(|a, b| (&a.cluster, a.pipeline, a.resolution).cmp(&(&b.cluster, b.pipeline, b.resolution)));
    coverages
}

/// The first boundary between windows that is later than a time.
fn next_boundary(time: DateTime<Utc>, length: TimeDelta) -> DateTime<Utc> {
    let (seconds, length) = (time.timestamp(), length.num_seconds());
    DateTime::from_timestamp((seconds.div_euclid(length) + 1) * length, 0).unwrap_or(time)
}

/// The windows from the first on that have passed and are not there.
fn missing(
    first: DateTime<Utc>,
    length: TimeDelta,
    now: DateTime<Utc>,
    present: &BTreeSet<DateTime<Utc>>,
) -> Vec<DateTime<Utc>> {
    // Nobody kept costs before; a file that claims to be so old is not one to count from.
    const MOST: usize = 100_000;
    let starts = std::iter::successors(Some(first), |start| start.checked_add_signed(length));
    starts
        .take_while(|start| *start + length <= now)
        .take(MOST)
        .filter(|start| !present.contains(start))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::FileWindow;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn file(cluster: &str, pipeline: Pipeline, day: u32, error: Option<&str>) -> SourceFile {
        let start = at(&format!("2026-03-{day:02}T00:00:00Z"));
        SourceFile {
            path: format!("{cluster}/{}/{day}", pipeline.as_str()),
            cluster: cluster.to_owned(),
            pipeline,
            resolution: Resolution::Day,
            window: FileWindow {
                start,
                end: start + TimeDelta::days(1),
            },
            etag: None,
            size: 1,
            last_modified: start,
            rows: if error.is_some() { 0 } else { 5 },
            error: error.map(str::to_owned),
            ingested: start,
            warnings: BTreeMap::new(),
            figures: BTreeMap::new(),
        }
    }

    #[test]
    fn gaps_are_between_the_first_window_of_a_cluster_and_now() {
        use Pipeline::{Allocations, Assets};
        let files = [
            file("a", Allocations, 1, None),
            file("a", Allocations, 3, Some("cut short")),
            file("a", Allocations, 5, None),
            file("a", Assets, 1, None),
            file("a", Assets, 2, None),
            file("b", Allocations, 4, None),
        ];
        let now = at("2026-03-05T12:00:00Z");
        let covered = coverage(files.iter(), Retention::of(0, 0), now);
        let days = |cluster: &str, pipeline: Pipeline| -> Vec<String> {
            let found = covered
                .iter()
                .find(|found| found.cluster == cluster && found.pipeline == pipeline);
            let missing = &found.unwrap().missing;
            missing.iter().map(|start| start.format("%d").to_string()).collect()
        };
        assert_eq!(days("a", Allocations), ["02", "03", "04"]);
        assert_eq!(days("a", Assets), ["03", "04"]);
        assert_eq!(days("b", Allocations), Vec::<String>::new());
        assert_eq!(days("b", Assets), ["04"]);
        let first = &covered[0];
        assert_eq!(
            (first.windows, first.set_aside, first.rows, first.fresh),
            (2, 1, 10, true)
        );
        assert!(!covered[1].fresh);
        assert_eq!(first.read_until, Some(at("2026-03-06T00:00:00Z")));

        // What is no longer kept is not missing.
        let covered = coverage(files.iter(), Retention::of(2, 0), now);
        assert_eq!(
            covered[0].missing,
            [at("2026-03-03T00:00:00Z"), at("2026-03-04T00:00:00Z")]
        );
    }
}

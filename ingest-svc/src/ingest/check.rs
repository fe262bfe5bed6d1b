//! What may be wrong inside a file that can be read, and what is done about it. `docs/operations/bad-files.md` says the
//! same to people.

use std::collections::{BTreeMap, BTreeSet};

use bingen::{StringTable, Symbol, Timestamp};
use chrono::DateTime;

use super::{FileWindow, columns::micros, decode::DecodeFileError};

/// Something odd, which does not keep a file from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// A number that is none, or infinite. Read as 0.
    NotFinite,
    /// Hours, bytes or an average below zero. Read as 0.
    NegativeAmount,
    /// A cost below zero, as a refund is. Read as it is.
    NegativeCost,
    /// A start or end outside of the file's window. Moved to its bounds.
    OutsideWindow,
    /// A second item of one name. The last one counts.
    DuplicateName,
    /// An item of a cluster that is not the one in whose folder the file is. Read as it is.
    OtherCluster,
    /// No items at all. Read as that.
    Empty,
    /// The set does not say of which window it is. Taken to be that of the file's name.
    NoWindow,
    /// The agent noted a warning.
    AgentWarning,
    /// The agent noted an error.
    AgentError,
}

impl Oddity {
    const ALL: [Self; 10] = [
        Self::NotFinite,
        Self::NegativeAmount,
        Self::NegativeCost,
        Self::OutsideWindow,
        Self::DuplicateName,
        Self::OtherCluster,
        Self::Empty,
        Self::NoWindow,
        Self::AgentWarning,
        Self::AgentError,
    ];

    /// As it stands in the table `source_files`, in metrics and in answers.
    fn as_str(self) -> &'static str {
        match self {
            Self::NotFinite => "not_finite",
            Self::NegativeAmount => "negative_amount",
            Self::NegativeCost => "negative_cost",
            Self::OutsideWindow => "outside_window",
            Self::DuplicateName => "duplicate_name",
            Self::OtherCluster => "other_cluster",
            Self::Empty => "empty",
            Self::NoWindow => "no_window",
            Self::AgentWarning => "agent_warning",
            Self::AgentError => "agent_error",
        }
    }
}

/// What is known of the bucket when a file is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The federated cluster in whose folder the file is.
    pub cluster: &'a str,
    /// The window that the file's name gives.
    pub window: FileWindow,
    /// All federated clusters that have a folder.
    pub clusters: &'a BTreeSet<String>,
}

/// Checks a file while it is read.
#[derive(Debug)]
pub(super) struct Checks<'a> {
    place: Place<'a>,
    counts: [u64; Oddity::ALL.len()],
    /// The row that was last read under a name, by the name's symbol; one more, as 0 is none.
    rows_of_names: Vec<u32>,
    /// Whether each row counts.
    keep: Vec<bool>,
    /// How many items each cluster has, by its symbol.
    clusters: BTreeMap<usize, u64>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(place: Place<'a>) -> Self {
        Self {
            place,
            counts: [0; Oddity::ALL.len()],
            rows_of_names: Vec::new(),
            keep: Vec::new(),
            clusters: BTreeMap::new(),
        }
    }

    pub(super) fn note(&mut self, oddity: Oddity, times: u64) {
        self.counts[oddity as usize] += times;
    }

    /// A row begins, of this name and cluster.
    pub(super) fn row(&mut self, name: Symbol, cluster: Symbol) {
        let row = self.keep.len();
        self.keep.push(true);
        let name = name.index();
        if self.rows_of_names.len() <= name {
            self.rows_of_names.resize(name + 1, 0);
        }
        let before = std::mem::replace(
            &mut self.rows_of_names[name],
            u32::try_from(row + 1).unwrap_or(u32::MAX),
        );
        if before > 0 {
            self.keep[before as usize - 1] = false;
            self.note(Oddity::DuplicateName, 1);
        }
        if cluster != Symbol::EMPTY {
            *self.clusters.entry(cluster.index()).or_default() += 1;
        }
    }

    /// A number that may be of either sign, such as an adjustment or a discount.
    pub(super) fn number(&mut self, value: f64) -> f64 {
        if value.is_finite() {
            return value;
        }
        self.note(Oddity::NotFinite, 1);
        0.0
    }

    /// A cost.
    pub(super) fn cost(&mut self, value: f64) -> f64 {
        let value = self.number(value);
        if value < 0.0 {
            self.note(Oddity::NegativeCost, 1);
        }
        value
    }

    /// Hours, bytes or an average.
    pub(super) fn amount(&mut self, value: f64) -> f64 {
        let value = self.number(value);
        if value >= 0.0 {
            return value;
        }
        self.note(Oddity::NegativeAmount, 1);
        0.0
    }

    /// When an item began and ended, in microseconds since the Unix epoch, within the window.
    pub(super) fn times(&mut self, start: Timestamp, end: Timestamp) -> (i64, i64) {
        let window = self.place.window;
        let (first, last) = (window.start.timestamp_micros(), window.end.timestamp_micros());
        let told = (micros(start, window.start), micros(end, window.end));
        let (start, end) = (told.0.clamp(first, last), told.1.clamp(first, last));
        let times = if start > end { (first, last) } else { (start, end) };
        if times != told {
            self.note(Oddity::OutsideWindow, 1);
        }
        times
    }

    /// Which rows count; none when all do.
    pub(super) fn kept(&mut self) -> Option<Vec<bool>> {
        (self.counts[Oddity::DuplicateName as usize] > 0).then(|| std::mem::take(&mut self.keep))
    }

    /// Ends the checks with what stands around the items.
    ///
    /// # Errors
    /// When the set is of another window than the file's name says, or of another cluster that has files of its own.
    pub(super) fn finish(
        mut self,
        strings: &StringTable<'_>,
        window: bingen::Window,
        agent: [usize; 2],
        rows: usize,
    ) -> Result<BTreeMap<String, u64>, DecodeFileError> {
        let named = self.place.window;
        match (window.start, window.end) {
            (Some(start), Some(end)) if !start.is_unset() && !end.is_unset() => {
                let told = (start.unix_seconds(), end.unix_seconds());
                if told != (named.start.timestamp(), named.end.timestamp()) {
                    return Err(DecodeFileError::Window {
                        found: show(told),
                        named,
                    });
                }
            }
            _ => self.note(Oddity::NoWindow, 1),
        }
        for (symbol, items) in std::mem::take(&mut self.clusters) {
            let Some(cluster) = strings
                .strings()
                .get(symbol)
                .filter(|cluster| *cluster != self.place.cluster)
            else {
                continue;
            };
            if self.place.clusters.contains(cluster.as_ref()) {
                return Err(DecodeFileError::OtherCluster {
                    found: cluster.to_string(),
                    items,
                    folder: self.place.cluster.to_owned(),
                });
            }
            self.note(Oddity::OtherCluster, items);
        }
        let [warnings, errors] = agent;
        self.note(Oddity::AgentWarning, warnings as u64);
        self.note(Oddity::AgentError, errors as u64);
        self.note(Oddity::Empty, u64::from(rows == 0));
        let found = Oddity::ALL
            .into_iter()
            .map(|oddity| (oddity, self.counts[oddity as usize]));
        Ok(found
            .filter(|(_, count)| *count > 0)
            .map(|(oddity, count)| (oddity.as_str().to_owned(), count))
            .collect())
    }
}

fn show((start, end): (i64, i64)) -> String {
    let time =
        |seconds| DateTime::from_timestamp(seconds, 0).map_or_else(|| seconds.to_string(), |time| time.to_rfc3339());
    format!("{} to {}", time(start), time(end))
}

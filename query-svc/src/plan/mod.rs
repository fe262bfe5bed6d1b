//! The relational part of a query: which table and files answer it, and the plan over them.

mod name;
mod rows;

use std::sync::Arc;

use cost_model::{Accumulate, Aggregation, AllocationKey, AssetAggregation, Calendar, LabelAliases, Step, Window};
use cost_plan::{aggregate, table::ReleasedFiles};
use datafusion::{
    common::ScalarValue,
    error::DataFusionError,
    logical_expr::{Expr, col, lit},
    prelude::{DataFrame, SessionContext},
};
use lake::{DataFile, Lake, Resolution, TableName, schema::allocations};

use crate::release::Served;

/// Column of a result that counts its sets from 0.
pub(crate) const SET: &str = "set";
/// Column of a result that holds the name of an allocation.
pub(crate) const NAME: &str = "name";
/// Column of a result that holds the name of what assets were added up to. They have a name of their own, which an
/// aggregate keeps when its members agree on it.
pub(crate) const KEY: &str = "key";

/// The most steps in one question: an answer has an entry for each, empty ones included.
pub(crate) const MOST_STEPS: u64 = 100_000;

/// The span that a question is about, and the sets that it is to be answered in.
#[derive(Clone, Debug)]
pub(crate) struct Sets {
    /// In whole steps.
    window: Window,
    step: Step,
    /// In order of time, next to each other.
    windows: Vec<Window>,
    /// Whether a set may hold several steps.
    accumulated: bool,
}

/// More sets than an answer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the window holds {found} steps of {step}, allowed are {MOST_STEPS}: ask for a shorter window or a longer step"
)]
pub(crate) struct TooManySteps {
    found: u64,
    step: Step,
}

impl Sets {
    pub(crate) fn new(window: Window, step: Step, accumulate: Accumulate) -> Result<Self, TooManySteps> {
        let calendar = Calendar::utc();
        let found = window.step_count(step, calendar);
        if found > MOST_STEPS {
            return Err(TooManySteps { found, step });
        }
        let window = window.align(step, calendar);
        let mut windows: Vec<Window> = window
            .steps(step, calendar)
            .map(|set| accumulate.bucket(set, window, calendar))
            .collect();
        windows.dedup();
        Ok(Self {
            window,
            step,
            windows,
            accumulated: accumulate != Accumulate::None,
        })
    }

    pub(crate) fn windows(&self) -> &[Window] {
        &self.windows
    }

    pub(crate) fn accumulated(&self) -> bool {
        self.accumulated
    }

    /// The column [`SET`], computed from the start of a row's window.
    fn column(&self) -> Expr {
        let starts = self.windows.iter().map(|set| set.start().timestamp_micros()).collect();
        rows::set_of(col(allocations::WINDOW_START), starts).alias(SET)
    }

    fn holds(&self) -> Expr {
        let micros = |time: chrono::DateTime<chrono::Utc>| {
            lit(ScalarValue::TimestampMicrosecond(
                Some(time.timestamp_micros()),
                Some("UTC".into()),
            ))
        };
        col(allocations::WINDOW_START)
            .gt_eq(micros(self.window.start()))
            .and(col(allocations::WINDOW_START).lt(micros(self.window.end())))
    }

    fn may_hold(&self, file: &DataFile) -> bool {
        let resolution = match self.step {
            Step::Hour => Resolution::Hour,
            Step::Day => Resolution::Day,
        };
        // A window that ends at midnight does not reach into the day that begins there.
        let last = self.window.end() - chrono::TimeDelta::microseconds(1);
        file.partition.resolution == resolution
            && (self.window.start().date_naive()..=last.date_naive()).contains(&file.partition.day)
    }
}

/// The table that answers a question at the least cost.
fn allocation_table(aggregation: &Aggregation) -> TableName {
    let in_derived_table = |key: &AllocationKey| {
        matches!(
            key,
            AllocationKey::Cluster
                | AllocationKey::Namespace
                | AllocationKey::ControllerKind
                | AllocationKey::Controller
                | AllocationKey::Deployment
                | AllocationKey::DaemonSet
                | AllocationKey::StatefulSet
                | AllocationKey::Job
        )
    };
    if aggregation.name_keys().iter().all(in_derived_table) {
        TableName::AllocationsByController
    } else {
        TableName::Allocations
    }
}

/// The session and lake that plans run in.
pub(crate) struct Planner {
    session: SessionContext,
    lake: Lake,
    aliases: Arc<LabelAliases>,
}

impl Planner {
    pub(crate) fn new(session: SessionContext, lake: Lake) -> Self {
        Self {
            session,
            lake,
            aliases: Arc::new(LabelAliases::default()),
        }
    }

    /// Allocations by set and name.
    pub(crate) fn allocations(
        &self,
        served: &Served,
        sets: &Sets,
        aggregation: Aggregation,
    ) -> Result<DataFrame, DataFusionError> {
        let input = self.scan(served, allocation_table(&aggregation), sets)?;
        let name = name::name_of(aggregation, &self.aliases).alias(NAME);
        aggregate::allocations(input, vec![sets.column(), name])
    }

    /// Assets by set and name.
    pub(crate) fn assets(
        &self,
        served: &Served,
        sets: &Sets,
        aggregation: AssetAggregation,
    ) -> Result<DataFrame, DataFusionError> {
        let input = self.scan(served, TableName::Assets, sets)?;
        let name = name::name_of(aggregation, &self.aliases).alias(KEY);
        aggregate::assets(input, vec![sets.column(), name])
    }

    fn scan(&self, served: &Served, table: TableName, sets: &Sets) -> Result<DataFrame, DataFusionError> {
        let files = served.files(table).iter().filter(|file| sets.may_hold(file));
        let files = ReleasedFiles::new(&self.lake, table, files);
        self.session.read_table(Arc::new(files))?.filter(sets.holds())
    }
}

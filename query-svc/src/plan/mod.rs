//! The relational part of a query: which table and files answer it, and the plan over them.

mod factor;
mod filter;
mod keys;
mod labels;
mod parts;
mod per_codes;
mod rows;
mod scope;
mod sets;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use arrow::array::RecordBatch;
use cost_model::{AssetAggregation, Filter, LabelAliases, Scope, aggregation::Grouping};
use cost_plan::aggregate::{self, Input, derived_keys};
use datafusion::{
    error::Result,
    execution::{SessionStateBuilder, runtime_env::RuntimeEnv},
    logical_expr::{Expr, col, lit},
    optimizer::{OptimizerRule, optimize_projections::OptimizeProjections},
    physical_optimizer::{
        PhysicalOptimizerRule, combine_partial_final_agg::CombinePartialFinalAggregate,
        ensure_requirements::EnsureRequirements,
    },
    prelude::{DataFrame, SessionConfig, SessionContext},
};
use futures::StreamExt as _;
use lake::{TableName, schema::assets};
use tracing::{Span, field, info_span};

pub(crate) use self::{
    factor::{Factors, Place, PlaceKind, factor_of},
    filter::{CodedField, matches},
    keys::CodedKey,
    labels::CodedLabels,
    parts::Parts,
    per_codes::{CodeArguments, PerCodes},
    sets::{Sets, TooManySteps},
};
use crate::{
    release::Served,
    warm::{self, Block, ClusterTest, ScanCounts},
};

/// Column of a result that counts its sets from 0.
pub(crate) const SET: &str = "set";

/// Below this many rows, a second thread costs more than it brings.
const PARALLEL_ROWS: u64 = 64 * 1024;

/// Column of a result that holds the code of a key.
pub(crate) fn key_column(index: usize) -> String {
    format!("key_{index}")
}

/// A result that has almost as many rows as its table comes in one piece of up to this many.
const FINE_RESULT_ROWS: usize = 1 << 20;

/// The sessions that plans run in.
pub(crate) struct Planner {
    /// For small tables.
    serial: SessionContext,
    /// For large tables: each thread adds up a part of the rows, and then the parts of some groups.
    parallel: SessionContext,
    /// For results almost as large as their table, where adding up parts twice costs more than it brings.
    fine: SessionContext,
    threads: usize,
    pub(crate) aliases: Arc<LabelAliases>,
}

/// The rules that plans are optimized by.
struct Rules {
    logical: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
    physical: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
}

impl Rules {
    /// For small tables, which are read sooner than a plan is made better.
    fn few() -> Self {
        Self {
            logical: Vec::new(),
            physical: vec![Arc::new(CombinePartialFinalAggregate::new())],
        }
    }

    /// For large tables: columns that nobody asks about are not filtered, and threads share the work.
    fn more() -> Self {
        Self {
            logical: vec![Arc::new(OptimizeProjections::new())],
            physical: vec![
                Arc::new(EnsureRequirements::new()),
                Arc::new(CombinePartialFinalAggregate::new()),
            ],
        }
    }
}

impl Planner {
    pub(crate) fn new(runtime: &Arc<RuntimeEnv>) -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let session = |partitions, batch_rows, rules: Rules| {
            let config = SessionConfig::new()
                .with_target_partitions(partitions)
                .with_batch_size(batch_rows)
                // Pieces of blocks are cut to a good size already.
                .with_coalesce_batches(false);
            let state = SessionStateBuilder::new()
                .with_config(config)
                .with_runtime_env(Arc::clone(runtime))
                // Plans are made by us, of a few shapes and of exact types, so that most rules find nothing to do. They
                // would take longer than most questions take to answer.
                .with_analyzer_rules(Vec::new())
                .with_optimizer_rules(rules.logical)
                .with_physical_optimizer_rules(rules.physical)
                .build();
            SessionContext::new_with_state(state)
        };
        Self {
            serial: session(1, warm::PIECE_ROWS, Rules::few()),
            parallel: session(threads, warm::PIECE_ROWS, Rules::more()),
            fine: session(1, FINE_RESULT_ROWS, Rules::more()),
            threads,
            aliases: Arc::default(),
        }
    }
}

/// What was read to answer a question, for whoever wants to know.
#[derive(Debug)]
pub(crate) struct ReadTable {
    pub(crate) table: TableName,
    pub(crate) files: u64,
    pub(crate) rows: u64,
    pub(crate) reason: &'static str,
    pub(crate) counts: Arc<ScanCounts>,
}

/// One question's view of a release.
pub(crate) struct Reader<'a> {
    pub(crate) planner: &'a Planner,
    pub(crate) served: &'a Served,
    pub(crate) sets: &'a Sets,
    /// What the answer may be made of.
    scope: &'a Scope,
    /// Whether what reconciliation with the bill has added is left out.
    pub(crate) unreconciled: bool,
    read: Mutex<Vec<ReadTable>>,
    plans: Mutex<Vec<String>>,
    explain: bool,
}

/// Rows of a table, and what adding them up needs to know.
pub(crate) struct Rows {
    pub(crate) frame: DataFrame,
    /// The same rows in parts that are best added up one by one; none where that brings nothing.
    pub(crate) parts: Parts,
    pub(crate) input: Input,
}

impl Rows {
    /// Changes the rows.
    pub(crate) fn try_map(self, change: impl Fn(DataFrame) -> Result<DataFrame>) -> Result<Self> {
        Ok(Self {
            frame: change(self.frame)?,
            parts: Parts {
                frames: self.parts.frames.into_iter().map(&change).collect::<Result<_>>()?,
                ..self.parts
            },
            input: self.input,
        })
    }
}

/// The table that tells these columns apart at the least cost, and why.
fn table_for(base: TableName, columns: &BTreeSet<&'static str>) -> (TableName, &'static str) {
    let tells = |table: &TableName| {
        let keys = derived_keys(*table).unwrap_or_default();
        columns.iter().all(|column| keys.contains(column))
    };
    match base.derived().iter().find(|table| tells(table)) {
        Some(table) => (
            *table,
            "the smallest derived table that tells apart what is asked about",
        ),
        None => (base, "no derived table tells apart what is asked about"),
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        planner: &'a Planner,
        served: &'a Served,
        sets: &'a Sets,
        scope: &'a Scope,
        explain: bool,
    ) -> Self {
        Self {
            planner,
            served,
            sets,
            scope,
            unreconciled: false,
            read: Mutex::default(),
            plans: Mutex::default(),
            explain,
        }
    }

    /// The rows of the question's window and scope, of the smallest table that tells `columns` apart.
    ///
    /// Whatever is answered is made of rows that come from here, so what is out of scope is in no sum.
    pub(crate) async fn rows<F: CodedField>(
        &self,
        base: TableName,
        columns: &BTreeSet<&'static str>,
        filter: &Filter<F>,
    ) -> Result<Rows> {
        let scope = scope::Rows::new(self.scope, base);
        let columns: BTreeSet<_> = columns.iter().copied().chain(scope.columns()).collect();
        let (table, reason) = table_for(base, &columns);
        let days = self.sets.days();
        let resolution = self.sets.resolution();
        let blocks: Vec<_> = self
            .served
            .blocks(table)
            .iter()
            .filter(|block| block.resolution == resolution && block.may_hold(&days))
            .cloned()
            .collect();
        let warm = self.served.warm();
        let mut in_memory = Vec::with_capacity(blocks.len());
        for spec in &blocks {
            in_memory.push(warm.peek(spec).await);
        }
        let clusters: ClusterTest = {
            let (filter, scope, dictionary) = (filter.clone(), scope.clone(), Arc::clone(warm.dictionary()));
            Arc::new(move |cluster| {
                let names = dictionary.read();
                let cluster = names.text_of(cluster);
                filter.may_match_cluster(cluster) && scope.may_hold_cluster(cluster)
            })
        };
        let counts = Arc::new(ScanCounts::default());
        let rows = blocks.iter().map(|block| block.rows()).sum();
        let is_fine = rows >= PARALLEL_ROWS && columns.contains(parts::FINE_COLUMN) && filter.is_all();
        let (session, partitions) = match rows {
            ..PARALLEL_ROWS => (&self.planner.serial, 1),
            _ if is_fine => (&self.planner.fine, 1),
            _ => (&self.planner.parallel, self.planner.threads),
        };
        let seen = scope.seen(warm.dictionary());
        let frame_of = |clusters: &ClusterTest| -> Result<DataFrame> {
            let scan = warm::scan(table, warm, &blocks, &days, clusters, partitions, &counts)?;
            let mut frame = session.read_table(Arc::new(scan))?;
            if let Some(seen) = &seen {
                frame = frame.filter(seen.clone())?;
            }
            match self.sets.holds() {
                Some(holds) => frame.filter(holds),
                None => Ok(frame),
            }
        };
        let frame = frame_of(&clusters)?;
        let mut parts = Parts::default();
        // What is not in memory is better read once.
        if is_fine && let Some(blocks) = in_memory.iter().cloned().collect::<Option<Vec<_>>>() {
            for clusters in parts::deal(&parts::rows_of_clusters(&blocks), blocks.len()) {
                let part = frame_of(&(Arc::new(move |cluster| clusters.contains(&cluster)) as _))?;
                parts.frames.push(part);
            }
            parts.blocks = blocks;
        }
        self.note(
            &self.read,
            ReadTable {
                table,
                files: blocks.iter().map(|block| block.files.len() as u64).sum(),
                rows,
                reason,
                counts,
            },
        );
        let mut input = Input::new(Arc::clone(warm.dictionary()));
        input.without = zero_throughout(&in_memory);
        if self.unreconciled && base == TableName::Allocations {
            let adjustments = UNSHARED_COST.into_iter().filter(|cost| cost.ends_with("_adjustment"));
            input.without.extend(adjustments);
        }
        input.single = table.is_base();
        Ok(Rows { frame, parts, input })
    }

    fn note<T>(&self, notes: &Mutex<Vec<T>>, note: T) {
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// Runs a plan. Dropping the future ends the work. There is always a batch, as it knows the columns.
    pub(crate) async fn run(&self, frame: DataFrame) -> Result<Vec<RecordBatch>> {
        self.note_plan(&frame);
        collect(frame).await
    }

    fn note_plan(&self, frame: &DataFrame) {
        if self.explain {
            self.note(&self.plans, frame.logical_plan().display_indent().to_string());
        }
    }

    /// The span in which a question is answered.
    pub(crate) fn span(&self, aggregate: &[String]) -> Span {
        let window = self.sets.window();
        info_span!(
            "answer",
            window.start = %window.start(),
            window.end = %window.end(),
            aggregate = aggregate.join(","),
            release = self.served.release.number,
            table = field::Empty,
            files = field::Empty,
            bytes = field::Empty,
            rows = field::Empty,
        )
    }

    /// Notes in that span what was read so far.
    pub(crate) fn note_read(&self, span: &Span) {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let tables: BTreeSet<_> = read.iter().map(|read| read.table.to_string()).collect();
        let sum = |of: fn(&ReadTable) -> u64| read.iter().map(of).sum::<u64>();
        span.record("table", tables.into_iter().collect::<Vec<_>>().join(","));
        span.record("files", sum(|read| read.counts.files_read.load(Ordering::Relaxed)));
        span.record("bytes", sum(|read| read.counts.bytes_read.load(Ordering::Relaxed)));
        span.record("rows", sum(|read| read.rows));
    }

    /// What was read and planned so far.
    pub(crate) fn notes(self) -> (Vec<ReadTable>, Vec<String>) {
        let Self { read, plans, .. } = self;
        (
            read.into_inner().unwrap_or_else(PoisonError::into_inner),
            plans.into_inner().unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// The expressions that rows are grouped by to be items of sets: the set's number, unless there is but one, and
    /// the codes of the keys.
    pub(crate) fn group_by<K: CodedKey>(&self, grouping: &Grouping<K>) -> Vec<Expr> {
        let mut expressions = self.keys(grouping);
        if self.sets.windows().len() > 1 || expressions.is_empty() {
            expressions.insert(0, self.sets.column().alias(SET));
        }
        expressions
    }

    /// The codes of the keys.
    pub(crate) fn keys<K: CodedKey>(&self, grouping: &Grouping<K>) -> Vec<Expr> {
        let dictionary = self.served.warm().dictionary();
        let keys = grouping.name_keys().iter().enumerate();
        keys.map(|(index, key)| keys::key_of(key, dictionary, &self.planner.aliases).alias(key_column(index)))
            .collect()
    }

    /// Whether a row matches; none when all do.
    pub(crate) fn matches<F: CodedField>(&self, filter: &Filter<F>) -> Option<Expr> {
        let dictionary = self.served.warm().dictionary();
        (!filter.is_all()).then(|| matches(filter, dictionary, &self.planner.aliases))
    }

    /// Assets by set and name.
    pub(crate) async fn assets(
        &self,
        grouping: &AssetAggregation,
        filter: &cost_model::AssetFilter,
    ) -> Result<Vec<RecordBatch>> {
        let columns = told_apart(grouping).chain(filter_columns(filter)).collect();
        let Rows {
            mut frame, mut input, ..
        } = self.rows(TableName::Assets, &columns, filter).await?;
        if let Some(matches) = self.matches(filter) {
            frame = frame.filter(matches)?;
        }
        input.without.insert(assets::FEDERATED_CLUSTER);
        self.run(aggregate::assets(frame, self.group_by(grouping), &input)?)
            .await
    }
}

/// The columns that are zero in all blocks. Of one that is not in memory nothing is known.
fn zero_throughout(blocks: &[Option<Arc<Block>>]) -> BTreeSet<&'static str> {
    let zero = blocks
        .iter()
        .map(|block| block.as_ref().map(|block| block.zero.clone()));
    let common = zero
        .map(Option::unwrap_or_default)
        .reduce(|common, zero| &common & &zero);
    common.unwrap_or_default()
}

async fn collect(frame: DataFrame) -> Result<Vec<RecordBatch>> {
    let mut stream = frame.execute_stream().await?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch?);
    }
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(stream.schema()));
    }
    Ok(batches)
}

/// The columns that a grouping tells apart.
pub(crate) fn told_apart<K: CodedKey>(grouping: &Grouping<K>) -> impl Iterator<Item = &'static str> {
    grouping.name_keys().iter().flat_map(CodedKey::told_apart).copied()
}

/// The columns that a filter tells apart.
pub(crate) fn filter_columns<F: CodedField>(filter: &Filter<F>) -> impl Iterator<Item = &'static str> {
    filter.fields().flat_map(CodedField::columns).copied()
}

/// The cost of a row by these columns, of those that are not zero throughout.
pub(crate) fn sum_of(columns: &[&'static str], input: &Input) -> Expr {
    let present = columns.iter().filter(|column| !input.without.contains(*column));
    present
        .map(|column| col(*column))
        .reduce(|a, b| a + b)
        .unwrap_or_else(|| lit(0.0))
}

/// What a row's CPU costs.
pub(crate) const CPU_COST: [&str; 2] = ["cpu_cost", "cpu_cost_adjustment"];
/// What a row's GPUs cost.
pub(crate) const GPU_COST: [&str; 2] = ["gpu_cost", "gpu_cost_adjustment"];
/// What a row's memory costs.
pub(crate) const RAM_COST: [&str; 2] = ["ram_cost", "ram_cost_adjustment"];
/// What a row costs without what is shared with it.
pub(crate) const UNSHARED_COST: [&str; 13] = [
    "cpu_cost",
    "cpu_cost_adjustment",
    "gpu_cost",
    "gpu_cost_adjustment",
    "ram_cost",
    "ram_cost_adjustment",
    "pv_cost",
    "pv_cost_adjustment",
    "network_cost",
    "network_cost_adjustment",
    "load_balancer_cost",
    "load_balancer_cost_adjustment",
    "external_cost",
];

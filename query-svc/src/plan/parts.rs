//! Results that are almost as large as their table: threads add up clusters of their own.
//!
//! Where a group is of few rows, adding up parts of it on each thread and then the parts costs more than it brings. But a
//! pod is of one cluster, so what a thread makes of its clusters is complete, except for the few names that clusters of
//! different threads have in common. Those are added up once more, over all clusters.

use std::hash::{Hash, Hasher};

use arrow::{
    array::{ArrayRef, AsArray as _, BooleanArray, RecordBatch},
    compute::filter,
    datatypes::UInt32Type,
};
use cost_model::aggregation::Grouping;
use cost_plan::dictionary::Code;
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{col, lit},
    prelude::DataFrame,
};
use indexmap::IndexMap;
use rustc_hash::{FxHashSet, FxHasher};

use super::{CodedKey, Reader, Rows, SET, key_column};

/// Columns that have about as many values as there are rows.
pub(super) const FINE_COLUMN: &str = "pod";

/// Rows of each block that a pass reads at least, so that what is done once per piece weighs little.
const PASS_ROWS: usize = 2048;

/// Deals clusters out to threads, so that each has about as many rows, and within a thread to passes over the blocks.
/// `rows_of` says how many rows each cluster has, in the order in which blocks have them.
///
/// A pass is of few clusters, so that what is known of their groups stays in the processor's cache from day to day.
pub(super) fn deal(rows_of: &IndexMap<Code, usize>, blocks: usize, threads: usize) -> Vec<Vec<FxHashSet<Code>>> {
    let per_thread = rows_of.values().sum::<usize>().div_ceil(threads.max(1)).max(1);
    let mut dealt: Vec<Vec<(usize, FxHashSet<Code>)>> = Vec::new();
    let mut before = 0;
    for (cluster, rows) in rows_of {
        let thread = (before + rows / 2) / per_thread;
        before += rows;
        while dealt.len() <= thread {
            dealt.push(Vec::new());
        }
        let passes = &mut dealt[thread];
        match passes.last_mut().filter(|(rows, _)| *rows < PASS_ROWS * blocks) {
            Some((all, clusters)) => {
                *all += rows;
                clusters.insert(*cluster);
            }
            None => passes.push((*rows, [*cluster].into_iter().collect())),
        }
    }
    dealt.retain(|passes| !passes.is_empty());
    let passes = dealt
        .into_iter()
        .map(|passes| passes.into_iter().map(|(_, clusters)| clusters).collect());
    passes.collect()
}

impl Reader<'_> {
    /// Runs the plan that adds up rows by the keys of `grouping`.
    pub(crate) async fn run_parts<K: CodedKey>(
        &self,
        rows: Rows,
        grouping: &Grouping<K>,
        add_up: impl Fn(DataFrame) -> Result<DataFrame>,
    ) -> Result<Vec<RecordBatch>> {
        let Rows { frame, parts, .. } = rows;
        let keys = grouping.name_keys();
        let fine_key = keys
            .iter()
            .position(|key| key.is_column() && key.columns() == [FINE_COLUMN]);
        let parts = parts.into_iter().map(&add_up).reduce(|all, part| all?.union(part?));
        let (Some(parts), Some(fine_key)) = (parts, fine_key) else {
            return self.run(add_up(frame)?).await;
        };
        let mut found = self.run(parts?).await?;
        let common = common(&found, keys.len(), fine_key)?;
        if common.is_empty() {
            return Ok(found);
        }
        let is_common = col(FINE_COLUMN).in_list(common.iter().map(|code| lit(*code)).collect(), false);
        let whole = self.run(add_up(frame.filter(is_common)?)?).await?;
        for batch in &mut found {
            let codes = codes(batch, &key_column(fine_key))?;
            let complete: BooleanArray = codes.iter().map(|code| Some(!common.contains(code))).collect();
            *batch = keep(
                std::mem::replace(batch, RecordBatch::new_empty(batch.schema())),
                &complete,
            )?;
        }
        found.extend(whole);
        Ok(found)
    }
}

/// Keeps some of the rows. Each column is given up as soon as there is a shorter one.
fn keep(batch: RecordBatch, rows: &BooleanArray) -> Result<RecordBatch> {
    let (schema, columns, _) = batch.into_parts();
    let columns = columns.into_iter().map(|column: ArrayRef| filter(&column, rows));
    Ok(RecordBatch::try_new(schema, columns.collect::<Result<_, _>>()?)?)
}

fn codes<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a [Code]> {
    let column = batch.column_by_name(name);
    match column.and_then(|column| column.as_primitive_opt::<UInt32Type>()) {
        Some(codes) => Ok(codes.values()),
        None => exec_err!("column {name} of the result is missing or not of codes"),
    }
}

/// The codes of the fine key of groups that were found more than once. That two groups are taken for one, as they have
/// the same hash, does no harm.
fn common(batches: &[RecordBatch], keys: usize, fine_key: usize) -> Result<FxHashSet<Code>> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut seen = FxHashSet::with_capacity_and_hasher(rows, Default::default());
    let mut common = FxHashSet::default();
    for batch in batches {
        let key_columns = (0..keys).map(|key| codes(batch, &key_column(key)));
        let mut columns = key_columns.collect::<Result<Vec<_>>>()?;
        let fine = columns[fine_key];
        if batch.column_by_name(SET).is_some() {
            columns.push(codes(batch, SET)?);
        }
        for (row, code) in fine.iter().enumerate() {
            let mut hasher = FxHasher::default();
            columns.iter().for_each(|column| column[row].hash(&mut hasher));
            if !seen.insert(hasher.finish()) {
                common.insert(*code);
            }
        }
    }
    Ok(common)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_cluster_is_dealt_out_once() {
        let rows_of: IndexMap<Code, usize> =
            [(7, 5 * PASS_ROWS), (3, PASS_ROWS), (5, PASS_ROWS), (9, 4 * PASS_ROWS)].into();
        let clusters = |passes: &[FxHashSet<Code>]| {
            let sorted = passes.iter().map(|pass| pass.iter().copied().collect::<BTreeSet<_>>());
            sorted.map(|pass| pass.into_iter().collect()).collect::<Vec<Vec<_>>>()
        };
        let dealt: Vec<_> = deal(&rows_of, 2, 2).iter().map(|passes| clusters(passes)).collect();
        assert_eq!(dealt, [vec![vec![7]], vec![vec![3, 5], vec![9]]]);
        assert_eq!(deal(&rows_of, 1, 1).len(), 1);
        assert_eq!(deal(&rows_of, 1, 16).into_iter().flatten().flatten().count(), 4);
        assert!(deal(&IndexMap::new(), 1, 2).is_empty());
    }
}

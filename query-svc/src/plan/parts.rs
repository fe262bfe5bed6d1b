//! Results that are almost as large as their table: clusters are added up one after the other.
//!
//! Where a group is of few rows, adding up parts of it on each thread and then the parts costs more than it brings. But a
//! pod is of one cluster, so what is made of some clusters is complete, except for the few names that others have too.
//! Those are added up once more, over all clusters. What is known of the groups of a few clusters is small enough for
//! the processor's cache.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch},
    compute::{concat, filter},
};
use cost_model::aggregation::Grouping;
use cost_plan::dictionary::Code;
use datafusion::{
    common::{Result, runtime::SpawnedTask},
    error::DataFusionError,
    logical_expr::{col, lit},
    prelude::DataFrame,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indexmap::IndexMap;
use rustc_hash::{FxHashSet, FxHasher};

use super::{CodedKey, Reader, Rows, SET, collect, key_column};
use crate::{columns::codes, warm::Block};

/// The column that has about as many values as there are rows.
pub(super) const FINE_COLUMN: &str = "pod";

/// Rows of each block that a part has at least, so that what is done once per piece weighs little.
const PART_ROWS: usize = 2048;

/// How many rows each cluster has, in the order in which blocks have them.
pub(super) fn rows_of_clusters(blocks: &[Arc<Block>]) -> IndexMap<Code, usize> {
    let mut rows_of = IndexMap::new();
    for (cluster, rows) in blocks.iter().flat_map(|block| block.rows_of_clusters()) {
        *rows_of.entry(cluster).or_default() += rows;
    }
    rows_of
}

/// Deals clusters out to parts, by how many rows each has.
pub(super) fn deal(rows_of: &IndexMap<Code, usize>, blocks: usize) -> Vec<FxHashSet<Code>> {
    let mut parts: Vec<FxHashSet<Code>> = Vec::new();
    let mut room = 0;
    for (cluster, rows) in rows_of {
        match parts.last_mut() {
            Some(part) if room > 0 => part.insert(*cluster),
            _ => {
                room = PART_ROWS * blocks;
                parts.push([*cluster].into_iter().collect());
                true
            }
        };
        room = room.saturating_sub(*rows);
    }
    parts
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
        let (Some(fine_key), false) = (fine_key, parts.is_empty()) else {
            return self.run(add_up(frame)?).await;
        };
        let plans = parts.into_iter().map(&add_up).collect::<Result<Vec<_>>>()?;
        // They differ in their clusters only.
        plans.iter().take(1).for_each(|plan| self.note_plan(plan));
        // Tasks end with the stream.
        let added_up = stream::iter(plans).map(|plan| async {
            let task = SpawnedTask::spawn(collect_exactly(plan)).join_unwind();
            task.await.map_err(|error| DataFusionError::External(Box::new(error)))?
        });
        let mut found = added_up.buffered(self.planner.threads).try_concat().await?;
        let common = common(&found, keys.len(), fine_key)?;
        if common.is_empty() {
            return Ok(found);
        }
        let is_common = col(FINE_COLUMN).in_list(common.iter().map(|code| lit(*code)).collect(), false);
        let whole = self.run(add_up(frame.filter(is_common)?)?).await?;
        found = found
            .into_iter()
            .map(|batch| {
                let codes = codes(&batch, &key_column(fine_key))?.iter();
                let complete: BooleanArray = codes.map(|code| Some(!common.contains(code))).collect();
                keep(batch, &complete)
            })
            .collect::<Result<_>>()?;
        found.extend(whole);
        Ok(found)
    }
}

/// The result of a plan without the room that its columns have for more rows, since many results are gathered.
async fn collect_exactly(plan: DataFrame) -> Result<Vec<RecordBatch>> {
    let batches = collect(plan).await?.into_iter().map(|batch| {
        let (schema, columns, _) = batch.into_parts();
        // A copy of one array has room for more, a copy of two has not.
        let columns = columns
            .into_iter()
            .map(|column| concat(&[&column, &column.slice(0, 0)]));
        Ok(RecordBatch::try_new(schema, columns.collect::<Result<_, _>>()?)?)
    });
    batches.collect()
}

/// Keeps some of the rows. Each column is given up as soon as there is a shorter one.
fn keep(batch: RecordBatch, rows: &BooleanArray) -> Result<RecordBatch> {
    let (schema, columns, _) = batch.into_parts();
    let columns = columns.into_iter().map(|column: ArrayRef| filter(&column, rows));
    Ok(RecordBatch::try_new(schema, columns.collect::<Result<_, _>>()?)?)
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
        let rows_of = [(7, 5 * PART_ROWS), (3, PART_ROWS), (5, PART_ROWS), (9, 4 * PART_ROWS)];
        let dealt = |blocks| -> Vec<BTreeSet<Code>> {
            let parts = deal(&rows_of.into(), blocks);
            parts.into_iter().map(|part| part.into_iter().collect()).collect()
        };
        assert_eq!(dealt(2), [[7].into(), [3, 5].into(), [9].into()]);
        assert_eq!(dealt(1), [[7].into(), [3].into(), [5].into(), [9].into()]);
        assert_eq!(dealt(100), [[7, 3, 5, 9].into()]);
        assert!(deal(&IndexMap::new(), 1).is_empty());
    }
}

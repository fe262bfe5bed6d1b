//! Results that are almost as large as their table: clusters are added up one after the other.
//!
//! Where a group is of few rows, adding up parts of it on each thread and then the parts costs more than it brings. But a
//! pod is of one cluster, so what is made of some clusters is complete, except for the few names that others have too.
//! Those are added up apart, over all clusters. What is known of the groups of a few clusters is small enough for the
//! processor's cache.

use std::sync::Arc;

use arrow::{
    array::{Array as _, ArrayRef, BooleanArray, RecordBatch},
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
use rustc_hash::FxHashSet;

use super::{CodedKey, Reader, Rows, collect, key_column};
use crate::{columns::codes, warm::Block};

/// The column that has about as many values as there are rows.
pub(super) const FINE_COLUMN: &str = "pod";

/// Rows of each block that a part has at least, so that what is done once per piece weighs little.
const PART_ROWS: usize = 2048;

/// Rows in parts, each of some clusters.
#[derive(Default)]
pub(crate) struct Parts {
    pub(super) frames: Vec<DataFrame>,
    /// All the rows.
    pub(super) blocks: Vec<Arc<Block>>,
}

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

/// The values of the fine column that rows of more than one cluster have.
fn common(blocks: &[Arc<Block>]) -> Result<FxHashSet<Code>> {
    // Codes count up from 0. A cluster's code is kept as one more than it is, so that 0 is none.
    let mut cluster_of: Vec<Code> = Vec::new();
    let mut common = FxHashSet::default();
    for block in blocks {
        for (cluster, codes) in block.codes_of_clusters(FINE_COLUMN)? {
            for code in codes.values() {
                let at = *code as usize;
                if at >= cluster_of.len() {
                    cluster_of.resize(at + 1, 0);
                }
                match cluster_of[at] {
                    0 => cluster_of[at] = cluster + 1,
                    other if other != cluster + 1 => {
                        common.insert(*code);
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(common)
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
        let (Some(fine_key), false) = (fine_key, parts.frames.is_empty()) else {
            return self.run(add_up(frame)?).await;
        };
        // What is told apart by cluster is of one.
        let by_cluster = keys.iter().any(|key| key.is_column() && key.columns() == ["cluster"]);
        let common = if by_cluster {
            Arc::default()
        } else {
            Arc::new(common(&parts.blocks)?)
        };
        let mut plans = Vec::with_capacity(parts.frames.len() + 1);
        if !common.is_empty() {
            // The longest first.
            let is_common = col(FINE_COLUMN).in_list(common.iter().map(|code| lit(*code)).collect(), false);
            plans.push((add_up(frame.filter(is_common)?)?, Arc::default()));
        }
        for part in parts.frames {
            plans.push((add_up(part)?, Arc::clone(&common)));
        }
        // They differ in their rows only, and the first in a long list of names.
        plans.last().into_iter().for_each(|(plan, _)| self.note_plan(plan));
        // Tasks end with the stream.
        let added_up = stream::iter(plans).map(|(plan, without)| async move {
            let task = SpawnedTask::spawn(collect_without(plan, key_column(fine_key), without)).join_unwind();
            task.await.map_err(|error| DataFusionError::External(Box::new(error)))?
        });
        added_up.buffered(self.planner.threads).try_concat().await
    }
}

/// The result of a plan, but for the groups whose key has one of the codes of `without`. It takes no more room than it
/// must, since many results are gathered.
async fn collect_without(plan: DataFrame, key: String, without: Arc<FxHashSet<Code>>) -> Result<Vec<RecordBatch>> {
    let batches = collect(plan).await?.into_iter().map(|batch| {
        let codes = codes(&batch, &key)?.iter();
        let kept: BooleanArray = codes.map(|code| Some(!without.contains(code))).collect();
        let keeps_all = kept.true_count() == kept.len();
        // Each column is given up as soon as there is a shorter one.
        let (schema, columns, _) = batch.into_parts();
        let columns = columns.into_iter().map(|column: ArrayRef| {
            if keeps_all {
                // A filter would keep its room for more rows, as would a copy of one array; a copy of two has none.
                concat(&[&column, &column.slice(0, 0)])
            } else {
                filter(&column, &kept)
            }
        });
        Ok(RecordBatch::try_new(schema, columns.collect::<Result<_, _>>()?)?)
    });
    batches.collect()
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

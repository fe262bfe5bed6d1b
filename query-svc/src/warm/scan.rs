//! Blocks as DataFusion reads them.

use std::{
    fmt,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::datatypes::SchemaRef;
use async_stream::try_stream;
use chrono::NaiveDate;
use cost_plan::{coded, dictionary::Code};
use datafusion::{
    catalog::streaming::StreamingTable,
    error::Result,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::{stream::RecordBatchStreamAdapter, streaming::PartitionStream},
};
use lake::TableName;

use super::{BlockSpec, Warm};

/// The days that a question is about.
pub(crate) type Days = RangeInclusive<NaiveDate>;

/// What was read beyond what was in memory.
#[derive(Debug, Default)]
pub(crate) struct ScanCounts {
    pub(crate) files_read: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
}

/// Tells by a cluster's code whether any of its rows may be asked about.
pub(crate) type ClusterTest = Arc<dyn Fn(Code) -> bool + Send + Sync>;

/// The rows of these days and clusters as a table of `partitions` parts, which threads read side by side.
pub(crate) fn scan(
    table: TableName,
    warm: &Arc<Warm>,
    blocks: &[Arc<BlockSpec>],
    days: &Days,
    clusters: &ClusterTest,
    partitions: usize,
    counts: &Arc<ScanCounts>,
) -> Result<StreamingTable> {
    let schema = coded::schema(&table.schema());
    let mut parts: Vec<(u64, Vec<Arc<BlockSpec>>)> = vec![(0, Vec::new()); partitions.max(1)];
    for block in blocks {
        // To the part with the fewest rows.
        if let Some(part) = parts.iter_mut().min_by_key(|part| part.0) {
            part.0 += block.rows();
            part.1.push(Arc::clone(block));
        }
    }
    let streams = parts.into_iter().map(|(_, blocks)| -> Arc<dyn PartitionStream> {
        Arc::new(BlockStream {
            schema: Arc::clone(&schema),
            warm: Arc::clone(warm),
            blocks,
            days: days.clone(),
            clusters: Arc::clone(clusters),
            counts: Arc::clone(counts),
        })
    });
    StreamingTable::try_new(Arc::clone(&schema), streams.collect())
}

struct BlockStream {
    schema: SchemaRef,
    warm: Arc<Warm>,
    blocks: Vec<Arc<BlockSpec>>,
    days: Days,
    clusters: ClusterTest,
    counts: Arc<ScanCounts>,
}

impl fmt::Debug for BlockStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BlockStream")
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

impl PartitionStream for BlockStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (warm, blocks) = (Arc::clone(&self.warm), self.blocks.clone());
        let (days, clusters, counts) = (self.days.clone(), Arc::clone(&self.clusters), Arc::clone(&self.counts));
        let pieces = try_stream! {
            for spec in blocks {
                let block = match warm.peek(&spec).await {
                    Some(block) => block,
                    None => {
                        counts.files_read.fetch_add(spec.files.len() as u64, Ordering::Relaxed);
                        counts.bytes_read.fetch_add(spec.bytes(), Ordering::Relaxed);
                        warm.block(&spec).await?
                    }
                };
                for piece in block.pieces(&days, |cluster| clusters(cluster)) {
                    yield piece?;
                }
            }
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), pieces))
    }
}

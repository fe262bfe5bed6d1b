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

/// What one thread reads.
#[derive(Clone)]
pub(crate) struct ScanPart {
    pub(crate) blocks: Vec<Arc<BlockSpec>>,
    /// For each reading of the blocks which clusters are read.
    pub(crate) passes: Vec<ClusterTest>,
}

impl ScanPart {
    /// Deals blocks out to threads, so that each has about as many rows.
    pub(crate) fn deal(blocks: &[Arc<BlockSpec>], clusters: &ClusterTest, parts: usize) -> Vec<Self> {
        let mut dealt: Vec<(u64, Vec<Arc<BlockSpec>>)> = vec![(0, Vec::new()); parts.max(1)];
        for block in blocks {
            if let Some(lightest) = dealt.iter_mut().min_by_key(|part| part.0) {
                lightest.0 += block.rows();
                lightest.1.push(Arc::clone(block));
            }
        }
        let parts = dealt.into_iter().map(|(_, blocks)| Self {
            blocks,
            passes: vec![Arc::clone(clusters)],
        });
        parts.collect()
    }
}

/// The rows of these days as a table whose parts threads read side by side.
pub(crate) fn scan(
    table: TableName,
    warm: &Arc<Warm>,
    parts: Vec<ScanPart>,
    days: &Days,
    counts: &Arc<ScanCounts>,
) -> Result<StreamingTable> {
    let schema = coded::schema(&table.schema());
    let streams = parts.into_iter().map(|part| -> Arc<dyn PartitionStream> {
        Arc::new(BlockStream {
            schema: Arc::clone(&schema),
            warm: Arc::clone(warm),
            part,
            days: days.clone(),
            counts: Arc::clone(counts),
        })
    });
    StreamingTable::try_new(Arc::clone(&schema), streams.collect())
}

struct BlockStream {
    schema: SchemaRef,
    warm: Arc<Warm>,
    part: ScanPart,
    days: Days,
    counts: Arc<ScanCounts>,
}

impl fmt::Debug for BlockStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BlockStream")
            .field("blocks", &self.part.blocks.len())
            .finish_non_exhaustive()
    }
}

impl PartitionStream for BlockStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (warm, ScanPart { blocks, passes }) = (Arc::clone(&self.warm), self.part.clone());
        let (days, counts) = (self.days.clone(), Arc::clone(&self.counts));
        let pieces = try_stream! {
            for clusters in passes {
                for spec in &blocks {
                    let block = match warm.peek(spec).await {
                        Some(block) => block,
                        None => {
                            counts.files_read.fetch_add(spec.files.len() as u64, Ordering::Relaxed);
                            counts.bytes_read.fetch_add(spec.bytes(), Ordering::Relaxed);
                            warm.block(spec).await?
                        }
                    };
                    for piece in block.pieces(&days, |cluster| clusters(cluster)) {
                        yield piece;
                    }
                }
            }
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), pieces))
    }
}

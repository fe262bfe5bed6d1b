//! Rows that are kept in memory in coded form, within a bound.

mod block;
mod packed;
mod scan;

use std::sync::{Arc, OnceLock};

use cost_plan::dictionary::Dictionary;
use datafusion::error::{DataFusionError, Result};
use lake::Lake;
use moka::{future::Cache, policy::EvictionPolicy};

pub(crate) use self::{
    block::{Block, BlockSpec},
    packed::PIECE_ROWS,
    scan::{ClusterTest, Days, ScanCounts, scan},
};

/// The cache counts in this unit, since it counts to 2^32 only.
const UNIT_BYTES: u64 = 1024;

/// Blocks in memory, and the dictionary of their codes.
#[derive(Debug)]
pub(crate) struct Warm {
    lake: Lake,
    dictionary: Arc<Dictionary>,
    blocks: Cache<Arc<str>, Arc<Block>>,
    bound: u64,
    /// Bytes of the dictionary when all that was to be read ahead had been, for the first time.
    filled_with: OnceLock<usize>,
}

impl Warm {
    /// Keeps up to `bound` bytes of blocks. What is not kept is read when it is asked about.
    pub(crate) fn new(lake: Lake, bound: u64) -> Self {
        let weight = |key: &Arc<str>, block: &Arc<Block>| {
            let units = (block.bytes() + key.len()) as u64 / UNIT_BYTES;
            u32::try_from(units + 1).unwrap_or(u32::MAX)
        };
        let blocks = Cache::builder()
            .name("warm")
            .weigher(weight)
            .max_capacity(bound / UNIT_BYTES)
            // A question about more than fits must not throw out all that was there.
            .eviction_policy(EvictionPolicy::tiny_lfu())
            .build();
        Self {
            lake,
            dictionary: Arc::default(),
            blocks,
            bound,
            filled_with: OnceLock::new(),
        }
    }

    /// As new, for when the dictionary holds too much that no release names any more.
    pub(crate) fn renewed(&self) -> Self {
        Self::new(self.lake.clone(), self.bound)
    }

    pub(crate) fn dictionary(&self) -> &Arc<Dictionary> {
        &self.dictionary
    }

    /// Bytes that the dictionary had when the first release was read ahead; none before.
    pub(crate) fn filled_with(&self) -> Option<usize> {
        self.filled_with.get().copied()
    }

    /// Says that a release has been read ahead. Only the first one counts.
    pub(crate) fn set_filled_with(&self, dictionary_bytes: usize) {
        self.filled_with.get_or_init(|| dictionary_bytes);
    }

    /// Bytes of blocks that may be kept.
    pub(crate) fn bound(&self) -> u64 {
        self.bound
    }

    /// Bytes of blocks that are kept, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.blocks.weighted_size() * UNIT_BYTES
    }

    /// The block if it is in memory.
    pub(crate) async fn peek(&self, spec: &BlockSpec) -> Option<Arc<Block>> {
        self.blocks.get(&spec.key).await
    }

    /// The block, read if it is not in memory. Who asks for it at the same time shares the read.
    pub(crate) async fn block(&self, spec: &BlockSpec) -> Result<Arc<Block>> {
        self.block_after(spec, None).await
    }

    /// The block, like [`Self::block`]. Files that are in the earlier one as well are not read again while that is in
    /// memory.
    pub(crate) async fn block_after(&self, spec: &BlockSpec, earlier: Option<&BlockSpec>) -> Result<Arc<Block>> {
        let load = async {
            let earlier = match earlier {
                Some(earlier) => self.peek(earlier).await,
                None => None,
            };
            let block = Block::load(&self.lake, spec, &self.dictionary, earlier).await;
            block.map(Arc::new)
        };
        let block = self.blocks.try_get_with(Arc::clone(&spec.key), load).await;
        block.map_err(|error: Arc<DataFusionError>| DataFusionError::Shared(error))
    }

    /// Forgets blocks that `keep` does not name.
    pub(crate) async fn forget(&self, keep: impl Fn(&str) -> bool) {
        for (key, _) in &self.blocks {
            if !keep(&key) {
                self.blocks.invalidate(key.as_ref()).await;
            }
        }
        self.blocks.run_pending_tasks().await;
    }
}

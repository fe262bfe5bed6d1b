//! The endpoints, one file per family.

mod allocation;
mod asset;
mod autocomplete;
mod cloud_cost;
mod cluster;
mod csv;
pub(crate) mod endpoints;
mod explanation;
mod filter;
#[cfg(test)]
mod golden_tests;
mod incoming;
mod ingest;
mod json;
mod needs;
mod number;
pub(crate) mod openapi;
mod outgoing;
mod page;
pub(crate) mod reference_page;
pub(crate) mod saved_views;
mod sets;
mod settings;
pub(crate) mod start_page;
pub(crate) mod status;
mod success;
mod time_range;
pub(crate) mod web_page;

use cost_answer::RecordBatch;

pub(crate) use self::needs::need;
use self::{
    allocation::Allocation,
    incoming::{SetHead, Sets},
    outgoing::Writer as _,
    sets::{SetWriter, Shape},
};
use crate::error::ApiError;

/// Writes a batch as it is written into an answer.
pub(crate) fn write_allocations(batch: &RecordBatch) -> Result<Vec<u8>, ApiError> {
    let mut writer = SetWriter::<Allocation>::new(Shape::List);
    let mut out = Vec::new();
    let mut answer = Vec::new();
    let sets = Sets {
        heads: vec![SetHead::default()],
        explanation: None,
    };
    writer.begin(sets, &mut out)?;
    let mut row = 0;
    while row < batch.num_rows() {
        row = writer.write(batch, row, &mut out)?;
        answer.append(&mut out);
    }
    writer.end(&mut answer);
    Ok(answer)
}

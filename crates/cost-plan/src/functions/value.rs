//! One row's value for a group.

use std::mem::size_of;

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, new_empty_array},
    compute::interleave,
    datatypes::DataType,
};
use datafusion::{common::Result, logical_expr::EmitTo};

use super::{MergeState, compact::copied};

/// Which row's value a group gets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Choice {
    /// The first one, replaced by the first that is not empty.
    Any,
    /// The only one; none when there are more.
    Only,
}

/// Where a group's value is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Group {
    Unseen,
    /// In this chunk, at this row.
    Kept(u32, u32),
    /// The same, but it is empty, so that another may take its place.
    KeptEmpty(u32, u32),
    /// There were several rows.
    Several,
}

/// Keeps the chosen rows of each batch, copied out so that the batch can be dropped.
#[derive(Debug)]
pub(super) struct Values {
    choice: Choice,
    groups: Vec<Group>,
    /// What is kept. The first chunk holds one null.
    chunks: Vec<ArrayRef>,
}

impl Values {
    pub(super) fn any(data_type: &DataType) -> Self {
        Self::new(Choice::Any, data_type)
    }

    pub(super) fn only(data_type: &DataType) -> Self {
        Self::new(Choice::Only, data_type)
    }

    fn new(choice: Choice, data_type: &DataType) -> Self {
        Self {
            choice,
            groups: Vec::new(),
            chunks: vec![arrow::array::new_null_array(data_type, 1)],
        }
    }
}

fn is_empty(values: &ArrayRef, row: usize) -> bool {
    if values.is_null(row) {
        return true;
    }
    match values.data_type() {
        DataType::Map(..) => values.as_map().value_length(row) == 0,
        DataType::List(_) => values.as_list::<i32>().value_length(row) == 0,
        _ => false,
    }
}

impl MergeState for Values {
    fn merge(&mut self, values: &ArrayRef, groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, Group::Unseen);
        let chunk = self.chunks.len() as u32;
        let mut kept: Vec<u64> = Vec::new();
        for (row, group) in groups.iter().enumerate() {
            let group = &mut self.groups[*group];
            *group = match (self.choice, *group) {
                (Choice::Any, Group::Kept(..)) => continue,
                (Choice::Any, Group::KeptEmpty(..)) if is_empty(values, row) => continue,
                (Choice::Any, _) => {
                    kept.push(row as u64);
                    let at = kept.len() as u32 - 1;
                    if is_empty(values, row) {
                        Group::KeptEmpty(chunk, at)
                    } else {
                        Group::Kept(chunk, at)
                    }
                }
                // A null is the state of a group that had several rows, or a value that is not known of one row:
                // in both cases there is nothing to give.
                (Choice::Only, Group::Unseen) if values.is_valid(row) => {
                    kept.push(row as u64);
                    Group::Kept(chunk, kept.len() as u32 - 1)
                }
                (Choice::Only, _) => Group::Several,
            };
        }
        if !kept.is_empty() {
            self.chunks.push(copied(values, kept)?);
        }
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let places: Vec<(usize, usize)> = emit_to
            .take_needed(&mut self.groups)
            .into_iter()
            .map(|group| match group {
                Group::Kept(chunk, row) | Group::KeptEmpty(chunk, row) => (chunk as usize, row as usize),
                Group::Unseen | Group::Several => (0, 0),
            })
            .collect();
        let chunks: Vec<_> = self.chunks.iter().map(ArrayRef::as_ref).collect();
        if places.is_empty() {
            return Ok(new_empty_array(self.chunks[0].data_type()));
        }
        let values = interleave(&chunks, &places)?;
        if self.groups.is_empty() {
            self.chunks.truncate(1);
        }
        Ok(values)
    }

    fn size(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.get_array_memory_size()).sum();
        self.groups.capacity() * size_of::<Group>() + chunks
    }
}

//! The number of a group's only row.

use std::{mem::size_of, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray as _, Float64Array},
    datatypes::Float64Type,
};
use datafusion::{common::Result, logical_expr::EmitTo};

use super::MergeState;

/// Where a group's number is.
#[derive(Clone, Copy, Debug)]
enum Group {
    Unseen,
    Only(f64),
    /// There were several rows, or one whose number is not known: in both cases there is nothing to give.
    Nothing,
}

#[derive(Debug, Default)]
pub(super) struct OnlyNumbers {
    groups: Vec<Group>,
}

impl MergeState for OnlyNumbers {
    fn merge(&mut self, values: &ArrayRef, groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, Group::Unseen);
        for (value, group) in values.as_primitive::<Float64Type>().iter().zip(groups) {
            let group = &mut self.groups[*group];
            *group = match (*group, value) {
                (Group::Unseen, Some(number)) => Group::Only(number),
                _ => Group::Nothing,
            };
        }
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups).into_iter();
        let numbers: Float64Array = groups
            .map(|group| match group {
                Group::Only(number) => Some(number),
                Group::Unseen | Group::Nothing => None,
            })
            .collect();
        Ok(Arc::new(numbers))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Group>()
    }
}

//! Agreement on a string.

use std::{mem::size_of, sync::Arc};

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringViewBuilder};
use datafusion::{common::Result, logical_expr::EmitTo};

use super::MergeState;

/// Empty stands for "unknown" as well as for "not agreed": a member without a value disagrees with one that has
/// one, so the two never need telling apart (the reference's intersection of properties does the same).
#[derive(Debug, Default)]
pub(super) struct Agree {
    groups: Vec<Option<Box<str>>>,
}

impl MergeState for Agree {
    fn merge(&mut self, values: &ArrayRef, groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, None);
        let values = values.as_string_view();
        for (row, group) in groups.iter().enumerate() {
            if values.is_null(row) {
                continue;
            }
            let value = values.value(row);
            match &mut self.groups[*group] {
                Some(agreed) if agreed.is_empty() || agreed.as_ref() == value => {}
                Some(agreed) => *agreed = Box::default(),
                unseen => *unseen = Some(value.into()),
            }
        }
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        let mut values = StringViewBuilder::with_capacity(groups.len()).with_deduplicate_strings();
        for group in groups {
            values.append_value(group.unwrap_or_default());
        }
        Ok(Arc::new(values.finish()))
    }

    fn size(&self) -> usize {
        let strings: usize = self.groups.iter().flatten().map(|value| value.len()).sum();
        self.groups.capacity() * size_of::<Option<Box<str>>>() + strings
    }
}

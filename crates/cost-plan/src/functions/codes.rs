//! Merging codes.

use std::{fmt, mem::size_of, sync::Arc};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, UInt32Array},
    buffer::NullBuffer,
    datatypes::UInt32Type,
};
use datafusion::{common::Result, logical_expr::EmitTo};
use rustc_hash::FxHashMap;

use super::MergeState;
use crate::dictionary::{Code, Dictionary, EMPTY};

/// A group that no row has said anything about.
const UNSEEN: Code = Code::MAX;

/// Both the same, or [`EMPTY`]. A member without a value disagrees with one that has one, so "unknown" and "not
/// agreed" never need telling apart (the reference's intersection of properties does the same).
pub(super) fn agree(present: Code, next: Code) -> Code {
    if present == UNSEEN || present == next {
        next
    } else {
        EMPTY
    }
}

/// The first that is not [`EMPTY`].
pub(super) fn any(present: Code, next: Code) -> Code {
    if present == UNSEEN || present == EMPTY {
        next
    } else {
        present
    }
}

/// The first, or [`EMPTY`] as soon as there is a second.
pub(super) fn only(present: Code, next: Code) -> Code {
    if present == UNSEEN { next } else { EMPTY }
}

/// One code per group, by a rule that merges two.
pub(super) struct Codes<F> {
    rule: F,
    groups: Vec<Code>,
}

impl<F> Codes<F> {
    pub(super) fn new(rule: F) -> Self {
        Self {
            rule,
            groups: Vec::new(),
        }
    }
}

impl<F> fmt::Debug for Codes<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Codes")
            .field("groups", &self.groups.len())
            .finish_non_exhaustive()
    }
}

/// Calls `merge` for each row that has a code, with its group.
fn each_row(values: &ArrayRef, groups: &[usize], mut merge: impl FnMut(usize, Code)) {
    let codes = values.as_primitive::<UInt32Type>();
    if codes.null_count() == 0 {
        for (code, group) in codes.values().iter().zip(groups) {
            merge(*group, *code);
        }
    } else {
        for (code, group) in codes.iter().zip(groups) {
            if let Some(code) = code {
                merge(*group, code);
            }
        }
    }
}

fn emit_codes(groups: &mut Vec<Code>, emit_to: EmitTo) -> ArrayRef {
    let mut codes = emit_to.take_needed(groups);
    if !codes.contains(&UNSEEN) {
        return Arc::new(UInt32Array::from(codes));
    }
    let seen: NullBuffer = codes.iter().map(|code| *code != UNSEEN).collect();
    codes
        .iter_mut()
        .filter(|code| **code == UNSEEN)
        .for_each(|code| *code = EMPTY);
    Arc::new(UInt32Array::new(codes.into(), Some(seen)))
}

impl<F: Fn(Code, Code) -> Code + Send + Sync> MergeState for Codes<F> {
    fn merge(&mut self, values: &ArrayRef, groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, UNSEEN);
        let (present, rule) = (&mut self.groups, &self.rule);
        each_row(values, groups, |group, code| {
            present[group] = rule(present[group], code)
        });
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(emit_codes(&mut self.groups, emit_to))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Code>()
    }
}

/// The entries that all of a group's maps have in common.
#[derive(Debug)]
pub(super) struct CommonEntries {
    dictionary: Arc<Dictionary>,
    groups: Vec<Code>,
    /// Pairs of maps that met before: there are few, however many rows there are.
    met: FxHashMap<(Code, Code), Code>,
}

impl CommonEntries {
    pub(super) fn new(dictionary: Arc<Dictionary>) -> Self {
        Self {
            dictionary,
            groups: Vec::new(),
            met: FxHashMap::default(),
        }
    }
}

fn intersection(dictionary: &Dictionary, one: Code, other: Code) -> Code {
    let common: Vec<_> = {
        let names = dictionary.read();
        let other = names.map_of(other);
        let entries = names.map_of(one).iter();
        entries
            .filter(|entry| other.binary_search(entry).is_ok())
            .copied()
            .collect()
    };
    dictionary.write().map(common)
}

impl MergeState for CommonEntries {
    fn merge(&mut self, values: &ArrayRef, groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, UNSEEN);
        let (present, met, dictionary) = (&mut self.groups, &mut self.met, &self.dictionary);
        each_row(values, groups, |group, code| {
            let common = &mut present[group];
            *common = match *common {
                UNSEEN => code,
                same if same == code => code,
                EMPTY => EMPTY,
                other => *met
                    .entry((other, code))
                    .or_insert_with(|| intersection(dictionary, other, code)),
            };
        });
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(emit_codes(&mut self.groups, emit_to))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Code>() + self.met.capacity() * 4 * size_of::<Code>()
    }
}

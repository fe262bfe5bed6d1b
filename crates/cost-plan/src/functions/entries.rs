//! Merging lists of structs by key.

use std::{mem::size_of, sync::Arc};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, Float64Array, ListArray, StructArray, UInt64Array, new_empty_array},
    buffer::OffsetBuffer,
    compute::{interleave, take},
    datatypes::{DataType, Field, FieldRef, Fields, Float64Type, UInt32Type},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::EmitTo,
};

use rustc_hash::FxHashMap;

use super::MergeState;
use crate::dictionary::Code;

/// An entry of a group: where its other fields stand. Its sums are at the same place of [`MergedEntries::sums`].
#[derive(Clone, Copy, Debug)]
struct Entry {
    chunk: u32,
    row: u32,
}

/// A group, and the key fields of an entry, of which there are at most two; one that is not there is 0.
type EntryKey = (u32, [Code; 2]);

#[derive(Debug)]
pub(super) struct MergedEntries {
    item: FieldRef,
    fields: Fields,
    key_fields: usize,
    /// The entry of each key. Most groups have none at all.
    known: FxHashMap<EntryKey, u32>,
    entries: Vec<Entry>,
    /// For each entry its numbers added up, one after the other.
    sums: Vec<f64>,
    /// First entries of each key, copied out of their batches.
    chunks: Vec<StructArray>,
    groups: usize,
}

impl MergedEntries {
    pub(super) fn new(data_type: &DataType, key_fields: usize) -> Result<Self> {
        let DataType::List(item) = data_type else {
            return exec_err!("merge_entries takes a list of structs, not {data_type}");
        };
        let DataType::Struct(fields) = item.data_type() else {
            return exec_err!("merge_entries takes a list of structs, not {data_type}");
        };
        Ok(Self {
            item: Arc::clone(item),
            fields: fields.clone(),
            key_fields,
            known: FxHashMap::default(),
            entries: Vec::new(),
            sums: Vec::new(),
            chunks: Vec::new(),
            groups: 0,
        })
    }

    fn numbers(&self) -> usize {
        self.fields.iter().filter(|field| is_number(field)).count()
    }

    /// Takes the entries of the first groups out, in order of their groups and keys, each with its sums.
    fn take(&mut self, groups: usize) -> Vec<(EntryKey, Entry, Vec<f64>)> {
        let numbers = self.numbers();
        let mut taken = Vec::new();
        let (mut left, mut left_sums) = (Vec::new(), Vec::new());
        let mut left_known = FxHashMap::default();
        for ((group, key), at) in std::mem::take(&mut self.known) {
            let entry = self.entries[at as usize];
            let sums = &self.sums[at as usize * numbers..][..numbers];
            if (group as usize) < groups {
                taken.push(((group, key), entry, sums.to_vec()));
            } else {
                let group = group - groups as u32;
                left_known.insert((group, key), left.len() as u32);
                left.push(entry);
                left_sums.extend_from_slice(sums);
            }
        }
        (self.known, self.entries, self.sums) = (left_known, left, left_sums);
        self.groups -= groups;
        taken.sort_unstable_by_key(|(key, ..)| *key);
        taken
    }
}

fn is_number(field: &Field) -> bool {
    field.data_type() == &DataType::Float64
}

impl MergeState for MergedEntries {
    fn merge(&mut self, values: &ArrayRef, groups: &[usize], total: usize) -> Result<()> {
        self.groups = total;
        let lists: &ListArray = values.as_list();
        let entries = lists.values().as_struct();
        let keys: Vec<_> = entries.columns()[..self.key_fields]
            .iter()
            .map(|column| column.as_primitive::<UInt32Type>().values())
            .collect();
        let numbers: Vec<&Float64Array> = entries
            .columns()
            .iter()
            .zip(&self.fields)
            .filter(|(_, field)| is_number(field))
            .map(|(column, _)| column.as_primitive::<Float64Type>())
            .collect();
        let chunk = self.chunks.len() as u32;
        let mut kept: Vec<u64> = Vec::new();
        for (row, group) in groups.iter().enumerate() {
            let span = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
            if span.is_empty() || lists.is_null(row) {
                continue;
            }
            // A query has fewer groups, and groups fewer entries, than 32 bits can count.
            let group = *group as u32;
            for at in span {
                let mut key = [0; 2];
                for (code, column) in key.iter_mut().zip(&keys) {
                    *code = column[at];
                }
                let entry = *self.known.entry((group, key)).or_insert_with(|| {
                    kept.push(at as u64);
                    let row = kept.len() as u32 - 1;
                    self.entries.push(Entry { chunk, row });
                    self.sums.extend(std::iter::repeat_n(0.0, numbers.len()));
                    self.entries.len() as u32 - 1
                });
                let sums = &mut self.sums[entry as usize * numbers.len()..];
                for (sum, column) in sums.iter_mut().zip(&numbers) {
                    *sum += column.value(at);
                }
            }
        }
        if !kept.is_empty() {
            let kept = take(lists.values(), &UInt64Array::from(kept), None)?;
            self.chunks.push(kept.as_struct().clone());
        }
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(groups) => groups,
        };
        let entries = self.take(groups);
        let mut lengths = vec![0; groups];
        for ((group, _), ..) in &entries {
            lengths[*group as usize] += 1;
        }
        let offsets = OffsetBuffer::from_lengths(lengths);
        let places: Vec<(usize, usize)> = entries
            .iter()
            .map(|(_, entry, _)| (entry.chunk as usize, entry.row as usize))
            .collect();
        let mut sums = 0..;
        let columns = self
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| -> Result<ArrayRef> {
                if is_number(field) {
                    let sum = sums.next().unwrap_or_default();
                    return Ok(Arc::new(Float64Array::from_iter_values(
                        entries.iter().map(|(_, _, sums)| sums[sum]),
                    )));
                }
                if places.is_empty() {
                    return Ok(new_empty_array(field.data_type()));
                }
                let chunks: Vec<_> = self.chunks.iter().map(|chunk| chunk.column(index).as_ref()).collect();
                Ok(interleave(&chunks, &places)?)
            });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let values = StructArray::try_new(self.fields.clone(), columns, None)?;
        if self.entries.is_empty() {
            self.chunks.clear();
        }
        let lists = ListArray::try_new(Arc::clone(&self.item), offsets, Arc::new(values), None)?;
        Ok(Arc::new(lists))
    }

    fn size(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.get_array_memory_size()).sum();
        let known = self.known.capacity() * (size_of::<(EntryKey, u32)>() + 1);
        let entries = self.entries.capacity() * size_of::<Entry>() + self.sums.capacity() * size_of::<f64>();
        known + entries + chunks
    }
}

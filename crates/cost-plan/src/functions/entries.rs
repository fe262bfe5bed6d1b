//! Merging lists of structs by key.

use std::{collections::BTreeMap, mem::size_of, sync::Arc};

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

use super::MergeState;
use crate::dictionary::Code;

/// An entry: its numbers added up, its other fields where they stand.
#[derive(Debug)]
struct Entry {
    chunk: u32,
    row: u32,
    sums: Vec<f64>,
}

/// By their key fields, of which there are at most two; one that is not there is 0.
type Entries = BTreeMap<[Code; 2], Entry>;

#[derive(Debug)]
pub(super) struct MergedEntries {
    item: FieldRef,
    fields: Fields,
    key_fields: usize,
    /// Most groups have no entries at all.
    groups: Vec<Option<Box<Entries>>>,
    /// First entries of each key, copied out of their batches.
    chunks: Vec<StructArray>,
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
            groups: Vec::new(),
            chunks: Vec::new(),
        })
    }
}

fn is_number(field: &Field) -> bool {
    field.data_type() == &DataType::Float64
}

impl MergeState for MergedEntries {
    fn merge(&mut self, values: &ArrayRef, groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize_with(total, || None);
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
            if lists.is_null(row) || span.is_empty() {
                continue;
            }
            let group = self.groups[*group].get_or_insert_default();
            for at in span {
                let mut key = [0; 2];
                for (code, column) in key.iter_mut().zip(&keys) {
                    *code = column[at];
                }
                let entry = group.entry(key).or_insert_with(|| {
                    kept.push(at as u64);
                    Entry {
                        chunk,
                        row: kept.len() as u32 - 1,
                        sums: vec![0.0; numbers.len()],
                    }
                });
                for (sum, column) in entry.sums.iter_mut().zip(&numbers) {
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
        let groups = emit_to.take_needed(&mut self.groups);
        let lengths = groups
            .iter()
            .map(|group| group.as_ref().map_or(0, |entries| entries.len()));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let entries: Vec<&Entry> = groups.iter().flatten().flat_map(|entries| entries.values()).collect();
        let places: Vec<(usize, usize)> = entries
            .iter()
            .map(|entry| (entry.chunk as usize, entry.row as usize))
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
                        entries.iter().map(|entry| entry.sums[sum]),
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
        if self.groups.is_empty() {
            self.chunks.clear();
        }
        let lists = ListArray::try_new(Arc::clone(&self.item), offsets, Arc::new(values), None)?;
        Ok(Arc::new(lists))
    }

    fn size(&self) -> usize {
        let entries: usize = self.groups.iter().flatten().map(|entries| entries.len()).sum();
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.get_array_memory_size()).sum();
        // An entry's key and sums are a few small allocations.
        self.groups.capacity() * size_of::<Option<Box<Entries>>>() + entries * (size_of::<Entry>() + 64) + chunks
    }
}

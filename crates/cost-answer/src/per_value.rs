//! What is made of values that many rows share, made once.

use std::ops::Range;

use arrow::buffer::OffsetBuffer;

use crate::Entries;

/// What was made of the maps of one column of an answer. Maps that rows share come in a dictionary, of which each is made
/// something of once; of others it is made row by row.
#[derive(Debug, Default)]
pub struct PerValue {
    /// Of the dictionary's maps. Held, so that no other dictionary can take its place in memory.
    offsets: Option<OffsetBuffer<i32>>,
    /// For each map of the dictionary where in `bytes` is what was made of it.
    made: Vec<Option<Range<usize>>>,
    bytes: Vec<u8>,
}

impl PerValue {
    /// Appends to `out` what `make` makes of `entries`. It must be the same for equal entries, and must only append.
    pub fn append<'a>(
        &mut self,
        entries: Entries<'a>,
        out: &mut Vec<u8>,
        make: impl FnOnce(&mut Vec<u8>, Entries<'a>),
    ) {
        let Some((offsets, value)) = entries.shared() else {
            return make(out, entries);
        };
        if !self.offsets.as_ref().is_some_and(|known| known.ptr_eq(offsets)) {
            *self = Self {
                offsets: Some(offsets.clone()),
                made: vec![None; offsets.len()],
                bytes: Vec::new(),
            };
        }
        let bytes = &mut self.bytes;
        let made = self.made[value].get_or_insert_with(|| {
            let start = bytes.len();
            make(bytes, entries);
            start..bytes.len()
        });
        out.extend_from_slice(&self.bytes[made.clone()]);
    }
}

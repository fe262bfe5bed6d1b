//! A cursor over the bytes of a file that reads the format's primitives.

use crate::error::DecodeError;
use crate::strings::{StringTable, Symbol};
use crate::time::{Timestamp, UNIX_EPOCH_SINCE_YEAR_ONE, Window};
use crate::version::{Format, WINDOW};

pub(crate) const TABLE_MAGIC: &[u8; 4] = b"BGST";

/// Bytes of a length before a string in place, or of an index into the table.
const INLINE_STRING_MINIMUM: usize = 2;
const INDEXED_STRING_SIZE: usize = 4;

/// The rest of a file, with the strings seen in it so far.
pub struct Input<'a> {
    rest: &'a [u8],
    length: usize,
    strings: StringTable<'a>,
    table: Option<FileTable>,
}

/// How the indexes of a file's own table map to symbols.
#[derive(Clone, Copy)]
struct FileTable {
    entries: u32,
    // Symbols start with the empty string. A table that does not start with it stands one place further on.
    shift: u32,
    first_empty: u32,
}

impl FileTable {
    #[inline]
    fn symbol(self, index: u32) -> Option<Symbol> {
        if index >= self.entries {
            return None;
        }
        Some(if index == self.first_empty {
            Symbol::EMPTY
        } else {
            Symbol::new(index + self.shift)
        })
    }
}

impl<'a> Input<'a> {
    /// Reads the string table, if there is one.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Self {
            rest: bytes,
            length: bytes.len(),
            strings: StringTable::new(),
            table: None,
        };
        if let Some(rest) = bytes.strip_prefix(TABLE_MAGIC) {
            input.rest = rest;
            input.read_table()?;
        }
        Ok(input)
    }

    fn read_table(&mut self) -> Result<(), DecodeError> {
        const FIELD: &str = "string table";
        let entries = self.count(INLINE_STRING_MINIMUM, FIELD)?;
        if entries == 0 {
            return Ok(());
        }
        let mut strings = StringTable::with_capacity(entries);
        let mut table = FileTable {
            entries: 0,
            shift: 1,
            first_empty: u32::MAX,
        };
        for index in 0..entries {
            let bytes = self.inline_string(FIELD)?;
            if bytes.is_empty() && table.first_empty == u32::MAX {
                table.first_empty = table.entries;
                if index == 0 {
                    table.shift = 0;
                    table.entries += 1;
                    continue;
                }
            }
            strings.push_bytes(bytes);
            table.entries += 1;
        }
        self.strings = strings;
        self.table = Some(table);
        Ok(())
    }

    pub(crate) fn strings(&self) -> &StringTable<'a> {
        &self.strings
    }

    pub(crate) fn into_strings(self) -> StringTable<'a> {
        self.strings
    }

    pub(crate) fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes {
                offset: self.offset(),
                remaining: self.rest.len(),
            })
        }
    }

    /// The fewest bytes a string field of this file takes.
    pub(crate) fn string_minimum(&self) -> usize {
        if self.table.is_some() {
            INDEXED_STRING_SIZE
        } else {
            INLINE_STRING_MINIMUM
        }
    }

    #[inline]
    fn take(&mut self, needed: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(needed) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.unexpected_end(needed, field)),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.unexpected_end(N, field)),
        }
    }

    #[cold]
    fn unexpected_end(&self, needed: usize, field: &'static str) -> DecodeError {
        DecodeError::UnexpectedEnd {
            offset: self.offset(),
            field,
            needed,
            remaining: self.rest.len(),
        }
    }

    #[inline]
    pub(crate) fn int(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_le_bytes(*self.array(field)?))
    }

    #[inline]
    pub(crate) fn float(&mut self, field: &'static str) -> Result<f64, DecodeError> {
        Ok(f64::from_le_bytes(*self.array(field)?))
    }

    /// `N` floats that follow each other, with one check of the length for all.
    #[inline]
    pub(crate) fn floats<const N: usize>(&mut self, field: &'static str) -> Result<[f64; N], DecodeError> {
        let (words, _) = self.take(8 * N, field)?.as_chunks::<8>();
        Ok(std::array::from_fn(|place| f64::from_le_bytes(words[place])))
    }

    #[inline]
    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match *self.array(field)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [found] => Err(self.invalid_flag(found, field)),
        }
    }

    #[cold]
    fn invalid_flag(&self, found: u8, field: &'static str) -> DecodeError {
        DecodeError::InvalidFlag {
            offset: self.offset() - 1,
            field,
            found,
        }
    }

    pub(crate) fn optional_flag(&mut self, field: &'static str) -> Result<Option<bool>, DecodeError> {
        if self.flag(field)? {
            self.flag(field).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(crate) fn optional_float(&mut self, field: &'static str) -> Result<Option<f64>, DecodeError> {
        if self.flag(field)? {
            self.float(field).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A count of entries that take at least `minimum` bytes each, so that what it states fits the rest of the file.
    #[inline]
    pub(crate) fn count(&mut self, minimum: usize, field: &'static str) -> Result<usize, DecodeError> {
        let offset = self.offset();
        let count = self.int(field)?;
        let Ok(count) = usize::try_from(count) else {
            return Err(DecodeError::NegativeCount { offset, field, count });
        };
        let remaining = self.rest.len();
        if count > remaining / minimum {
            return Err(DecodeError::CountTooLarge {
                offset,
                field,
                count,
                minimum,
                remaining,
            });
        }
        Ok(count)
    }

    /// The count of a list or map; zero when it is absent.
    #[inline]
    pub(crate) fn optional_count(&mut self, minimum: usize, field: &'static str) -> Result<usize, DecodeError> {
        if self.flag(field)? {
            self.count(minimum, field)
        } else {
            Ok(0)
        }
    }

    /// The version at the start of the file's top-level value.
    pub(crate) fn version(&mut self, format: Format) -> Result<u8, DecodeError> {
        let offset = self.offset();
        let [found] = *self.array(format.name)?;
        if format.supports(found) {
            Ok(found)
        } else {
            Err(unsupported(offset, found, format))
        }
    }

    /// The head of a nested struct: an int that has no meaning, then the struct's own version.
    #[inline]
    pub(crate) fn structure(&mut self, format: Format) -> Result<u8, DecodeError> {
        let [_, _, _, _, found] = *self.array(format.name)?;
        if format.supports(found) {
            Ok(found)
        } else {
            Err(unsupported(self.offset() - 1, found, format))
        }
    }

    /// A length and that many bytes, as the table's own entries and the names of asset types are written.
    #[inline]
    pub(crate) fn inline_string(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = u16::from_le_bytes(*self.array(field)?);
        self.take(usize::from(length), field)
    }

    /// A string field.
    #[inline]
    pub(crate) fn symbol(&mut self, field: &'static str) -> Result<Symbol, DecodeError> {
        match self.table {
            Some(table) => {
                let index = u32::from_le_bytes(*self.array(field)?);
                table
                    .symbol(index)
                    .ok_or_else(|| self.unknown_string(index, INDEXED_STRING_SIZE, field))
            }
            None => {
                let bytes = self.inline_string(field)?;
                Ok(self.strings.intern_bytes(bytes))
            }
        }
    }

    /// `N` string fields that follow each other.
    #[inline]
    pub(crate) fn symbols<const N: usize>(&mut self, field: &'static str) -> Result<[Symbol; N], DecodeError> {
        let mut symbols = [Symbol::EMPTY; N];
        match self.table {
            Some(table) => {
                let (words, _) = self.take(INDEXED_STRING_SIZE * N, field)?.as_chunks();
                for (place, (symbol, word)) in symbols.iter_mut().zip(words).enumerate() {
                    let index = u32::from_le_bytes(*word);
                    *symbol = table
                        .symbol(index)
                        .ok_or_else(|| self.unknown_string(index, INDEXED_STRING_SIZE * (N - place), field))?;
                }
            }
            None => {
                for symbol in &mut symbols {
                    *symbol = self.symbol(field)?;
                }
            }
        }
        Ok(symbols)
    }

    /// `back` is how far behind the cursor the index stands.
    #[cold]
    fn unknown_string(&self, index: u32, back: usize, field: &'static str) -> DecodeError {
        DecodeError::UnknownString {
            offset: self.offset() - back,
            field,
            index: index.cast_signed(),
            entries: self.table.map_or(0, |table| table.entries as usize),
        }
    }

    /// A list of strings, into `list`, which is cleared first.
    pub(crate) fn symbol_list(&mut self, list: &mut Vec<Symbol>, field: &'static str) -> Result<(), DecodeError> {
        list.clear();
        let count = self.optional_count(self.string_minimum(), field)?;
        list.reserve(count);
        for _ in 0..count {
            list.push(self.symbol(field)?);
        }
        Ok(())
    }

    /// A map of strings to strings, into `map`, which is cleared first.
    #[inline]
    pub(crate) fn symbol_map(
        &mut self,
        map: &mut Vec<(Symbol, Symbol)>,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        map.clear();
        let count = self.optional_count(2 * self.string_minimum(), field)?;
        map.reserve(count);
        for _ in 0..count {
            let [key, value] = self.symbols(field)?;
            map.push((key, value));
        }
        Ok(())
    }

    /// A map of strings to booleans, into `map`, which is cleared first.
    pub(crate) fn flag_map(&mut self, map: &mut Vec<(Symbol, bool)>, field: &'static str) -> Result<(), DecodeError> {
        map.clear();
        let count = self.optional_count(self.string_minimum() + 1, field)?;
        map.reserve(count);
        for _ in 0..count {
            map.push((self.symbol(field)?, self.flag(field)?));
        }
        Ok(())
    }

    /// A moment in Go's binary form. Its zone only says how to print it, so it is left out.
    #[inline]
    pub(crate) fn time(&mut self, field: &'static str) -> Result<Timestamp, DecodeError> {
        const WITHOUT_ZONE_SECONDS: (i32, u8) = (15, 1);
        const WITH_ZONE_SECONDS: (i32, u8) = (16, 2);
        let offset = self.offset();
        let invalid = |reason| DecodeError::InvalidTime { offset, field, reason };
        let length = self.int(field)?;
        let bytes = match length {
            15 | 16 => self.take(length.unsigned_abs() as usize, field)?,
            _ => return Err(invalid("its length is neither 15 nor 16 bytes")),
        };
        let Some(&[version, s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3]) = bytes.first_chunk() else {
            return Err(invalid("its length is neither 15 nor 16 bytes"));
        };
        if (length, version) != WITHOUT_ZONE_SECONDS && (length, version) != WITH_ZONE_SECONDS {
            return Err(invalid("its version does not match its length"));
        }
        let since_year_one = i64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let seconds = since_year_one
            .checked_sub(UNIX_EPOCH_SINCE_YEAR_ONE)
            .ok_or_else(|| invalid("its seconds are too far in the past"))?;
        let nanos = u32::from_be_bytes([n0, n1, n2, n3]);
        Timestamp::new(seconds, nanos).ok_or_else(|| invalid("its nanoseconds are a second or more"))
    }

    fn optional_time(&mut self, field: &'static str) -> Result<Option<Timestamp>, DecodeError> {
        if self.flag(field)? {
            self.time(field).map(Some)
        } else {
            Ok(None)
        }
    }

    #[inline]
    pub(crate) fn window(&mut self) -> Result<Window, DecodeError> {
        self.structure(WINDOW)?;
        Ok(Window {
            start: self.optional_time("Window.start")?,
            end: self.optional_time("Window.end")?,
        })
    }
}

#[cold]
fn unsupported(offset: usize, found: u8, format: Format) -> DecodeError {
    DecodeError::UnsupportedVersion {
        offset,
        type_name: format.name,
        found,
        oldest: format.oldest,
        newest: format.newest,
    }
}

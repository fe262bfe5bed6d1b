//! A buffer that writes the format's primitives.

use crate::error::EncodeError;
use crate::input::TABLE_MAGIC;
use crate::strings::{StringTable, Symbol};
use crate::time::{Timestamp, UNIX_EPOCH_SINCE_YEAR_ONE, Window};
use crate::version::{Format, OLDER_WINDOW, WINDOW};

/// Where the reference cuts strings, as their length is a u16.
const STRING_MAXIMUM: usize = u16::MAX as usize;

/// Bytes to write, with the table of the symbols among them.
pub struct Output<'a> {
    bytes: Vec<u8>,
    pub(crate) strings: StringTable<'a>,
    string_table: bool,
    pub(crate) version: u8,
    window_version: u8,
}

impl<'a> Output<'a> {
    /// An empty buffer for a set of `format` in `version`. Windows are written in their newest version in the newest
    /// sets only: a reader of an older set may not know it.
    pub(crate) fn new(format: Format, version: u8, string_table: bool) -> Self {
        let window_version = if version == format.newest {
            WINDOW.newest
        } else {
            OLDER_WINDOW
        };
        Self {
            bytes: Vec::new(),
            strings: StringTable::new(),
            string_table,
            version,
            window_version,
        }
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(crate) fn float(&mut self, value: f64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn floats<const N: usize>(&mut self, values: [f64; N]) {
        let words = values.map(f64::to_le_bytes);
        self.bytes.extend_from_slice(words.as_flattened());
    }

    pub(crate) fn optional_float(&mut self, value: Option<f64>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            self.float(value);
        }
    }

    pub(crate) fn optional_flag(&mut self, value: Option<bool>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            self.flag(value);
        }
    }

    fn count(&mut self, count: usize, field: &'static str) -> Result<(), EncodeError> {
        let count = i32::try_from(count).map_err(|_| EncodeError::TooManyEntries { field, count })?;
        self.bytes.extend_from_slice(&count.to_le_bytes());
        Ok(())
    }

    /// The head of a list or map that is present.
    pub(crate) fn present_count(&mut self, count: usize, field: &'static str) -> Result<(), EncodeError> {
        self.flag(true);
        self.count(count, field)
    }

    /// The head of a list or map, which is absent when it is empty.
    pub(crate) fn optional_count(&mut self, count: usize, field: &'static str) -> Result<(), EncodeError> {
        if count == 0 {
            self.flag(false);
            return Ok(());
        }
        self.present_count(count, field)
    }

    /// The head of a nested struct of the set's own version.
    pub(crate) fn structure(&mut self) {
        self.structure_of(self.version);
    }

    fn structure_of(&mut self, version: u8) {
        self.bytes.extend_from_slice(&[0, 0, 0, 0, version]);
    }

    pub(crate) fn inline_string(&mut self, string: &str) {
        write_inline_string(&mut self.bytes, string);
    }

    pub(crate) fn symbol(&mut self, symbol: Symbol) -> Result<(), EncodeError> {
        let Some(string) = self.strings.get(symbol) else {
            return Err(EncodeError::UnknownSymbol { symbol });
        };
        if self.string_table {
            // The table is written in the order of its symbols, and its count is checked then.
            let index = symbol.index() as u32;
            self.bytes.extend_from_slice(&index.to_le_bytes());
        } else {
            write_inline_string(&mut self.bytes, string);
        }
        Ok(())
    }

    pub(crate) fn symbols(&mut self, symbols: &[Symbol]) -> Result<(), EncodeError> {
        symbols.iter().try_for_each(|&symbol| self.symbol(symbol))
    }

    pub(crate) fn symbol_list(&mut self, list: &[Symbol], field: &'static str) -> Result<(), EncodeError> {
        self.optional_count(list.len(), field)?;
        self.symbols(list)
    }

    pub(crate) fn symbol_map(&mut self, map: &[(Symbol, Symbol)], field: &'static str) -> Result<(), EncodeError> {
        self.optional_count(map.len(), field)?;
        map.iter().try_for_each(|&(key, value)| self.symbols(&[key, value]))
    }

    pub(crate) fn flag_map(&mut self, map: &[(Symbol, bool)], field: &'static str) -> Result<(), EncodeError> {
        self.optional_count(map.len(), field)?;
        for &(key, value) in map {
            self.symbol(key)?;
            self.flag(value);
        }
        Ok(())
    }

    pub(crate) fn time(&mut self, time: Timestamp) -> Result<(), EncodeError> {
        const LENGTH: [u8; 4] = 15_i32.to_le_bytes();
        const VERSION: u8 = 1;
        const UTC: [u8; 2] = (-1_i16).to_be_bytes();
        let seconds = time.unix_seconds();
        let since_year_one = seconds
            .checked_add(UNIX_EPOCH_SINCE_YEAR_ONE)
            .ok_or(EncodeError::TimeOutOfRange { seconds })?;
        let mut bytes = [0; 19];
        bytes[..4].copy_from_slice(&LENGTH);
        bytes[4] = VERSION;
        bytes[5..13].copy_from_slice(&since_year_one.to_be_bytes());
        bytes[13..17].copy_from_slice(&time.subsecond_nanos().to_be_bytes());
        bytes[17..].copy_from_slice(&UTC);
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn optional_time(&mut self, time: Option<Timestamp>) -> Result<(), EncodeError> {
        self.flag(time.is_some());
        time.map_or(Ok(()), |time| self.time(time))
    }

    pub(crate) fn window(&mut self, window: &Window) -> Result<(), EncodeError> {
        self.structure_of(self.window_version);
        self.optional_time(window.start)?;
        self.optional_time(window.end)
    }

    /// Takes the bytes written so far out of the buffer.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The whole file: the string table, if it is wanted, and then the parts.
    pub(crate) fn into_file(self, parts: [&[u8]; 3]) -> Result<Vec<u8>, EncodeError> {
        const FIELD: &str = "string table";
        let parts_length: usize = parts.iter().map(|part| part.len()).sum();
        let mut file = Vec::new();
        if self.string_table {
            let strings = self.strings.strings();
            let count = i32::try_from(strings.len()).map_err(|_| EncodeError::TooManyEntries {
                field: FIELD,
                count: strings.len(),
            })?;
            let table_length: usize = strings.iter().map(|string| 2 + string.len().min(STRING_MAXIMUM)).sum();
            file.reserve_exact(TABLE_MAGIC.len() + 4 + table_length + parts_length);
            file.extend_from_slice(TABLE_MAGIC);
            file.extend_from_slice(&count.to_le_bytes());
            for string in strings {
                write_inline_string(&mut file, string);
            }
        } else {
            file.reserve_exact(parts_length);
        }
        for part in parts {
            file.extend_from_slice(part);
        }
        Ok(file)
    }

    /// Whether `format` can be written in `version`.
    pub(crate) fn check_version(version: u8, format: Format) -> Result<(), EncodeError> {
        if format.supports(version) {
            return Ok(());
        }
        Err(EncodeError::UnsupportedVersion {
            type_name: format.name,
            asked: version,
            oldest: format.oldest,
            newest: format.newest,
        })
    }
}

fn write_inline_string(bytes: &mut Vec<u8>, string: &str) {
    let length = string.len().min(STRING_MAXIMUM);
    // The cut above makes every length fit.
    bytes.extend_from_slice(&(length as u16).to_le_bytes());
    bytes.extend_from_slice(&string.as_bytes()[..length]);
}

//! Sets as a table for a spreadsheet: one row per set and item.

use cost_answer::RecordBatch;
use std::marker::PhantomData;

use csv::ByteRecord;
use http::HeaderValue;

use super::{
    incoming::{SetHead, Sets},
    json,
    outgoing::Writer,
    sets::Item,
};
use crate::error::ApiError;

/// What a row of the table holds.
pub(crate) trait CsvItem: Item {
    const FILE: HeaderValue;

    /// The columns beside those of the set's window.
    fn header() -> impl Iterator<Item = &'static str>;

    fn cells(columns: &Self::Columns<'_>, row: usize, cells: &mut Cells);
}

/// The cells of a row.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    record: ByteRecord,
    scratch: Vec<u8>,
}

/// A spreadsheet takes what begins with one of these for a formula, and what others chose to call their workloads must
/// not become one.
const FORMULA: [u8; 6] = *b"=+-@\t\r";

impl Cells {
    pub(crate) fn text(&mut self, text: &str) {
        if text.bytes().next().is_some_and(|first| FORMULA.contains(&first)) {
            self.scratch.clear();
            self.scratch.push(b'\'');
            self.scratch.extend_from_slice(text.as_bytes());
            self.record.push_field(&self.scratch);
        } else {
            self.record.push_field(text.as_bytes());
        }
    }

    /// Cells for what the item does not have.
    pub(crate) fn blank(&mut self, count: usize) {
        for _ in 0..count {
            self.record.push_field(b"");
        }
    }

    /// A cell that is written as JSON writes it.
    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        self.record.push_field(&self.scratch);
    }

    /// A number; empty when it is none.
    pub(crate) fn number(&mut self, value: f64, write: fn(&mut Vec<u8>, f64)) {
        if value.is_finite() {
            self.write(|out| write(out, value));
        } else {
            self.record.push_field(b"");
        }
    }

    pub(crate) fn time(&mut self, time: Option<chrono::DateTime<chrono::Utc>>) {
        self.write(|out| {
            if let Some(time) = time {
                json::time_content(out, time);
            }
        });
    }

    /// Several texts in one cell.
    pub(crate) fn joined<'a>(&mut self, texts: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut joined = String::new();
        for (key, value) in texts {
            if !joined.is_empty() {
                joined.push(';');
            }
            joined.push_str(key);
            if !value.is_empty() {
                joined.push('=');
                joined.push_str(value);
            }
        }
        self.text(&joined);
    }
}

/// Writes sets as a table.
pub(crate) struct CsvWriter<I> {
    sets: Vec<SetHead>,
    cells: Cells,
    item: PhantomData<fn() -> I>,
}

impl<I: CsvItem> CsvWriter<I> {
    pub(crate) fn new() -> Self {
        Self {
            sets: Vec::new(),
            cells: Cells::default(),
            item: PhantomData,
        }
    }
}

/// Rows that are written at a time, which is about a chunk.
const ROWS: usize = 1024;

impl<I: CsvItem> Writer for CsvWriter<I> {
    const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8");
    const FILE: Option<HeaderValue> = Some(I::FILE);

    fn begin(&mut self, sets: Sets, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.sets = sets.heads;
        let header: ByteRecord = ["windowStart", "windowEnd"].into_iter().chain(I::header()).collect();
        let mut writer = csv::Writer::from_writer(out);
        writer.write_byte_record(&header)?;
        writer.flush().map_err(csv::Error::from)?;
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, from: usize, out: &mut Vec<u8>) -> Result<usize, ApiError> {
        let columns = I::columns(batch)?;
        let mut writer = csv::Writer::from_writer(out);
        let next = batch.num_rows().min(from + ROWS);
        for row in from..next {
            let set = I::set(&columns, row) as usize;
            let set = self.sets.get(set).ok_or(ApiError::OutOfOrder)?;
            self.cells.record.clear();
            self.cells.time(set.start);
            self.cells.time(set.end);
            I::cells(&columns, row, &mut self.cells);
            writer.write_byte_record(&self.cells.record)?;
        }
        writer.flush().map_err(csv::Error::from)?;
        Ok(next)
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas() {
        let mut cells = Cells::default();
        for text in ["=1+1", "+x", "-x", "@x", "\tx", "web", "", "a=b"] {
            cells.text(text);
        }
        cells.number(-1.5, json::five_decimals);
        cells.number(f64::NAN, json::five_decimals);
        cells.joined([("=a", "1"), ("b", "")].into_iter());
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_byte_record(&cells.record).unwrap();
        let out = writer.into_inner().unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "'=1+1,'+x,'-x,'@x,'\tx,web,,a=b,-1.5,,'=a=1;b\n"
        );
    }
}

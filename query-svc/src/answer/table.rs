//! The items of an answer in coded form, and how they are put in order and written out.

use std::sync::Arc;

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, RecordBatch, UInt32Array},
    compute::{concat, take},
    datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, TimestampMicrosecondType, UInt32Type},
};
use chrono::DateTime;
use cost_answer::{NAME, SET};
use cost_model::Window;
use cost_plan::dictionary::{Code, Dictionary, EMPTY, Names};
use datafusion::error::{DataFusionError, Result};
use lake::{TableName, schema::allocations};
use rayon::prelude::*;

use super::texts::{Meaning, dictionary, meaning, texts, written, written_structs};
use crate::{
    plan::{self, Sets, key_column},
    question::Page,
};

/// Rows of a chunk that is written out at once.
const CHUNK_ROWS: usize = 4096;

/// The items of an answer, not yet in order.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) rows: RecordBatch,
    /// Names of the last rows, which no keys give: those of idle items.
    pub(crate) special_names: Vec<String>,
    keys: usize,
    base: TableName,
    dictionary: Arc<Dictionary>,
}

/// A set of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetSummary {
    pub(crate) window: Window,
    pub(crate) items: u64,
}

/// An answer: which rows of a table, in which order.
#[derive(Debug)]
pub(crate) struct Answer {
    table: Table,
    order: Vec<u32>,
    pub(crate) sets: Vec<SetSummary>,
    columns: Vec<Written>,
    schema: SchemaRef,
}

fn missing(column: &str) -> DataFusionError {
    DataFusionError::Internal(format!("column {column} of the result is missing or of another type"))
}

/// The rows of all batches. Each column's parts are given up as soon as they are joined, since there may be many rows.
fn joined(batches: Vec<RecordBatch>) -> Result<RecordBatch> {
    let batches = match <[RecordBatch; 1]>::try_from(batches) {
        Ok([only]) => return Ok(only),
        Err(batches) => batches,
    };
    let schema = batches
        .first()
        .map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    let mut columns: Vec<_> = batches
        .into_iter()
        .map(|batch| batch.into_parts().1.into_iter())
        .collect();
    let parts_of = |_| columns.iter_mut().filter_map(Iterator::next).collect();
    let columns: Vec<Vec<ArrayRef>> = schema.fields().iter().map(parts_of).collect();
    let columns = columns
        .into_par_iter()
        .map(|parts| concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()));
    Ok(RecordBatch::try_new(schema, columns.collect::<Result<_, _>>()?)?)
}

impl Table {
    /// The items that a plan gave, whose names are made of `keys` keys.
    pub(crate) fn new(
        batches: Vec<RecordBatch>,
        base: TableName,
        keys: usize,
        dictionary: &Arc<Dictionary>,
    ) -> Result<Self> {
        Ok(Self {
            rows: joined(batches)?,
            special_names: Vec::new(),
            keys,
            base,
            dictionary: Arc::clone(dictionary),
        })
    }

    pub(crate) fn numbers(&self, column: &str) -> Option<&[f64]> {
        let numbers = self.rows.column_by_name(column)?.as_primitive_opt::<Float64Type>()?;
        Some(numbers.values())
    }

    fn codes(&self, column: &str) -> Option<&[Code]> {
        Some(
            self.rows
                .column_by_name(column)?
                .as_primitive_opt::<UInt32Type>()?
                .values(),
        )
    }

    fn times(&self, column: &str) -> Result<&[i64]> {
        let column_or = self.rows.column_by_name(column).ok_or_else(|| missing(column))?;
        let times = column_or.as_primitive_opt::<TimestampMicrosecondType>();
        Ok(times.ok_or_else(|| missing(column))?.values())
    }

    /// The number of each row's set.
    pub(crate) fn sets(&self) -> Vec<u32> {
        // There is no column where there is but one set.
        self.codes(plan::SET)
            .map_or_else(|| vec![0; self.rows.num_rows()], <[Code]>::to_vec)
    }

    /// The codes of each key.
    pub(crate) fn key_codes(&self) -> Vec<&[Code]> {
        (0..self.keys).filter_map(|key| self.codes(&key_column(key))).collect()
    }

    /// How many rows have a name of their keys.
    pub(crate) fn keyed_rows(&self) -> usize {
        self.rows.num_rows() - self.special_names.len()
    }

    fn name(&self, keys: &[&[Code]], row: usize, names: &Names, out: &mut String) {
        out.clear();
        if let Some(special) = row
            .checked_sub(self.keyed_rows())
            .and_then(|at| self.special_names.get(at))
        {
            out.push_str(special);
            return;
        }
        for (index, codes) in keys.iter().enumerate() {
            if index > 0 {
                out.push('/');
            }
            out.push_str(names.text_of(codes[row]));
        }
    }

    /// The window of each set. An accumulated set covers the steps that held anything, as the reference leaves out
    /// empty ones.
    fn windows(&self, sets: &Sets, set_of: &[u32]) -> Result<Vec<Window>> {
        let mut covered = vec![(i64::MAX, i64::MIN); sets.windows().len()];
        if sets.accumulated() {
            let (starts, ends) = (
                self.times(allocations::WINDOW_START)?,
                self.times(allocations::WINDOW_END)?,
            );
            for ((set, start), end) in set_of.iter().zip(starts).zip(ends) {
                if let Some(covered) = covered.get_mut(*set as usize) {
                    *covered = (covered.0.min(*start), covered.1.max(*end));
                }
            }
        }
        let window_of = |(start, end)| {
            let time = DateTime::from_timestamp_micros;
            Window::new(time(start)?, time(end)?)
        };
        Ok(covered
            .into_iter()
            .zip(sets.windows())
            .map(|(covered, window)| window_of(covered).unwrap_or(*window))
            .collect())
    }

    /// All rows, by set, and in a set by `rank` or by name.
    fn in_order(&self, set_of: &[u32], page: &Page, rank: &[f64], by_name: bool) -> Vec<u32> {
        let names = self.dictionary.read();
        let keys = self.key_codes();
        let compare_names = |a: &u32, b: &u32| {
            let name_of = |row: u32| {
                let mut name = String::new();
                self.name(&keys, row as usize, &names, &mut name);
                name
            };
            name_of(*a).cmp(&name_of(*b))
        };
        // Bits of a float in the order of its values, so that what is compared most is plain numbers.
        let place = |row: u32| {
            let bits = rank[row as usize].to_bits();
            let ascending = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
            let place = if page.ascending { ascending } else { !ascending };
            (set_of[row as usize], if by_name { 0 } else { place }, row)
        };
        let mut places: Vec<(u32, u64, u32)> = (0..set_of.len() as u32).map(place).collect();
        places.par_sort_unstable();
        let mut order: Vec<u32> = Vec::with_capacity(places.len());
        for equal in places.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let start = order.len();
            order.extend(equal.iter().map(|(_, _, row)| *row));
            if equal.len() > 1 {
                order[start..].sort_unstable_by(|a, b| {
                    let ordering = compare_names(a, b);
                    if by_name && !page.ascending {
                        ordering.reverse()
                    } else {
                        ordering
                    }
                });
            }
        }
        order
    }

    /// Puts the items of each set in order of `rank`, equal ones by name, and takes the page's part of them. Special
    /// items are on every page.
    pub(crate) fn into_answer(self, sets: &Sets, page: &Page, rank: &[f64], by_name: bool) -> Result<Answer> {
        let set_of = self.sets();
        let windows = self.windows(sets, &set_of)?;
        let mut summaries: Vec<SetSummary> = windows
            .into_iter()
            .map(|window| SetSummary { window, items: 0 })
            .collect();
        for set in &set_of {
            if let Some(summary) = summaries.get_mut(*set as usize) {
                summary.items += 1;
            }
        }
        let mut order = self.in_order(&set_of, page, rank, by_name);
        if page.offset > 0 || page.limit.is_some() {
            let special = self.keyed_rows();
            let end = page.limit.map_or(usize::MAX, |limit| page.offset.saturating_add(limit));
            let (mut current, mut at) = (u32::MAX, 0);
            order.retain(|row| {
                let set = set_of[*row as usize];
                if set != current {
                    (current, at) = (set, 0);
                }
                if *row as usize >= special {
                    return true;
                }
                at += 1;
                (page.offset..end).contains(&(at - 1))
            });
        }
        Answer::new(self, order, summaries)
    }
}

/// How a column is written out.
#[derive(Clone, Copy, Debug)]
enum How {
    AsIs,
    Codes(Meaning),
    Structs,
}

#[derive(Clone, Debug)]
struct Written {
    /// In the table.
    column: usize,
    how: How,
    name: String,
}

/// What the property of assets is called in an answer, where `name` is that of the item.
const ASSET_NAME: &str = "asset_name";

impl Answer {
    fn new(mut table: Table, order: Vec<u32>, sets: Vec<SetSummary>) -> Result<Self> {
        let base = table.base.schema();
        let (schema, mut rows, _) = table.rows.into_parts();
        let mut fields = schema.fields().to_vec();
        // Of each column how it is written out, and the dictionary that it becomes if that is shorter.
        let names = table.dictionary.read();
        let written = rows.par_iter().zip(schema.fields().as_ref()).map(|(column, field)| {
            let of_table = base.field_with_name(field.name()).ok();
            let how = how(field, of_table, column);
            let dictionary = match how {
                Some(How::Codes(meaning)) => {
                    let codes = column.as_primitive::<UInt32Type>().values();
                    dictionary(codes, meaning, &names)?
                }
                _ => None,
            };
            Ok((how, dictionary))
        });
        let written = written.collect::<Result<Vec<_>>>()?;
        drop(names);
        let mut columns = Vec::new();
        for (column, (how, dictionary)) in written.into_iter().enumerate() {
            let Some(mut how) = how else { continue };
            let field = schema.field(column);
            if let Some(dictionary) = dictionary {
                fields[column] = Arc::new(Field::new(field.name(), dictionary.data_type().clone(), true));
                (rows[column], how) = (dictionary, How::AsIs);
            }
            let name = match (table.base, field.name().as_str()) {
                (TableName::Assets, NAME) => ASSET_NAME.to_owned(),
                (_, name) => name.to_owned(),
            };
            columns.push(Written { column, how, name });
        }
        table.rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), rows)?;
        let mut answer = Self {
            table,
            order,
            sets,
            columns,
            schema: Arc::new(Schema::empty()),
        };
        answer.schema = answer.chunk_of(&[])?.schema();
        Ok(answer)
    }

    /// The columns of every chunk.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many rows are written out.
    pub(crate) fn rows(&self) -> usize {
        self.order.len()
    }

    /// How many chunks there are.
    pub(crate) fn chunks(&self) -> usize {
        self.order.len().div_ceil(CHUNK_ROWS)
    }

    /// A part of the items, written out.
    pub(crate) fn chunk(&self, chunk: usize) -> Result<RecordBatch> {
        let start = (chunk * CHUNK_ROWS).min(self.order.len());
        let end = (start + CHUNK_ROWS).min(self.order.len());
        self.chunk_of(&self.order[start..end])
    }

    fn chunk_of(&self, order: &[u32]) -> Result<RecordBatch> {
        let rows = UInt32Array::from(order.to_vec());
        let names = self.table.dictionary.read();
        let set_of: ArrayRef = match self.table.codes(plan::SET) {
            Some(sets) => Arc::new(UInt32Array::from_iter_values(
                order.iter().map(|row| sets[*row as usize]),
            )),
            None => Arc::new(UInt32Array::from(vec![0; order.len()])),
        };
        let mut fields = vec![
            Field::new(SET, DataType::UInt32, false),
            Field::new(NAME, DataType::Utf8, false),
        ];
        let mut columns: Vec<ArrayRef> = vec![set_of, self.names(order, &names)];
        for written_column in &self.columns {
            let column = self.table.rows.column(written_column.column);
            let column = match written_column.how {
                How::AsIs => take(column, &rows, None)?,
                How::Codes(meaning) => {
                    let codes = column.as_primitive::<UInt32Type>().values();
                    let codes: Vec<Code> = order.iter().map(|row| codes[*row as usize]).collect();
                    written(&codes, meaning, &names)?
                }
                How::Structs => written_structs(column.as_list(), order, &names)?,
            };
            fields.push(Field::new(&written_column.name, column.data_type().clone(), true));
            columns.push(column);
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }

    fn names(&self, order: &[u32], names: &Names) -> ArrayRef {
        let keys = self.table.key_codes();
        if let ([codes], true) = (keys.as_slice(), self.table.special_names.is_empty()) {
            return texts(order.iter().map(|row| names.text_of(codes[*row as usize])), order.len());
        }
        let mut column = arrow::array::StringBuilder::with_capacity(order.len(), order.len() * 32);
        let mut name = String::new();
        for row in order {
            self.table.name(&keys, *row as usize, names, &mut name);
            column.append_value(&name);
        }
        Arc::new(column.finish())
    }
}

/// How a column is written out; none for one that says nothing, or that is not of the table.
fn how(field: &Field, of_table: Option<&Field>, column: &ArrayRef) -> Option<How> {
    // What plans need to know of rows is not of interest outside.
    if [
        allocations::WINDOW_START,
        allocations::WINDOW_END,
        allocations::FEDERATED_CLUSTER,
        allocations::UNMOUNTED,
    ]
    .contains(&field.name().as_str())
    {
        return None;
    }
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        let is_zero = |number: Option<f64>| number == Some(0.0);
        let is_optional = of_table.is_some_and(Field::is_nullable);
        let says_nothing = match is_optional {
            true => numbers.null_count() == numbers.len(),
            false => numbers.iter().all(is_zero),
        };
        return (!says_nothing).then_some(How::AsIs);
    }
    if let Some(meaning) = of_table.and_then(|field| meaning(field.data_type())) {
        let codes = column.as_primitive_opt::<UInt32Type>()?;
        return codes
            .values()
            .iter()
            .any(|code| *code != EMPTY)
            .then_some(How::Codes(meaning));
    }
    if let Some(lists) = column.as_list_opt::<i32>() {
        let first = lists.value_offsets().first();
        return (lists.value_offsets().last() != first).then_some(How::Structs);
    }
    of_table.map(|_| How::AsIs)
}

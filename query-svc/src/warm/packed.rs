//! Columns in as little memory as they take, from which pieces are made for plans.

use std::{
    collections::BTreeSet,
    mem::size_of_val,
    ops::Range,
    sync::{Arc, LazyLock},
};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, Float64Array, RecordBatch, UInt32Array},
    buffer::Buffer,
    datatypes::{DataType, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt32Type},
    ipc::{reader::StreamDecoder, writer::StreamWriter},
};
use datafusion::{
    common::{ScalarValue, internal_datafusion_err},
    error::Result,
};

/// The longest piece that a plan gets at once: short enough that its columns stay in the processor's cache from one step
/// of the plan to the next.
pub(crate) const PIECE_ROWS: usize = 16 * 1024;

/// A column of numbers of which at most one in so many is not zero is kept sparsely.
const SPARSE: usize = 4;

/// A column, with all that can be told in fewer bytes told so.
#[derive(Debug)]
enum Packed {
    Dense(ArrayRef),
    /// Numbers that are all zero.
    Zero,
    /// Numbers that are mostly zero: which rows have others, in order, and what.
    Sparse {
        rows: Box<[u32]>,
        numbers: Box<[f64]>,
    },
    /// The same value in every row.
    Same(ScalarValue),
}

/// How closely rows are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// What is zero throughout takes no memory.
    Loose,
    /// Neither does what is mostly zero or the same throughout, which has to be made again for each piece.
    Tight,
}

/// Rows in packed columns.
#[derive(Debug)]
pub(super) struct PackedRows {
    schema: SchemaRef,
    columns: Vec<Packed>,
    rows: usize,
    bytes: usize,
}

fn zeros(rows: usize) -> ArrayRef {
    static ZEROS: LazyLock<ArrayRef> = LazyLock::new(|| Arc::new(Float64Array::from(vec![0.0; PIECE_ROWS])));
    if rows <= PIECE_ROWS {
        ZEROS.slice(0, rows)
    } else {
        Arc::new(Float64Array::from(vec![0.0; rows]))
    }
}

impl Packed {
    fn of(column: &ArrayRef, packing: Packing) -> Result<Self> {
        if column.null_count() > 0 || column.is_empty() {
            return Ok(Self::Dense(Arc::clone(column)));
        }
        if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
            let others = numbers.values().iter().filter(|number| **number != 0.0).count();
            return Ok(match packing {
                _ if others == 0 => Self::Zero,
                Packing::Tight if others <= numbers.len() / SPARSE => {
                    let others = (0..)
                        .zip(numbers.values().iter().copied())
                        .filter(|(_, number)| *number != 0.0);
                    let (rows, numbers): (Vec<u32>, Vec<f64>) = others.unzip();
                    Self::Sparse {
                        rows: rows.into(),
                        numbers: numbers.into(),
                    }
                }
                _ => Self::Dense(Arc::clone(column)),
            });
        }
        if packing == Packing::Tight && is_same(column) {
            return Ok(Self::Same(ScalarValue::try_from_array(column, 0)?));
        }
        Ok(Self::Dense(Arc::clone(column)))
    }

    fn piece(&self, at: &Range<usize>) -> Result<ArrayRef> {
        Ok(match self {
            Self::Dense(column) => column.slice(at.start, at.len()),
            Self::Zero => zeros(at.len()),
            Self::Sparse { rows, numbers } => {
                let place = |row: usize| rows.partition_point(|other| (*other as usize) < row);
                let others = place(at.start)..place(at.end);
                if others.is_empty() {
                    return Ok(zeros(at.len()));
                }
                let mut piece = vec![0.0; at.len()];
                for (row, number) in rows[others.clone()].iter().zip(&numbers[others]) {
                    piece[*row as usize - at.start] = *number;
                }
                Arc::new(Float64Array::from(piece))
            }
            Self::Same(value) => value.to_array_of_size(at.len())?,
        })
    }
}

fn is_same(column: &ArrayRef) -> bool {
    fn all_equal<T: PartialEq>(values: &[T]) -> bool {
        values.windows(2).all(|pair| pair[0] == pair[1])
    }
    match column.data_type() {
        DataType::UInt32 => all_equal(column.as_primitive::<UInt32Type>().values()),
        DataType::Int64 => all_equal(column.as_primitive::<Int64Type>().values()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            all_equal(column.as_primitive::<TimestampMicrosecondType>().values())
        }
        _ => false,
    }
}

impl PackedRows {
    pub(super) fn new(rows: &RecordBatch, packing: Packing) -> Result<Self> {
        let columns = rows.columns().iter().map(|column| Packed::of(column, packing));
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        let mut bytes = 0;
        let mut dense = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            match column {
                Packed::Dense(_) => dense.push(index),
                Packed::Sparse { rows, numbers } => bytes += size_of_val(&**rows) + size_of_val(&**numbers),
                Packed::Zero | Packed::Same(_) => {}
            }
        }
        let (copy, copied) = compact(&rows.project(&dense)?)?;
        for (index, column) in dense.into_iter().zip(copy.columns()) {
            columns[index] = Packed::Dense(Arc::clone(column));
        }
        Ok(Self {
            schema: rows.schema(),
            columns,
            rows: rows.num_rows(),
            bytes: bytes + copied,
        })
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Names of the columns of numbers that are all zero.
    pub(super) fn zero_columns(&self) -> BTreeSet<&str> {
        let columns = self.columns.iter().zip(self.schema.fields());
        let zero = columns.filter(|(column, _)| matches!(column, Packed::Zero));
        zero.map(|(_, field)| field.name().as_str()).collect()
    }

    /// Some rows of a column of codes.
    pub(super) fn codes(&self, column: &str, at: &Range<usize>) -> Result<UInt32Array> {
        let index = self.schema.index_of(column)?;
        let piece = self.columns[index].piece(at)?;
        let codes = piece.as_primitive_opt::<UInt32Type>().cloned();
        codes.ok_or_else(|| internal_datafusion_err!("column {column} is not one of codes"))
    }

    /// Some of the rows.
    pub(super) fn piece(&self, at: &Range<usize>) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|column| column.piece(at));
        Ok(RecordBatch::try_new(
            Arc::clone(&self.schema),
            columns.collect::<Result<_>>()?,
        )?)
    }
}

/// What the form of a batch takes per column and beside, at most: lengths, offsets and gaps.
const FORM_BYTES: usize = 512;

/// A copy whose columns share one allocation that is no longer than it must be, and how long that is. Many
/// allocations of almost a size leave gaps.
fn compact(rows: &RecordBatch) -> Result<(RecordBatch, usize)> {
    let mut room = FORM_BYTES;
    for column in rows.columns() {
        room += column.to_data().get_slice_memory_size()? + FORM_BYTES;
    }
    let mut writer = StreamWriter::try_new(Vec::with_capacity(room), &rows.schema())?;
    writer.write(rows)?;
    let copy = writer.into_inner()?;
    let bytes = copy.capacity();
    let mut copy = Buffer::from_vec(copy);
    let mut decoder = StreamDecoder::new();
    while !copy.is_empty() {
        if let Some(batch) = decoder.decode(&mut copy)? {
            return Ok((batch, bytes));
        }
    }
    // Without columns there is nothing to decode.
    Ok((RecordBatch::new_empty(Arc::new(Schema::empty())), 0))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn pieces_have_the_rows_that_were_packed() {
        let count = 3 * PIECE_ROWS;
        let sparse = |row: usize| {
            if row.is_multiple_of(1000) && row < 20_000 {
                row as f64
            } else {
                0.0
            }
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "dense",
                Arc::new(Float64Array::from_iter_values((0..count).map(|row| row as f64))),
            ),
            ("zero", Arc::new(Float64Array::from(vec![0.0; count]))),
            (
                "sparse",
                Arc::new(Float64Array::from_iter_values((0..count).map(sparse))),
            ),
            ("unknown", Arc::new(Float64Array::from(vec![None; count]))),
            ("same", Arc::new(Int64Array::from(vec![7; count]))),
            (
                "text",
                Arc::new(StringArray::from_iter_values((0..count).map(|row| row.to_string()))),
            ),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        for packing in [Packing::Loose, Packing::Tight] {
            let packed = PackedRows::new(&rows, packing).unwrap();
            assert_eq!(packed.len(), count);
            assert_eq!(packed.zero_columns(), ["zero"].into());
            for at in [0..count, 0..1, 999..1001, 19_000..20_001, count - 5..count, 5..5] {
                assert_eq!(packed.piece(&at).unwrap(), rows.slice(at.start, at.len()));
            }
        }
        let bytes = |packing| PackedRows::new(&rows, packing).unwrap().bytes();
        let dropped = 2 * count * size_of::<f64>() - 20 * (size_of::<u32>() + size_of::<f64>());
        assert!(bytes(Packing::Loose) - bytes(Packing::Tight) >= dropped);
    }

    #[test]
    fn nothing_is_packed_to_nothing() {
        let none = RecordBatch::try_from_iter([("a", zeros(0))]).unwrap();
        let packed = PackedRows::new(&none, Packing::Tight).unwrap();
        assert_eq!(packed.piece(&(0..0)).unwrap(), none);
    }
}

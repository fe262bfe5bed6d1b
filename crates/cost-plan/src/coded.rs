//! Tables with numbers in place of texts, lists and maps.
//!
//! A coded table has the columns of the table it is made of, in the same order. A text, list of texts or map of texts
//! is the [`Code`] that a [`Dictionary`] gave it; lists of structs keep their shape, with codes for their texts; numbers
//! and times stay what they are.

use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayRef, AsArray as _, ListArray, MapArray, RecordBatch, StringViewArray, StringViewBuilder,
        StructArray, UInt32Array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, UInt32Type},
    error::ArrowError,
};
use rustc_hash::FxHashMap;

use crate::dictionary::{Code, Dictionary, EMPTY, Names};

/// The columns of the coded form of a table.
pub fn schema(table: &Schema) -> SchemaRef {
    Arc::new(Schema::new(coded_fields(table.fields())))
}

fn coded_fields(fields: &Fields) -> Fields {
    fields.iter().map(coded_field).collect()
}

fn coded_field(field: &FieldRef) -> FieldRef {
    let coded = |data_type, nullable| Arc::new(Field::new(field.name(), data_type, nullable));
    match field.data_type() {
        DataType::Utf8View | DataType::Map(..) => coded(DataType::UInt32, false),
        DataType::List(item) => match item.data_type() {
            DataType::Struct(fields) => {
                let fields = DataType::Struct(coded_fields(fields));
                let item = Field::new(item.name(), fields, item.is_nullable());
                coded(DataType::List(Arc::new(item)), field.is_nullable())
            }
            _ => coded(DataType::UInt32, false),
        },
        _ => Arc::clone(field),
    }
}

/// Numbers the texts, lists and maps of a batch.
///
/// # Errors
/// When a column is of a type that no table has.
pub fn encode(batch: &RecordBatch, dictionary: &Dictionary) -> Result<RecordBatch, ArrowError> {
    let schema = schema(&batch.schema());
    let mut names = dictionary.write();
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| encode_column(column, field, &mut names))
        .collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema, columns)
}

fn encode_column(column: &ArrayRef, field: &Field, names: &mut Names) -> Result<ArrayRef, ArrowError> {
    match (column.data_type(), field.data_type()) {
        (DataType::Utf8View, _) => Ok(Arc::new(UInt32Array::from(texts(column.as_string_view(), names)))),
        (DataType::Map(..), _) if column.as_map().values().data_type() == &DataType::Utf8View => {
            Ok(Arc::new(maps(column.as_map(), names)))
        }
        // Maps of numbers are kept with ETL files, and no question asks about them.
        (DataType::Map(..), _) => Ok(Arc::new(UInt32Array::from(vec![EMPTY; column.len()]))),
        (DataType::List(_), DataType::UInt32) => Ok(Arc::new(lists(column.as_list(), names)?)),
        (DataType::List(_), DataType::List(item)) => {
            let lists: &ListArray = column.as_list();
            let structs = encode_struct(lists.values().as_struct(), item, names)?;
            let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                Arc::new(structs),
                nulls,
            )?))
        }
        _ => Ok(Arc::clone(column)),
    }
}

fn encode_struct(structs: &StructArray, item: &Field, names: &mut Names) -> Result<StructArray, ArrowError> {
    let DataType::Struct(fields) = item.data_type() else {
        return Err(wrong_type(item, "a struct"));
    };
    let columns = structs
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| encode_column(column, field, names))
        .collect::<Result<_, _>>()?;
    StructArray::try_new(fields.clone(), columns, structs.nulls().cloned())
}

fn wrong_type(field: &Field, wanted: &str) -> ArrowError {
    ArrowError::SchemaError(format!(
        "column {} is {}, not {wanted}",
        field.name(),
        field.data_type()
    ))
}

/// The codes of texts. Equal views are equal texts, so that most are numbered without looking at their bytes.
fn texts(column: &StringViewArray, names: &mut Names) -> Vec<Code> {
    let mut known: FxHashMap<u128, Code> = FxHashMap::default();
    let mut last = None;
    (0..column.len())
        .map(|row| {
            if column.is_null(row) {
                return EMPTY;
            }
            let view = column.views()[row];
            if let Some((_, code)) = last.filter(|(last, _)| *last == view) {
                return code;
            }
            let code = *known.entry(view).or_insert_with(|| names.text(column.value(row)));
            last = Some((view, code));
            code
        })
        .collect()
}

/// Numbers items that rows have spans of; rows next to each other often have the same.
fn spans<T: Copy + PartialEq>(
    offsets: &OffsetBuffer<i32>,
    nulls: Option<&NullBuffer>,
    items: &[T],
    mut number: impl FnMut(&[T]) -> Code,
) -> UInt32Array {
    let mut last: (&[T], Code) = (&[], EMPTY);
    offsets
        .windows(2)
        .enumerate()
        .map(|(row, span)| {
            let items = &items[span[0] as usize..span[1] as usize];
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                return EMPTY;
            }
            if items != last.0 {
                last = (items, number(items));
            }
            last.1
        })
        .collect()
}

fn lists(column: &ListArray, names: &mut Names) -> Result<UInt32Array, ArrowError> {
    let items = column.values().as_string_view_opt();
    let items = items.ok_or_else(|| ArrowError::SchemaError("a list is of texts or of structs".to_owned()))?;
    let items = texts(items, names);
    Ok(spans(column.offsets(), column.nulls(), &items, |items| {
        names.list(items)
    }))
}

fn maps(column: &MapArray, names: &mut Names) -> UInt32Array {
    let keys = texts(column.keys().as_string_view(), names);
    let values = texts(column.values().as_string_view(), names);
    let entries: Vec<(Code, Code)> = keys.into_iter().zip(values).collect();
    spans(column.offsets(), column.nulls(), &entries, |entries| {
        names.map(entries.to_vec())
    })
}

/// Writes codes out as what they stand for, in a table's own types. A column of numbers that the coded batch lacks is
/// zero, or null where the table may have null.
///
/// # Errors
/// When another column is missing or of the wrong type.
pub fn decode(batch: &RecordBatch, table: &SchemaRef, dictionary: &Dictionary) -> Result<RecordBatch, ArrowError> {
    let names = dictionary.read();
    let columns = table
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => decode_column(column, field, &names),
            None => absent(field, batch.num_rows()),
        })
        .collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(table), columns)
}

fn absent(field: &Field, rows: usize) -> Result<ArrayRef, ArrowError> {
    match field.data_type() {
        data_type if field.is_nullable() => Ok(arrow::array::new_null_array(data_type, rows)),
        DataType::Float64 => Ok(Arc::new(arrow::array::Float64Array::from(vec![0.0; rows]))),
        _ => Err(ArrowError::SchemaError(format!("column {} is missing", field.name()))),
    }
}

fn decode_column(column: &ArrayRef, field: &FieldRef, names: &Names) -> Result<ArrayRef, ArrowError> {
    let codes = || {
        let codes = column.as_primitive_opt::<UInt32Type>();
        codes.ok_or_else(|| wrong_type(&Field::new(field.name(), column.data_type().clone(), true), "of codes"))
    };
    match field.data_type() {
        DataType::Utf8View => Ok(Arc::new(decode_texts(codes()?, names))),
        DataType::Map(entries, _) => decode_maps(codes()?, entries, names),
        DataType::List(item) => match item.data_type() {
            DataType::Struct(fields) => {
                let lists: &ListArray = column.as_list();
                let columns = lists
                    .values()
                    .as_struct()
                    .columns()
                    .iter()
                    .zip(fields)
                    .map(|(column, field)| decode_column(column, field, names))
                    .collect::<Result<_, _>>()?;
                let structs = StructArray::try_new(fields.clone(), columns, None)?;
                let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
                Ok(Arc::new(ListArray::try_new(
                    Arc::clone(item),
                    offsets,
                    Arc::new(structs),
                    nulls,
                )?))
            }
            _ => decode_lists(codes()?, item, names),
        },
        wanted if wanted == column.data_type() => Ok(Arc::clone(column)),
        wanted => arrow::compute::cast(column, wanted),
    }
}

fn decode_texts(codes: &UInt32Array, names: &Names) -> StringViewArray {
    let mut texts = StringViewBuilder::with_capacity(codes.len()).with_deduplicate_strings();
    for code in codes.values() {
        texts.append_value(names.text_of(*code));
    }
    texts.finish()
}

fn decode_lists(codes: &UInt32Array, item: &FieldRef, names: &Names) -> Result<ArrayRef, ArrowError> {
    let lists = codes.values().iter().map(|code| names.list_of(*code));
    let offsets = OffsetBuffer::from_lengths(lists.clone().map(<[_]>::len));
    let items = UInt32Array::from_iter_values(lists.flatten().copied());
    let items = Arc::new(decode_texts(&items, names));
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, None)?))
}

fn decode_maps(codes: &UInt32Array, entries: &FieldRef, names: &Names) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(wrong_type(entries, "a struct"));
    };
    let maps = codes.values().iter().map(|code| names.map_of(*code));
    let offsets = OffsetBuffer::from_lengths(maps.clone().map(<[_]>::len));
    let keys = UInt32Array::from_iter_values(maps.clone().flatten().map(|(key, _)| *key));
    let values = UInt32Array::from_iter_values(maps.flatten().map(|(_, value)| *value));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(decode_texts(&keys, names)),
        Arc::new(decode_texts(&values, names)),
    ];
    let structs = StructArray::try_new(fields.clone(), columns, None)?;
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entries),
        offsets,
        structs,
        None,
        false,
    )?))
}

//! Codes as what they stand for, in the types that answers have.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray as _, DictionaryArray, ListArray, ListBuilder, MapBuilder, MapFieldNames, StringBuilder,
        StructArray, UInt32Array,
    },
    buffer::OffsetBuffer,
    compute::take,
    datatypes::{DataType, Field, FieldRef, Fields, Int32Type, UInt32Type},
};
use cost_plan::dictionary::{Code, Names};
use datafusion::error::Result;

/// What a code of a column stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Text,
    List,
    Map,
}

/// What the codes of a column stand for, by the type that it has in its table; none for a column that is not of codes.
pub(super) fn meaning(data_type: &DataType) -> Option<Meaning> {
    match data_type {
        DataType::Utf8View => Some(Meaning::Text),
        DataType::Map(..) => Some(Meaning::Map),
        DataType::List(item) if !matches!(item.data_type(), DataType::Struct(_)) => Some(Meaning::List),
        _ => None,
    }
}

/// Writes out a column of codes.
pub(super) fn written(codes: &[Code], meaning: Meaning, names: &Names) -> Result<ArrayRef> {
    Ok(match meaning {
        Meaning::Text => texts(codes.iter().map(|code| names.text_of(*code)), codes.len()),
        Meaning::List => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for code in codes {
                for text in names.texts_of(*code) {
                    lists.values().append_value(text);
                }
                lists.append(true);
            }
            Arc::new(lists.finish())
        }
        Meaning::Map => {
            let fields = MapFieldNames {
                entry: "entries".to_owned(),
                key: "key".to_owned(),
                value: "value".to_owned(),
            };
            let mut maps = MapBuilder::new(Some(fields), StringBuilder::new(), StringBuilder::new());
            for code in codes {
                for (name, value) in names.entries_of(*code) {
                    maps.keys().append_value(name);
                    maps.values().append_value(value);
                }
                maps.append(true)?;
            }
            Arc::new(maps.finish())
        }
    })
}

/// With fewer rows than this a dictionary brings nothing.
const DICTIONARY_ROWS: usize = 256;
/// How many rows a value of a dictionary is of, at least and on average.
const ROWS_PER_VALUE: usize = 4;

/// A code that was not seen.
const NO_KEY: i32 = -1;

/// A column of codes as a dictionary of what they stand for; none when too few rows have the same.
pub(super) fn dictionary(codes: &[Code], meaning: Meaning, names: &Names) -> Result<Option<ArrayRef>> {
    let most = codes.len() / ROWS_PER_VALUE;
    if codes.len() < DICTIONARY_ROWS {
        return Ok(None);
    }
    let largest = codes.iter().copied().max().unwrap_or_default();
    // Codes count up from 0, so that there are about as many as the dictionary has entries.
    let mut key_of: Vec<i32> = vec![NO_KEY; largest as usize + 1];
    let mut distinct: Vec<Code> = Vec::new();
    let mut keys: Vec<i32> = Vec::with_capacity(codes.len());
    for code in codes {
        let key = &mut key_of[*code as usize];
        if *key == NO_KEY {
            *key = distinct.len() as i32;
            distinct.push(*code);
            if distinct.len() > most {
                return Ok(None);
            }
        }
        keys.push(*key);
    }
    let values = written(&distinct, meaning, names)?;
    Ok(Some(Arc::new(DictionaryArray::<Int32Type>::try_new(
        keys.into(),
        values,
    )?)))
}

/// A column of texts.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>, rows: usize) -> ArrayRef {
    let mut column = StringBuilder::with_capacity(rows, rows * 16);
    for text in texts {
        column.append_value(text);
    }
    Arc::new(column.finish())
}

/// Takes lists of structs in this order of rows, and writes out the codes within. Most lists are empty.
pub(super) fn written_structs(lists: &ListArray, order: &[u32], names: &Names) -> Result<ArrayRef> {
    let offsets = lists.value_offsets();
    let span = |row: &u32| offsets[*row as usize] as u32..offsets[*row as usize + 1] as u32;
    let lengths = OffsetBuffer::from_lengths(order.iter().map(|row| span(row).len()));
    let items = UInt32Array::from_iter_values(order.iter().flat_map(span));
    let structs = take(lists.values(), &items, None)?;
    let structs = structs.as_struct();
    let (mut fields, mut columns): (Vec<FieldRef>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (column, field) in structs.columns().iter().zip(structs.fields()) {
        match column.as_primitive_opt::<UInt32Type>() {
            Some(codes) => {
                columns.push(written(codes.values(), Meaning::Text, names)?);
                fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            }
            None => {
                columns.push(Arc::clone(column));
                fields.push(Arc::clone(field));
            }
        }
    }
    let fields = Fields::from(fields);
    let item = Arc::new(Field::new("item", DataType::Struct(fields.clone()), true));
    let structs = StructArray::try_new_with_length(fields, columns, None, items.len())?;
    Ok(Arc::new(ListArray::try_new(item, lengths, Arc::new(structs), None)?))
}

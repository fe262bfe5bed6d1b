//! Codes as what they stand for, in the types that answers have.

use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayRef, AsArray as _, ListArray, ListBuilder, MapBuilder, MapFieldNames, StringBuilder,
        StructArray,
    },
    datatypes::{DataType, Field, FieldRef, Fields, UInt32Type},
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

/// A column of texts.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>, rows: usize) -> ArrayRef {
    let mut column = StringBuilder::with_capacity(rows, rows * 16);
    for text in texts {
        column.append_value(text);
    }
    Arc::new(column.finish())
}

/// Writes out the codes within lists of structs.
pub(super) fn written_structs(lists: &ListArray, names: &Names) -> Result<ArrayRef> {
    let structs = lists.values().as_struct();
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
    let structs = StructArray::try_new_with_length(fields, columns, None, structs.len())?;
    Ok(Arc::new(ListArray::try_new(
        item,
        lists.offsets().clone(),
        Arc::new(structs),
        None,
    )?))
}

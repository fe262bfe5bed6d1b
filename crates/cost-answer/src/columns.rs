//! Columns that are found once per batch and then read row by row.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, ListArray, MapArray, PrimitiveArray, RecordBatch,
        StringArray, StringViewArray, StructArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt32Type},
};
use chrono::{DateTime, Utc};

/// The writer of a batch and its reader do not agree on a column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of the answer is {found}, expected {expected}")]
pub struct ColumnsError {
    /// The column's name.
    pub column: String,
    /// Its type, or `missing`.
    pub found: String,
    /// What it must be.
    pub expected: &'static str,
}

/// Columns by name: those of a batch, or the fields of a list's items.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Batch(&'a RecordBatch),
    Items(&'a StructArray),
}

impl<'a> Source<'a> {
    fn column(self, name: &str) -> Option<&'a ArrayRef> {
        match self {
            Self::Batch(batch) => batch.column_by_name(name),
            Self::Items(items) => items.column_by_name(name),
        }
    }

    pub(crate) fn text(self, name: &str) -> Result<TextColumn<'a>, ColumnsError> {
        self.column(name)
            .map_or(Ok(TextColumn::Absent), |column| TextColumn::of(name, column))
    }

    pub(crate) fn required_text(self, name: &str) -> Result<TextColumn<'a>, ColumnsError> {
        let column = self.column(name).ok_or_else(|| missing(name, TEXT))?;
        TextColumn::of(name, column)
    }

    pub(crate) fn number(self, name: &str) -> Result<NumberColumn<'a>, ColumnsError> {
        let Some(column) = self.column(name) else {
            return Ok(NumberColumn::default());
        };
        let numbers = column
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| mismatch(name, column, "Float64"))?;
        Ok(NumberColumn {
            values: numbers.values(),
            nulls: numbers.nulls().filter(|nulls| nulls.null_count() > 0),
        })
    }

    pub(crate) fn numbers<const N: usize>(self, names: [&str; N]) -> Result<[NumberColumn<'a>; N], ColumnsError> {
        let mut columns = [NumberColumn::default(); N];
        for (column, name) in columns.iter_mut().zip(names) {
            *column = self.number(name)?;
        }
        Ok(columns)
    }

    pub(crate) fn set(self, name: &str) -> Result<&'a [u32], ColumnsError> {
        let column = self.column(name).ok_or_else(|| missing(name, "UInt32"))?;
        let sets = column.as_primitive_opt::<UInt32Type>();
        sets.map(|sets| &sets.values()[..])
            .ok_or_else(|| mismatch(name, column, "UInt32"))
    }

    pub(crate) fn count(self, name: &str) -> Result<&'a [i64], ColumnsError> {
        let Some(column) = self.column(name) else {
            return Ok(&[]);
        };
        let counts = column.as_primitive_opt::<Int64Type>();
        counts
            .map(|counts| &counts.values()[..])
            .ok_or_else(|| mismatch(name, column, "Int64"))
    }

    pub(crate) fn flag(self, name: &str) -> Result<FlagColumn<'a>, ColumnsError> {
        let Some(column) = self.column(name) else {
            return Ok(FlagColumn(None));
        };
        let flags = column.as_boolean_opt();
        flags
            .map(|flags| FlagColumn(Some(flags)))
            .ok_or_else(|| mismatch(name, column, "Boolean"))
    }

    pub(crate) fn time(self, name: &str) -> Result<TimeColumn<'a>, ColumnsError> {
        let Some(column) = self.column(name) else {
            return Ok(TimeColumn::default());
        };
        match column.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                Ok(TimeColumn {
                    micros: times.values(),
                    nulls: times.nulls().filter(|nulls| nulls.null_count() > 0),
                })
            }
            _ => Err(mismatch(name, column, "Timestamp of microseconds")),
        }
    }

    pub(crate) fn texts(self, name: &str) -> Result<TextsColumn<'a>, ColumnsError> {
        let Some(column) = self.column(name) else {
            return Ok(TextsColumn(None));
        };
        let (keys, column) = looked_up(column);
        let lists = column
            .as_list_opt::<i32>()
            .ok_or_else(|| mismatch(name, column, "List of Utf8"))?;
        let items = TextColumn::of(name, lists.values())?;
        Ok(TextsColumn(Some((Ranges::of_lists(lists).by(keys), items))))
    }

    pub(crate) fn entries(self, name: &str) -> Result<MapColumn<'a>, ColumnsError> {
        let Some(column) = self.column(name) else {
            return Ok(MapColumn(None));
        };
        let (keys, column) = looked_up(column);
        let maps = column
            .as_map_opt()
            .ok_or_else(|| mismatch(name, column, "Map of Utf8 to Utf8"))?;
        let ranges = Ranges::of_maps(maps).by(keys);
        let names = TextColumn::of(name, maps.keys())?;
        let values = TextColumn::of(name, maps.values())?;
        Ok(MapColumn(Some((ranges, names, values))))
    }

    /// A list of structs: where each row's items are, and the items.
    pub(crate) fn structs(self, name: &str) -> Result<Option<(Ranges<'a>, Source<'a>)>, ColumnsError> {
        let Some(column) = self.column(name) else {
            return Ok(None);
        };
        let lists = column
            .as_list_opt::<i32>()
            .ok_or_else(|| mismatch(name, column, "List of Struct"))?;
        let items = lists
            .values()
            .as_struct_opt()
            .ok_or_else(|| mismatch(name, column, "List of Struct"))?;
        Ok(Some((Ranges::of_lists(lists), Self::Items(items))))
    }
}

const TEXT: &str = "Utf8";

fn missing(column: &str, expected: &'static str) -> ColumnsError {
    ColumnsError {
        column: column.to_owned(),
        found: "missing".to_owned(),
        expected,
    }
}

fn mismatch(column: &str, found: &ArrayRef, expected: &'static str) -> ColumnsError {
    ColumnsError {
        column: column.to_owned(),
        found: found.data_type().to_string(),
        expected,
    }
}

/// The keys of a column that is a dictionary, and its values; any other column as it is.
fn looked_up(column: &ArrayRef) -> (Option<Keys<'_>>, &ArrayRef) {
    match column.as_dictionary_opt::<Int32Type>() {
        Some(dictionary) => (Some(dictionary.keys()), dictionary.values()),
        None => (None, column),
    }
}

/// For each row where its value is in a dictionary.
type Keys<'a> = &'a PrimitiveArray<Int32Type>;

/// Texts in any of the layouts that a plan may end with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TextColumn<'a> {
    Absent,
    Plain(&'a StringArray),
    View(&'a StringViewArray),
    Dictionary(&'a DictionaryArray<Int32Type>, &'a StringArray),
}

impl<'a> TextColumn<'a> {
    fn of(name: &str, column: &'a ArrayRef) -> Result<Self, ColumnsError> {
        if let Some(texts) = column.as_string_opt() {
            return Ok(Self::Plain(texts));
        }
        if let Some(texts) = column.as_string_view_opt() {
            return Ok(Self::View(texts));
        }
        let dictionary = column.as_dictionary_opt::<Int32Type>();
        dictionary
            .and_then(|dictionary| Some(Self::Dictionary(dictionary, dictionary.values().as_string_opt()?)))
            .ok_or_else(|| mismatch(name, column, TEXT))
    }

    /// Empty where there is none.
    pub(crate) fn get(&self, row: usize) -> &'a str {
        match self {
            Self::Absent => "",
            Self::Plain(texts) if texts.is_valid(row) => texts.value(row),
            Self::View(texts) if texts.is_valid(row) => texts.value(row),
            Self::Dictionary(dictionary, texts) => match dictionary.key(row) {
                Some(key) if texts.is_valid(key) => texts.value(key),
                _ => "",
            },
            Self::Plain(_) | Self::View(_) => "",
        }
    }
}

/// Numbers, all of them 0 when the column is left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NumberColumn<'a> {
    values: &'a [f64],
    nulls: Option<&'a NullBuffer>,
}

impl NumberColumn<'_> {
    /// 0 where there is none.
    pub(crate) fn get(&self, row: usize) -> f64 {
        self.optional(row).unwrap_or_default()
    }

    pub(crate) fn optional(&self, row: usize) -> Option<f64> {
        let value = self.values.get(row).copied()?;
        match self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(value),
        }
    }
}

/// All values of a row, or none when one is unknown.
pub(crate) fn all_known<const N: usize>(columns: &[NumberColumn<'_>; N], row: usize) -> Option<[f64; N]> {
    let mut values = [0.0; N];
    for (value, column) in values.iter_mut().zip(columns) {
        *value = column.optional(row)?;
    }
    Some(values)
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FlagColumn<'a>(Option<&'a BooleanArray>);

impl FlagColumn<'_> {
    /// False where there is none.
    pub(crate) fn get(&self, row: usize) -> bool {
        self.0.is_some_and(|flags| flags.is_valid(row) && flags.value(row))
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeColumn<'a> {
    micros: &'a [i64],
    nulls: Option<&'a NullBuffer>,
}

impl TimeColumn<'_> {
    pub(crate) fn get(&self, row: usize) -> Option<DateTime<Utc>> {
        let micros = self.micros.get(row).copied()?;
        match self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => DateTime::from_timestamp_micros(micros),
        }
    }
}

/// Where the items of each row are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranges<'a> {
    keys: Option<Keys<'a>>,
    offsets: &'a OffsetBuffer<i32>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Ranges<'a> {
    fn of_lists(lists: &'a ListArray) -> Self {
        Self {
            keys: None,
            offsets: lists.offsets(),
            nulls: lists.nulls(),
        }
    }

    fn of_maps(maps: &'a MapArray) -> Self {
        Self {
            keys: None,
            offsets: maps.offsets(),
            nulls: maps.nulls(),
        }
    }

    /// Where `row` looks up its list, and which it is; none where each row has its own.
    fn shared(&self, row: usize) -> Option<(&'a OffsetBuffer<i32>, usize)> {
        let keys = self.keys.filter(|keys| keys.is_valid(row))?;
        Some((self.offsets, keys.value(row) as usize))
    }

    /// The same for rows that look their lists up by these keys.
    fn by(self, keys: Option<Keys<'a>>) -> Self {
        Self { keys, ..self }
    }

    pub(crate) fn get(&self, row: usize) -> std::ops::Range<usize> {
        let row = match self.keys {
            None => row,
            Some(keys) if keys.is_null(row) => return 0..0,
            // Keys of a valid dictionary are not negative.
            Some(keys) => keys.value(row) as usize,
        };
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return 0..0;
        }
        // Offsets of a valid array are not negative.
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct TextsColumn<'a>(Option<(Ranges<'a>, TextColumn<'a>)>);

impl<'a> TextsColumn<'a> {
    pub(crate) fn get(&self, row: usize) -> Texts<'a> {
        match &self.0 {
            None => Texts {
                items: TextColumn::Absent,
                at: 0..0,
            },
            Some((ranges, items)) => Texts {
                items: *items,
                at: ranges.get(row),
            },
        }
    }
}

/// The texts of a row's list.
#[derive(Clone, Debug)]
pub struct Texts<'a> {
    items: TextColumn<'a>,
    at: std::ops::Range<usize>,
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.at.next().map(|at| self.items.get(at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.at.size_hint()
    }
}

impl ExactSizeIterator for Texts<'_> {}

#[derive(Clone, Copy, Debug)]
pub(crate) struct MapColumn<'a>(Option<(Ranges<'a>, TextColumn<'a>, TextColumn<'a>)>);

impl<'a> MapColumn<'a> {
    pub(crate) fn get(&self, row: usize) -> Entries<'a> {
        match &self.0 {
            None => Entries::none(),
            Some((ranges, keys, values)) => Entries {
                keys: *keys,
                values: *values,
                at: ranges.get(row),
                shared: ranges.shared(row),
            },
        }
    }
}

/// The entries of a row's map, as they are stored.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    keys: TextColumn<'a>,
    values: TextColumn<'a>,
    at: std::ops::Range<usize>,
    shared: Option<(&'a OffsetBuffer<i32>, usize)>,
}

impl<'a> Entries<'a> {
    pub(crate) fn none() -> Self {
        Self {
            keys: TextColumn::Absent,
            values: TextColumn::Absent,
            at: 0..0,
            shared: None,
        }
    }

    /// The maps of a dictionary, of which rows share each, and which of them these entries are.
    pub(crate) fn shared(&self) -> Option<(&'a OffsetBuffer<i32>, usize)> {
        self.shared
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        self.at.next().map(|at| (self.keys.get(at), self.values.get(at)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.at.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}

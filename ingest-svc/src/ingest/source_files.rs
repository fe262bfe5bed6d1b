//! Which ETL files were read, and what became of each: the table `source_files`.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{
        Array as _, ArrayBuilder, ArrayRef, ArrowPrimitiveType, AsArray as _, Float64Builder, Int64Array, Int64Builder,
        MapBuilder, MapFieldNames, RecordBatch, StringViewArray, StringViewBuilder, TimestampMicrosecondArray,
    },
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
    error::ArrowError,
};
use bingen::Pipeline;
use chrono::{DateTime, SubsecRound as _, Utc};
use lake::{Partition, Resolution, TableName};

use super::{Decoded, FileWindow, FoundFile};

/// An ETL file that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SourceFile {
    /// Path in the bucket.
    pub path: String,
    /// The federated cluster in whose folder it is.
    pub cluster: String,
    /// What it holds.
    pub pipeline: Pipeline,
    /// How long its window is.
    pub resolution: Resolution,
    /// Its window.
    pub window: FileWindow,
    /// Entity tag of the version that was read.
    pub etag: Option<String>,
    /// Size in bytes of the version that was read.
    pub size: u64,
    /// When the version that was read was written, to the microsecond.
    pub last_modified: DateTime<Utc>,
    /// Rows that the tables hold of it.
    pub rows: u64,
    /// Why it was set aside.
    pub error: Option<String>,
    /// When it was read.
    pub ingested: DateTime<Utc>,
    /// What was odd in it, and how often.
    pub warnings: BTreeMap<String, u64>,
    /// Figures on the quality of its data.
    pub figures: BTreeMap<String, f64>,
}

impl SourceFile {
    fn of(found: &FoundFile, now: DateTime<Utc>) -> Self {
        Self {
            path: found.path.to_string(),
            cluster: found.cluster.clone(),
            pipeline: found.pipeline,
            resolution: found.resolution,
            window: found.window,
            etag: found.etag.clone(),
            size: found.size,
            last_modified: found.last_modified.trunc_subsecs(6),
            rows: 0,
            error: None,
            ingested: now.trunc_subsecs(6),
            warnings: BTreeMap::new(),
            figures: BTreeMap::new(),
        }
    }

    /// What is remembered of a file that was read now.
    pub(crate) fn read(found: &FoundFile, decoded: &Decoded, now: DateTime<Utc>) -> Self {
        Self {
            rows: decoded.rows.num_rows() as u64,
            warnings: decoded.warnings.clone(),
            figures: decoded.figures.clone(),
            ..Self::of(found, now)
        }
    }

    /// What is remembered of a file that was set aside now. The tables go on holding what was read of an earlier
    /// version of it: old figures beat none.
    pub(crate) fn set_aside(found: &FoundFile, error: String, before: Option<&Self>, now: DateTime<Utc>) -> Self {
        Self {
            rows: before.map_or(0, |before| before.rows),
            figures: before.map(|before| before.figures.clone()).unwrap_or_default(),
            error: Some(error),
            ..Self::of(found, now)
        }
    }

    /// Whether the bucket still holds the version that was read.
    pub(crate) fn is_current(&self, found: &FoundFile) -> bool {
        self.etag == found.etag && self.size == found.size && self.last_modified == found.last_modified.trunc_subsecs(6)
    }

    /// The partition that its rows are in.
    pub(crate) fn partition(&self) -> Partition {
        Partition::of(self.resolution, self.window.start)
    }
}

/// Rows of the table, of files of one partition in order of their clusters.
pub(crate) fn to_batch(files: &[&SourceFile]) -> Result<RecordBatch, ArrowError> {
    fn strings<'a>(files: &[&'a SourceFile], value: impl Fn(&'a SourceFile) -> &'a str) -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values(files.iter().map(|file| value(file))))
    }
    let optional = |value: fn(&SourceFile) -> Option<&str>| -> ArrayRef {
        Arc::new(files.iter().map(|file| value(file)).collect::<StringViewArray>())
    };
    let numbers = |value: fn(&SourceFile) -> u64| -> ArrayRef {
        let values = files.iter().map(|file| i64::try_from(value(file)).unwrap_or(i64::MAX));
        Arc::new(Int64Array::from_iter_values(values))
    };
    let times = |value: fn(&SourceFile) -> DateTime<Utc>| -> ArrayRef {
        let values = files.iter().map(|file| value(file).timestamp_micros());
        Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
    };
    RecordBatch::try_new(
        TableName::SourceFiles.schema(),
        vec![
            strings(files, |file| &file.cluster),
            strings(files, |file| file.pipeline.as_str()),
            times(|file| file.window.start),
            times(|file| file.window.end),
            strings(files, |file| &file.path),
            optional(|file| file.etag.as_deref()),
            numbers(|file| file.size),
            times(|file| file.last_modified),
            numbers(|file| file.rows),
            optional(|file| file.error.as_deref()),
            times(|file| file.ingested),
            by_name(files, Int64Builder::new(), |file| {
                let counts = file.warnings.iter();
                counts.map(|(name, count)| (name.as_str(), i64::try_from(*count).unwrap_or(i64::MAX)))
            })?,
            by_name(files, Float64Builder::new(), |file| {
                file.figures.iter().map(|(name, figure)| (name.as_str(), *figure))
            })?,
        ],
    )
}

/// A column of maps, null where there are no entries.
fn by_name<'a, T, B, I>(
    files: &[&'a SourceFile],
    values: B,
    entries: impl Fn(&'a SourceFile) -> I,
) -> Result<ArrayRef, ArrowError>
where
    B: ArrayBuilder + Extend<Option<T>>,
    I: Iterator<Item = (&'a str, T)>,
{
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut maps = MapBuilder::new(Some(names), StringViewBuilder::new(), values);
    for file in files {
        let mut any = false;
        for (name, value) in entries(file) {
            maps.keys().append_value(name);
            maps.values().extend([Some(value)]);
            any = true;
        }
        maps.append(any)?;
    }
    Ok(Arc::new(maps.finish()))
}

/// The files that rows of the table tell of. Rows that this version does not understand are passed over, so that
/// the file is read again.
pub(crate) fn from_batches(resolution: Resolution, batches: &[RecordBatch]) -> Vec<SourceFile> {
    batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).filter_map(|row| from_row(resolution, batch, row)))
        .collect()
}

fn from_row(resolution: Resolution, batch: &RecordBatch, row: usize) -> Option<SourceFile> {
    let optional = |name: &str| {
        let column = batch.column_by_name(name)?.as_string_view_opt()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let number = |name: &str| {
        let column = batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
        u64::try_from(column.value(row)).ok()
    };
    let time = |name: &str| {
        let column = batch
            .column_by_name(name)?
            .as_primitive_opt::<TimestampMicrosecondType>()?;
        DateTime::from_timestamp_micros(column.value(row))
    };
    Some(SourceFile {
        path: optional("path")?,
        cluster: optional("federated_cluster")?,
        pipeline: optional("pipeline")?.parse().ok()?,
        resolution,
        window: FileWindow {
            start: time("window_start")?,
            end: time("window_end")?,
        },
        etag: optional("etag"),
        size: number("size")?,
        last_modified: time("last_modified")?,
        rows: number("rows")?,
        error: optional("error"),
        ingested: time("ingested")?,
        warnings: entries::<Int64Type>(batch, "warnings", row)
            .map(|(name, count)| (name, u64::try_from(count).unwrap_or(0)))
            .collect(),
        figures: entries::<Float64Type>(batch, "figures", row).collect(),
    })
}

/// The entries of a map; none where the table is of a version that did not have them.
fn entries<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &str,
    row: usize,
) -> impl Iterator<Item = (String, T::Native)> {
    let map = batch.column_by_name(name).and_then(|column| column.as_map_opt());
    let entries = map.filter(|map| map.is_valid(row)).map(|map| map.value(row));
    let pairs = entries.and_then(|entries| {
        let keys = entries.column(0).as_string_view_opt()?.clone();
        let values = entries.column(1).as_primitive_opt::<T>()?.clone();
        Some((keys, values))
    });
    pairs
        .into_iter()
        .flat_map(|(keys, values)| (0..keys.len()).map(move |at| (keys.value(at).to_owned(), values.value(at))))
}

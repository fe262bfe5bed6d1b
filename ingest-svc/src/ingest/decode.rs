//! From the bytes of an ETL file to rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
};

use arrow::{array::RecordBatch, error::ArrowError};
use bingen::{DecodeError, Pipeline};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::read::MultiGzDecoder;

use super::{allocations, assets, check::Place, find::FoundFile};

/// The half-open window that a file's name gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileWindow {
    /// First instant.
    pub start: DateTime<Utc>,
    /// One past the last instant.
    pub end: DateTime<Utc>,
}

/// Why a file was set aside.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeFileError {
    /// The bytes are not what the format says.
    #[error(transparent)]
    Format(#[from] DecodeError),
    /// The rows cannot be made into columns.
    #[error("rows cannot be made into columns: {0}")]
    Columns(#[from] ArrowError),
    /// The compressed bytes are damaged.
    #[error("gzip: {0}")]
    Gzip(#[from] std::io::Error),
    /// The file is compressed so well that it can only be meant to fill the memory.
    #[error("unpacks to more than {limit} bytes, the most that is read of one file")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// The file is so large that reading it would take more memory than ingest may use.
    #[error("has {size} bytes, and reading it takes about {needed} MiB of memory; set memory_mib to that or more")]
    TooLargeForMemory {
        /// Bytes.
        size: u64,
        /// MiB.
        needed: u64,
    },
    /// The set is of another window than the file's name says.
    #[error("holds the window {found}, but its name says {} to {}", named.start.to_rfc3339(), named.end.to_rfc3339())]
    Window {
        /// What the set says.
        found: String,
        /// What the name says.
        named: FileWindow,
    },
    /// The window begins later than any clock can explain.
    #[error("is of a window that begins in the future, at {}", start.to_rfc3339())]
    Future {
        /// First instant.
        start: DateTime<Utc>,
    },
    /// Items are of another cluster that has files of its own, and would be counted twice.
    #[error("holds {items} items of cluster {found:?}, which has a folder of its own, in the folder of {folder:?}")]
    OtherCluster {
        /// What the items say.
        found: String,
        /// How many.
        items: u64,
        /// What the folder says.
        folder: String,
    },
    /// The pipeline is one that is not ingested.
    #[error("pipeline {0:?} is not ingested")]
    Pipeline(Pipeline),
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Its rows.
    pub rows: RecordBatch,
    /// What was odd, and how often.
    pub warnings: BTreeMap<String, u64>,
    /// Figures on the quality of the data.
    pub figures: BTreeMap<String, f64>,
}

/// Decodes a file. Takes CPU time in proportion to its size, so it is called off the reactor. `limit` is the most that
/// a compressed file may unpack to, and `clusters` are all that have a folder in the bucket.
pub(crate) fn decode(
    file: &FoundFile,
    bytes: &Bytes,
    limit: u64,
    clusters: &BTreeSet<String>,
) -> Result<Decoded, DecodeFileError> {
    let mut unpacked = Vec::new();
    let bytes = if file.gzip {
        MultiGzDecoder::new(bytes.as_ref())
            .take(limit.saturating_add(1))
            .read_to_end(&mut unpacked)?;
        if unpacked.len() as u64 > limit {
            return Err(DecodeFileError::TooLarge { limit });
        }
        unpacked.as_slice()
    } else {
        bytes.as_ref()
    };
    let place = Place {
        cluster: &file.cluster,
        window: file.window,
        clusters,
    };
    match file.pipeline {
        Pipeline::Allocations => allocations::decode(bytes, place),
        Pipeline::Assets => assets::decode(bytes, place),
        other => Err(DecodeFileError::Pipeline(other)),
    }
}

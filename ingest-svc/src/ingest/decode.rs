//! From the bytes of an ETL file to rows.

use std::io::Read as _;

use arrow::{array::RecordBatch, error::ArrowError};
use bingen::{DecodeError, Pipeline};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::read::MultiGzDecoder;

use super::{allocations, assets, find::FoundFile};

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
    /// The pipeline is one that is not ingested.
    #[error("pipeline {0:?} is not ingested")]
    Pipeline(Pipeline),
}

/// Decodes a file. Takes CPU time in proportion to its size, so it is called off the reactor.
pub(crate) fn decode(file: &FoundFile, bytes: &Bytes, limit: u64) -> Result<RecordBatch, DecodeFileError> {
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
    match file.pipeline {
        Pipeline::Allocations => allocations::decode(bytes, &file.cluster, file.window),
        Pipeline::Assets => assets::decode(bytes, &file.cluster, file.window),
        other => Err(DecodeFileError::Pipeline(other)),
    }
}

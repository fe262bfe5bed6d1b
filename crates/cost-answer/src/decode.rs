//! Answers come in pieces of an Arrow IPC stream.

use arrow::{array::RecordBatch, buffer::Buffer, error::ArrowError, ipc::reader::StreamDecoder};

/// Puts pieces of an Arrow IPC stream together. Where the stream is cut has no meaning.
#[derive(Debug, Default)]
pub struct Decoder {
    stream: StreamDecoder,
    rest: Option<Buffer>,
}

/// What came is no Arrow IPC stream, or not all of one.
#[derive(Debug, thiserror::Error)]
#[error("the columns of an answer cannot be decoded: {0}")]
pub struct DecodeError(#[from] ArrowError);

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece. Ask for [`Decoder::next_batch`] until there is none before the next one.
    pub fn push(&mut self, piece: impl Into<Buffer>) {
        self.rest = Some(piece.into());
    }

    /// The next batch that is complete; none when it takes another piece.
    ///
    /// # Errors
    /// [`DecodeError`] for what is no Arrow IPC stream.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, DecodeError> {
        let Some(piece) = &mut self.rest else {
            return Ok(None);
        };
        while !piece.is_empty() {
            if let Some(batch) = self.stream.decode(piece)? {
                return Ok(Some(batch));
            }
        }
        self.rest = None;
        Ok(None)
    }

    /// Call it after the last piece.
    ///
    /// # Errors
    /// [`DecodeError`] when the stream was cut within a message.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        Ok(self.stream.finish()?)
    }
}

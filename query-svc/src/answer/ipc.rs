//! Answers as pieces of an Arrow IPC stream.

use arrow::{error::ArrowError, ipc::writer::StreamWriter};
use async_stream::try_stream;
use datafusion::error::{DataFusionError, Result};
use futures::Stream;
use std::sync::Arc;

use super::Answer;

/// The pieces of an answer: the schema first, then one for each chunk, and the end.
pub(crate) fn pieces(answer: Arc<Answer>) -> impl Stream<Item = Result<Vec<u8>>> + Send {
    try_stream! {
        let mut writer = StreamWriter::try_new(Vec::new(), answer.schema()).map_err(failed)?;
        yield std::mem::take(writer.get_mut());
        let mut length = 0;
        for chunk in 0..answer.chunks() {
            let answer = Arc::clone(&answer);
            let (piece, rest) = tokio::task::spawn_blocking(move || -> Result<_> {
                // Chunks are about as long as one another.
                writer.get_mut().reserve_exact(length + length / 8);
                writer.write(&answer.chunk(chunk)?).map_err(failed)?;
                Ok((std::mem::take(writer.get_mut()), writer))
            })
            .await
            .map_err(|error| DataFusionError::External(Box::new(error)))??;
            writer = rest;
            length = piece.len();
            yield piece;
        }
        writer.finish().map_err(failed)?;
        yield std::mem::take(writer.get_mut());
    }
}

fn failed(error: ArrowError) -> DataFusionError {
    DataFusionError::ArrowError(Box::new(error), None)
}

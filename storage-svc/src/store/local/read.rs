//! Reading: a file is opened once, so a replacement meanwhile cannot mix two objects.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use object_store::{GetOptions, GetResult, GetResultPayload, path::Path};

use super::{Folder, LocalError, blocking, meta_of, write::attributes_of};

/// Bytes read at once. Large enough to make the thread change cheap, and one message of the gateway.
const READ_SIZE: u64 = 1024 * 1024;

pub(super) fn open(folder: &Folder, path: Path, options: &GetOptions) -> object_store::Result<GetResult> {
    let missing = || LocalError::NotFound { path: path.to_string() };
    let file_path = folder.file_of(&path);
    let on_open = |source: std::io::Error| match source.kind() {
        // `a/b` where `a` is an object: there is no such object, rather than something in the way.
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::InvalidFilename => missing(),
        _ => LocalError::on(&path, "open", source),
    };
    // Looked at first, because opening a named pipe would wait for its writer.
    if !std::fs::metadata(&file_path).map_err(on_open)?.is_file() {
        return Err(missing().into());
    }
    let file = File::open(&file_path).map_err(on_open)?;
    let metadata = file
        .metadata()
        .map_err(|source| LocalError::on(&path, "look up", source))?;
    if !metadata.is_file() || options.version.is_some() {
        return Err(missing().into());
    }
    let meta = meta_of(path.clone(), &metadata);
    options.check_preconditions(&meta)?;
    let range = match &options.range {
        None => 0..meta.size,
        Some(range) => range.as_range(meta.size).map_err(|reason| LocalError::Range {
            path: path.to_string(),
            reason: reason.to_string(),
        })?,
    };
    let attributes = attributes_of(&file, &path)?;
    let payload = if options.head {
        futures::stream::empty().boxed()
    } else {
        stream(file, path, range.clone())
    };
    Ok(GetResult {
        payload: GetResultPayload::Stream(payload),
        meta,
        range,
        attributes,
    })
}

fn stream(file: File, path: Path, range: Range<u64>) -> BoxStream<'static, object_store::Result<Bytes>> {
    futures::stream::try_unfold((file, path, range), |(mut file, path, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        blocking(move || {
            let size = READ_SIZE.min(range.end - range.start);
            let mut bytes = Vec::with_capacity(size as usize);
            file.seek(SeekFrom::Start(range.start))
                .and_then(|_| (&mut file).take(size).read_to_end(&mut bytes))
                .map_err(|source| LocalError::on(&path, "read", source))?;
            // Our own writes never shorten a file, but another program may.
            if bytes.len() as u64 != size {
                let reason = format!("the file ended at byte {}", range.start + bytes.len() as u64);
                return Err(LocalError::Range {
                    path: path.to_string(),
                    reason,
                });
            }
            Ok(Some((Bytes::from(bytes), (file, path, range.start + size..range.end))))
        })
        .await
    })
    .boxed()
}

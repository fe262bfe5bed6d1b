//! What commands print.

use std::io::{self, Write};

/// Writes to stdout with `write`. That the reader has left, as `head` does, is no failure.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

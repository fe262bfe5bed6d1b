//! What commands print.

use std::{
    error::Error,
    io::{self, Write},
};

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

/// An error in one line with what lies behind it, unless its own text says that already.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn causes_are_told_once() {
        let cause = |text, source| Some(Box::new(Layer { text, source }));
        let error = Layer {
            text: "a is b",
            source: cause("b", cause("c", None)),
        };
        assert_eq!(with_causes(&error), "a is b: c");
    }
}

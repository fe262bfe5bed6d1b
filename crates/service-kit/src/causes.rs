//! What a person reads of an error.

use std::error::Error;

/// An error in one line with what lies behind it, unless its own text says that already.
pub fn with_causes(error: &dyn Error) -> String {
    followed_by(error.to_string(), error.source())
}

/// A text with what lies behind it, from `cause` on.
pub(crate) fn followed_by(mut text: String, mut cause: Option<&dyn Error>) -> String {
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

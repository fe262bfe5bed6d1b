//! Booleans as Go reads them, since that is what existing clients were written against.

use crate::ParameterError;

const TAKES: &str = "1, t, T, true, True, TRUE, 0, f, F, false, False or FALSE";

/// The boolean that `text` stands for, if any.
pub fn parse(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Like [`parse`], with an error for whoever sent the parameter.
///
/// # Errors
/// [`ParameterError::Malformed`] for any other text.
pub fn parse_parameter(parameter: &'static str, text: &str) -> Result<bool, ParameterError> {
    parse(text).ok_or_else(|| ParameterError::Malformed {
        parameter,
        got: text.to_owned(),
        takes: TAKES,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for text in ["1", "t", "T", "true", "TRUE", "True"] {
            assert_eq!(parse(text), Some(true), "{text}");
        }
        for text in ["0", "f", "F", "false", "FALSE", "False"] {
            assert_eq!(parse(text), Some(false), "{text}");
        }
        for text in ["", "yes", "tRue", "2", " true"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(
            parse_parameter("idle", "yes").unwrap_err().to_string(),
            format!("parameter idle got \"yes\"; it takes {TAKES}")
        );
    }
}

//! Why a parameter of a question cannot be used.

use std::borrow::Cow;

/// Why a parameter cannot be used. The text names the parameter, what it got and what it takes, and is for whoever
/// sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// A required parameter is absent or empty.
    #[error("parameter {parameter} is missing; it takes {takes}")]
    Missing {
        /// The parameter's name.
        parameter: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// Not one of the forms that the parameter takes.
    #[error("parameter {parameter} got {got:?}; it takes {takes}")]
    Malformed {
        /// The parameter's name.
        parameter: &'static str,
        /// The value, or the part of it that is wrong.
        got: String,
        /// What it takes.
        takes: &'static str,
    },
    /// A text that breaks the rules of its language at one place.
    #[error("parameter {parameter} got {got} at character {position}, where it takes {takes}")]
    Syntax {
        /// The parameter's name.
        parameter: &'static str,
        /// What is at that place.
        got: String,
        /// The place, counted in characters from 1.
        position: usize,
        /// What may be at that place.
        takes: Cow<'static, str>,
    },
    /// A text that is longer than anyone would write.
    #[error("parameter {parameter} got {length} bytes; it takes at most {limit}")]
    TooLong {
        /// The parameter's name.
        parameter: &'static str,
        /// The length, in bytes.
        length: usize,
        /// The greatest length, in bytes.
        limit: usize,
    },
    /// A window that ends no later than it starts.
    #[error("parameter {parameter} got {got:?}, which ends no later than it starts; it takes a start before its end")]
    Backwards {
        /// The parameter's name.
        parameter: &'static str,
        /// The value.
        got: String,
    },
    /// A value that makes no sense beside that of another parameter.
    #[error("parameter {parameter} got {got:?}, which does not go with {other}; it takes {takes}")]
    Conflict {
        /// The parameter's name.
        parameter: &'static str,
        /// The value.
        got: String,
        /// The other parameter with its value.
        other: String,
        /// What it takes beside the other.
        takes: &'static str,
    },
}

impl ParameterError {
    /// The parameter's name.
    pub fn parameter(&self) -> &'static str {
        match self {
            Self::Missing { parameter, .. }
            | Self::Malformed { parameter, .. }
            | Self::Syntax { parameter, .. }
            | Self::TooLong { parameter, .. }
            | Self::Backwards { parameter, .. }
            | Self::Conflict { parameter, .. } => parameter,
        }
    }
}

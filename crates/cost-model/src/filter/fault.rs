//! What is wrong with the text of a filter.

use std::borrow::Cow;

use winnow::{
    error::{AddContext, ParserError},
    stream::Stream,
};

use super::{
    FilterField, MAX_DEPTH,
    parse::{Input, Joint, PARAMETER, ends_bare_word, is_of_name},
};
use crate::ParameterError;

/// Where the text went wrong, and what may be there.
#[derive(Debug)]
pub(super) struct Fault {
    /// How many bytes of the text are left there.
    left: usize,
    takes: Takes,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    Field,
    Bracket,
    Operator,
    QuotedValue,
    Value,
    Quote,
    JointOrEnd,
    JointOrClose,
    Only(Joint),
    LessDepth,
}

impl Fault {
    pub(super) fn at(input: &Input<'_>, takes: Takes) -> Self {
        Self {
            left: input.eof_offset(),
            takes,
        }
    }

    pub(super) fn into_error<F: FilterField>(self, text: &str) -> ParameterError {
        // Parsers stop between characters, so that the text can be split there.
        let (before, rest) = text.split_at_checked(text.len() - self.left).unwrap_or((text, ""));
        ParameterError::Syntax {
            parameter: PARAMETER,
            got: self.got(rest),
            position: before.chars().count() + 1,
            takes: self.takes::<F>(),
        }
    }

    /// The word that the rest of the text begins with, as far as it helps to find it.
    fn got(&self, rest: &str) -> String {
        const ENOUGH: usize = 40;
        let Some(first) = rest.chars().next() else {
            return "the end of the text".to_owned();
        };
        let unquoted = matches!(self.takes, Takes::QuotedValue);
        let belongs = |letter: &char| {
            if unquoted {
                !ends_bare_word(*letter)
            } else {
                is_of_name(*letter)
            }
        };
        let word: String = rest.chars().take_while(belongs).take(ENOUGH).collect();
        match word.as_str() {
            "" => format!("{first:?}"),
            word if unquoted => format!("{word} without quotes"),
            word => format!("{word:?}"),
        }
    }

    fn takes<F: FilterField>(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.takes {
            Takes::Field => return Cow::Owned(format!("one of {}, or a parenthesis", F::TAKES)),
            Takes::Bracket => "the ] after a name",
            Takes::Operator => ":, ~:, <~: or ~>:, or one of these after an !",
            Takes::QuotedValue => "a value in double quotes, such as \"web\"",
            Takes::Value => "a value",
            Takes::Quote => "the double quote that ends a value",
            Takes::JointOrEnd => "+ or |, or the end of the text",
            Takes::JointOrClose => "+, | or )",
            Takes::Only(Joint::And) => "another +, since + and | mix only with parentheses",
            Takes::Only(Joint::Or) => "another |, since + and | mix only with parentheses",
            Takes::LessDepth => return Cow::Owned(format!("no more than {MAX_DEPTH} parentheses inside each other")),
        })
    }
}

impl ParserError<Input<'_>> for Fault {
    type Inner = Self;

    fn from_input(input: &Input<'_>) -> Self {
        Self::at(input, Takes::JointOrEnd)
    }

    fn into_inner(self) -> Result<Self::Inner, Self> {
        Ok(self)
    }
}

impl AddContext<Input<'_>, Takes> for Fault {
    fn add_context(self, _: &Input<'_>, _: &<Input<'_> as Stream>::Checkpoint, takes: Takes) -> Self {
        Self { takes, ..self }
    }
}

//! Values that must not be seen.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A text that no log and no error shows.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// The text itself. Pass it on to where it is used, and nowhere else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A key of digits only is a number to YAML, and the parser's own message would show it.
        match serde_norway::Value::deserialize(deserializer)? {
            serde_norway::Value::String(text) => Ok(Self(text)),
            serde_norway::Value::Null => Ok(Self::default()),
            _ => Err(de::Error::custom("a secret must be a text: put it in quotes")),
        }
    }
}

/// Takes known secrets out of text that others wrote, such as the answer of a server.
#[derive(Clone, Default)]
pub(crate) struct Scrubber {
    secrets: Vec<Secret>,
}

impl Scrubber {
    pub(crate) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self {
            secrets: secrets.into_iter().filter(|secret| !secret.is_empty()).collect(),
        }
    }

    pub(crate) fn scrub(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.reveal(), "(secret)")
        })
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Scrubber")
            .field("secrets", &self.secrets.len())
            .finish()
    }
}

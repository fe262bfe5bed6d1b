//! Keys that nobody knows: named, with the key that was probably meant.

use serde::{Deserialize, Deserializer};

use super::StoreConfigError;

/// A key is taken for a misspelling of another from this likeness on (Jaro-Winkler, 0 to 1).
const LIKENESS: f64 = 0.8;

/// Collects unknown keys over the parts of a file.
#[derive(Default)]
pub(super) struct UnknownKeys {
    /// Whether they are a warning rather than an error.
    pub(super) tolerated: bool,
    found: Vec<Unknown>,
}

struct Unknown {
    key: String,
    nearest: Option<String>,
}

impl UnknownKeys {
    /// Reads a part of the file whose keys stand below `parent`. `known` holds the full names of its keys.
    pub(super) fn read<'de, T, D>(
        &mut self,
        parent: &str,
        known: &[&str],
        deserializer: D,
    ) -> Result<T, StoreConfigError>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de, Error: std::fmt::Display>,
    {
        let mut track = serde_path_to_error::Track::new();
        let deserializer = serde_path_to_error::Deserializer::new(deserializer, &mut track);
        let read = serde_ignored::deserialize(deserializer, |path| {
            // Optional parts show up as `?` in the path.
            let key = format!("{parent}{path}").replace("?.", "").replace(".?", "");
            let nearest = nearest(&key, known).map(ToOwned::to_owned);
            self.found.push(Unknown { key, nearest });
        });
        let read = read.map_err(|error| match track.path().to_string().as_str() {
            "." => StoreConfigError::Syntax(error.to_string()),
            path => StoreConfigError::Syntax(format!("{parent}{path}: {error}")),
        })?;
        if self.tolerated {
            Ok(read)
        } else {
            self.refuse().map(|()| read)
        }
    }

    fn refuse(&self) -> Result<(), StoreConfigError> {
        match self.found.first() {
            None => Ok(()),
            Some(Unknown { key, nearest: None }) => Err(StoreConfigError::UnknownKey(format!("unknown key `{key}`"))),
            Some(Unknown {
                key,
                nearest: Some(nearest),
            }) => Err(StoreConfigError::UnknownKey(format!(
                "unknown key `{key}`; did you mean `{nearest}`?"
            ))),
        }
    }

    pub(super) fn warnings(self) -> Vec<String> {
        let warning = |Unknown { key, nearest }| match nearest {
            Some(nearest) => format!("unknown key `{key}` is ignored; did you mean `{nearest}`?"),
            None => format!("unknown key `{key}` is ignored"),
        };
        self.found.into_iter().map(warning).collect()
    }
}

fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let likeness = |known: &str| strsim::jaro_winkler(&last(key), &last(known));
    known
        .iter()
        .map(|known| (*known, likeness(known)))
        .filter(|(_, likeness)| *likeness >= LIKENESS)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(known, _)| known)
}

//! Labels behind a code.

use cost_model::naming::Labels;
use cost_plan::dictionary::{Code, Entries, Names};

/// The labels of a row.
pub(crate) struct CodedLabels<'a> {
    names: &'a Names,
    entries: &'a Entries,
}

impl<'a> CodedLabels<'a> {
    pub(crate) fn new(names: &'a Names, map: Code) -> Self {
        Self {
            names,
            entries: names.map_of(map),
        }
    }
}

impl Labels for CodedLabels<'_> {
    fn label(&self, name: &str) -> Option<&str> {
        let wanted = self.names.find_text(name)?;
        let at = self.entries.binary_search_by_key(&wanted, |(name, _)| *name).ok()?;
        Some(self.names.text_of(self.entries[at].1))
    }

    fn any_key(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.entries.iter().any(|(name, _)| test(self.names.text_of(*name)))
    }
}

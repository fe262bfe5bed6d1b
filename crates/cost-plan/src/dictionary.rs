//! Texts, lists and maps by number, so that plans compare and copy 32 bits where a row has a text.

use std::{
    hash::Hash,
    mem::size_of,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

/// The number of a text, a list of texts, or a map of texts. Numbers of the three are apart.
pub type Code = u32;

/// The code of the empty text, the empty list and the empty map. It also stands for "unknown" and "not agreed".
pub const EMPTY: Code = 0;

type Set<T> = IndexSet<T, FxBuildHasher>;

/// Names and values of a map, in order of the names.
pub type Entries = [(Code, Code)];

/// All texts, lists and maps that were ever numbered. It only grows: whoever wants to forget starts a new one.
#[derive(Debug)]
pub struct Dictionary(RwLock<Names>);

/// What the codes stand for.
#[derive(Debug, Default)]
pub struct Names {
    texts: Set<Box<str>>,
    lists: Set<Box<[Code]>>,
    maps: Set<Box<Entries>>,
    bytes: usize,
}

impl Default for Dictionary {
    fn default() -> Self {
        let mut names = Names::default();
        names.text("");
        names.list(&[]);
        names.map(Vec::new());
        Self(RwLock::new(names))
    }
}

impl Dictionary {
    /// Reads what codes stand for. Holds writers up, so not for long.
    pub fn read(&self) -> RwLockReadGuard<'_, Names> {
        // Names stay whole whatever a holder of the lock panicked over.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers texts, lists and maps.
    pub fn write(&self) -> RwLockWriteGuard<'_, Names> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The code of an entry, and whether it is new. `own` is called for a new one only.
fn number<T, Q>(set: &mut Set<T>, item: &Q, own: impl FnOnce() -> T) -> (Code, bool)
where
    T: Hash + Eq,
    Q: Hash + indexmap::Equivalent<T> + ?Sized,
{
    if let Some(index) = set.get_index_of(item) {
        return (index as Code, false);
    }
    // A dictionary of 2^32 texts does not fit in the memory that any table may use.
    (set.insert_full(own()).0 as Code, true)
}

/// What a hash set keeps per entry beside the entry.
const PER_ENTRY: usize = size_of::<(usize, usize, usize)>() + 2 * size_of::<usize>();

impl Names {
    /// Numbers a text.
    pub fn text(&mut self, text: &str) -> Code {
        let (code, new) = number(&mut self.texts, text, || text.into());
        if new {
            self.bytes += text.len() + PER_ENTRY;
        }
        code
    }

    /// Numbers a list of texts.
    pub fn list(&mut self, items: &[Code]) -> Code {
        let (code, new) = number(&mut self.lists, items, || items.into());
        if new {
            self.bytes += size_of_val(items) + PER_ENTRY;
        }
        code
    }

    /// Numbers a map, whose entries may be in any order.
    pub fn map(&mut self, mut entries: Vec<(Code, Code)>) -> Code {
        entries.sort_unstable();
        entries.dedup_by_key(|(name, _)| *name);
        let (code, new) = number(&mut self.maps, entries.as_slice(), || entries.as_slice().into());
        if new {
            self.bytes += size_of_val(entries.as_slice()) + PER_ENTRY;
        }
        code
    }

    /// The code of a text, if it has one.
    pub fn find_text(&self, text: &str) -> Option<Code> {
        self.texts.get_index_of(text).map(|index| index as Code)
    }

    /// The text of a code.
    pub fn text_of(&self, code: Code) -> &str {
        self.texts.get_index(code as usize).map_or("", AsRef::as_ref)
    }

    /// The list of a code.
    pub fn list_of(&self, code: Code) -> &[Code] {
        self.lists.get_index(code as usize).map_or(&[], AsRef::as_ref)
    }

    /// The map of a code.
    pub fn map_of(&self, code: Code) -> &Entries {
        self.maps.get_index(code as usize).map_or(&[], AsRef::as_ref)
    }

    /// The texts of a list.
    pub fn texts_of(&self, list: Code) -> impl ExactSizeIterator<Item = &str> {
        self.list_of(list).iter().map(|code| self.text_of(*code))
    }

    /// The names and values of a map.
    pub fn entries_of(&self, map: Code) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let entries = self.map_of(map).iter();
        entries.map(|(name, value)| (self.text_of(*name), self.text_of(*value)))
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Never true, as the empty text is always there.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_things_have_equal_codes() {
        let dictionary = Dictionary::default();
        let mut names = dictionary.write();
        let (a, b) = (names.text("a"), names.text("b"));
        assert_ne!(a, b);
        assert_eq!(names.text("a"), a);
        assert_eq!(names.find_text("b"), Some(b));
        assert_eq!(names.find_text("c"), None);
        assert_eq!(names.text(""), EMPTY);
        let list = names.list(&[b, a]);
        assert_eq!(names.list(&[b, a]), list);
        assert_ne!(names.list(&[a, b]), list);
        assert_eq!(names.list(&[]), EMPTY);
        let map = names.map(vec![(b, a), (a, b)]);
        assert_eq!(names.map(vec![(a, b), (b, a)]), map);
        assert_eq!(names.map(Vec::new()), EMPTY);
        assert_eq!(names.texts_of(list).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(names.entries_of(map).collect::<Vec<_>>(), [("a", "b"), ("b", "a")]);
        assert_eq!(names.text_of(99), "");
    }
}

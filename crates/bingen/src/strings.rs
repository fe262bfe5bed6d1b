//! The strings of a file, each once, and the numbers that stand for them.

use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// A string of one file, as its place in that file's [`StringTable`].
///
/// The default is [`Symbol::EMPTY`], the empty string, which is the same symbol in every table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

impl Symbol {
    /// The empty string.
    pub const EMPTY: Self = Self(0);

    pub(crate) const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The place of the string in [`StringTable::strings`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether this is [`Symbol::EMPTY`].
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Default for Symbol {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// The strings of one file. Place 0 always holds the empty string.
///
/// Symbols stay valid while the table lives: strings are only ever added at the end. Strings that the table gives out
/// through [`intern`](Self::intern) are distinct. A table read from a file is kept as the file has it, so an entry may
/// be unused or, in files of unusual writers, repeated; the first empty entry is read as [`Symbol::EMPTY`].
#[derive(Clone)]
pub struct StringTable<'a> {
    strings: Vec<Cow<'a, str>>,
    places: HashTable<u32>,
    // A random seed per table, so that no file can be crafted to make lookups slow.
    hasher: DefaultHashBuilder,
    // How many of the strings `places` knows; tables read from files are indexed only when somebody interns.
    indexed: usize,
}

impl<'a> StringTable<'a> {
    /// A table that holds only the empty string.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    pub(crate) fn with_capacity(strings: usize) -> Self {
        let mut table = Self {
            strings: Vec::with_capacity(strings.saturating_add(1)),
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            indexed: 0,
        };
        table.strings.push(Cow::Borrowed(""));
        table
    }

    /// The strings in the order of their symbols.
    pub fn strings(&self) -> &[Cow<'a, str>] {
        &self.strings
    }

    /// The string of `symbol`, or none when the symbol is of another, longer table.
    pub fn get(&self, symbol: Symbol) -> Option<&str> {
        self.strings.get(symbol.index()).map(Cow::as_ref)
    }

    /// The string of `symbol`; empty when the symbol is of another, longer table.
    pub fn resolve(&self, symbol: Symbol) -> &str {
        self.get(symbol).unwrap_or_default()
    }

    /// The symbol of `string`, which is added when the table lacks it.
    pub fn intern(&mut self, string: impl Into<Cow<'a, str>>) -> Symbol {
        let string = string.into();
        let (hash, found) = self.find(string.as_bytes());
        found.unwrap_or_else(|| self.add(hash, string))
    }

    /// As [`intern`](Self::intern), for bytes that should be UTF-8 but may have been cut inside a character.
    pub(crate) fn intern_bytes(&mut self, bytes: &'a [u8]) -> Symbol {
        let (hash, found) = self.find(bytes);
        if let Some(symbol) = found {
            return symbol;
        }
        match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(string) => self.add(hash, Cow::Borrowed(string)),
            Cow::Owned(string) => self.intern(string),
        }
    }

    /// Adds an entry of a file's own table, without asking whether it is there already.
    pub(crate) fn push_bytes(&mut self, bytes: &'a [u8]) {
        self.strings.push(String::from_utf8_lossy(bytes));
    }

    fn find(&mut self, bytes: &[u8]) -> (u64, Option<Symbol>) {
        self.index_new_strings();
        let hash = self.hasher.hash_one(bytes);
        let strings = &self.strings;
        let found = self
            .places
            .find(hash, |&place| strings[place as usize].as_bytes() == bytes);
        (hash, found.copied().map(Symbol))
    }

    fn add(&mut self, hash: u64, string: Cow<'a, str>) -> Symbol {
        // Memory ends long before four thousand million strings.
        let place = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        self.strings.push(string);
        self.indexed = self.strings.len();
        self.remember(hash, place);
        Symbol(place)
    }

    fn remember(&mut self, hash: u64, place: u32) {
        let (strings, hasher) = (&self.strings, &self.hasher);
        self.places.insert_unique(hash, place, |&other| {
            hasher.hash_one(strings[other as usize].as_bytes())
        });
    }

    fn index_new_strings(&mut self) {
        while self.indexed < self.strings.len() {
            let (strings, hasher) = (&self.strings, &self.hasher);
            let bytes = strings[self.indexed].as_bytes();
            let hash = hasher.hash_one(bytes);
            let known = self
                .places
                .find(hash, |&place| strings[place as usize].as_bytes() == bytes)
                .is_some();
            if !known {
                let place = u32::try_from(self.indexed).unwrap_or(u32::MAX);
                self.remember(hash, place);
            }
            self.indexed += 1;
        }
    }
}

impl Default for StringTable<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for StringTable<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(&self.strings).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_string_has_one_symbol_in_every_table() {
        let mut table = StringTable::new();
        assert_eq!(table.intern(""), Symbol::EMPTY);
        assert_eq!(table.resolve(Symbol::default()), "");
        assert_eq!(table.strings().len(), 1);
    }

    #[test]
    fn equal_strings_get_equal_symbols() {
        let mut table = StringTable::new();
        let borrowed = table.intern("pod");
        let owned = table.intern(String::from("pod"));
        assert_eq!(borrowed, owned);
        assert_eq!(table.intern_bytes(b"pod"), borrowed);
        assert_eq!(table.resolve(borrowed), "pod");
    }

    #[test]
    fn cut_characters_are_replaced_once() {
        let mut table = StringTable::new();
        let first = table.intern_bytes(b"caf\xc3");
        assert_eq!(table.intern_bytes(b"caf\xc3"), first);
        assert_eq!(table.intern("caf\u{fffd}"), first);
        assert_eq!(table.strings().len(), 2);
    }

    #[test]
    fn interning_finds_the_entries_read_from_a_file() {
        let mut table = StringTable::with_capacity(2);
        table.push_bytes(b"node");
        table.push_bytes(b"node");
        assert_eq!(table.intern("node"), Symbol(1));
    }

    #[test]
    fn a_foreign_symbol_is_not_found() {
        let table = StringTable::new();
        assert_eq!(table.get(Symbol(7)), None);
        assert_eq!(table.resolve(Symbol(7)), "");
    }
}

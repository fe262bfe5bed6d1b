//! Between symbols and owned strings, for the owned types of all kinds of set.

use std::collections::BTreeMap;

use crate::strings::{StringTable, Symbol};

pub(crate) fn strings(symbols: &[Symbol], table: &StringTable<'_>) -> Vec<String> {
    symbols.iter().map(|&symbol| table.resolve(symbol).to_owned()).collect()
}

pub(crate) fn string_map(map: &[(Symbol, Symbol)], table: &StringTable<'_>) -> BTreeMap<String, String> {
    map.iter()
        .map(|&(key, value)| (table.resolve(key).to_owned(), table.resolve(value).to_owned()))
        .collect()
}

pub(crate) fn flag_map(map: &[(Symbol, bool)], table: &StringTable<'_>) -> BTreeMap<String, bool> {
    map.iter()
        .map(|&(key, value)| (table.resolve(key).to_owned(), value))
        .collect()
}

pub(crate) fn intern_list<'s>(strings: &'s [String], symbols: &mut Vec<Symbol>, table: &mut StringTable<'s>) {
    symbols.clear();
    symbols.extend(strings.iter().map(|string| table.intern(string.as_str())));
}

pub(crate) fn intern_map<'s>(
    map: &'s BTreeMap<String, String>,
    symbols: &mut Vec<(Symbol, Symbol)>,
    table: &mut StringTable<'s>,
) {
    symbols.clear();
    symbols.extend(
        map.iter()
            .map(|(key, value)| (table.intern(key.as_str()), table.intern(value.as_str()))),
    );
}

pub(crate) fn intern_flags<'s>(
    map: &'s BTreeMap<String, bool>,
    symbols: &mut Vec<(Symbol, bool)>,
    table: &mut StringTable<'s>,
) {
    symbols.clear();
    symbols.extend(map.iter().map(|(key, &value)| (table.intern(key.as_str()), value)));
}

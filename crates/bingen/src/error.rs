//! What can be wrong with bytes to read and with values to write.

use crate::strings::Symbol;

/// Why bytes are not a set this crate can read. `offset` counts bytes from the start of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file stops inside a value.
    #[error("{field} at byte {offset} needs {needed} bytes, but only {remaining} remain; the file is cut short")]
    UnexpectedEnd {
        /// Where the value starts.
        offset: usize,
        /// What was being read.
        field: &'static str,
        /// How many bytes the value takes.
        needed: usize,
        /// How many bytes there are.
        remaining: usize,
    },
    /// A value says it was written in a version this crate does not know.
    #[error(
        "{type_name} at byte {offset} has version {found}, but versions {oldest} to {newest} are supported; \
         a newer FedCost may read it"
    )]
    UnsupportedVersion {
        /// Where the version stands.
        offset: usize,
        /// The type whose version it is.
        type_name: &'static str,
        /// The version found.
        found: u8,
        /// The oldest version known.
        oldest: u8,
        /// The newest version known.
        newest: u8,
    },
    /// A count or length is below zero.
    #[error("{field} at byte {offset} states a count of {count}")]
    NegativeCount {
        /// Where the count stands.
        offset: usize,
        /// What is counted.
        field: &'static str,
        /// The count found.
        count: i32,
    },
    /// A count states more entries than the rest of the file could hold.
    #[error(
        "{field} at byte {offset} states {count} entries of at least {minimum} bytes, but only {remaining} bytes remain"
    )]
    CountTooLarge {
        /// Where the count stands.
        offset: usize,
        /// What is counted.
        field: &'static str,
        /// The count found.
        count: usize,
        /// The fewest bytes one entry takes.
        minimum: usize,
        /// How many bytes there are after the count.
        remaining: usize,
    },
    /// A presence byte or boolean is neither 0 nor 1.
    #[error("{field} at byte {offset} must start with 0 or 1, not {found}")]
    InvalidFlag {
        /// Where the byte stands.
        offset: usize,
        /// What it tells about.
        field: &'static str,
        /// The byte found.
        found: u8,
    },
    /// A string field points outside the string table.
    #[error("{field} at byte {offset} points to string {index} of a table of {entries}")]
    UnknownString {
        /// Where the index stands.
        offset: usize,
        /// The string field.
        field: &'static str,
        /// The index found.
        index: i32,
        /// How many strings the table has.
        entries: usize,
    },
    /// A time is not a moment in Go's binary form.
    #[error("{field} at byte {offset} is not a time: {reason}")]
    InvalidTime {
        /// Where the time starts.
        offset: usize,
        /// What was being read.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An asset is of a type this crate does not know.
    #[error("the asset at byte {offset} is of the unknown type {name:?}")]
    UnknownAssetType {
        /// Where the type name stands.
        offset: usize,
        /// The name found, up to its first 128 characters.
        name: String,
    },
    /// Bytes follow the end of the set. The reference writer leaves none, so the file is damaged or of another kind.
    #[error("{remaining} bytes follow the end of the set at byte {offset}")]
    TrailingBytes {
        /// Where the set ends.
        offset: usize,
        /// How many bytes follow.
        remaining: usize,
    },
}

/// Why values cannot be written as a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The version asked for is not one this crate writes.
    #[error("{type_name} cannot be written in version {asked}; choose one of {oldest} to {newest}")]
    UnsupportedVersion {
        /// The type to write.
        type_name: &'static str,
        /// The version asked for.
        asked: u8,
        /// The oldest version known.
        oldest: u8,
        /// The newest version known.
        newest: u8,
    },
    /// A record names a string that is not in the encoder's table.
    #[error("symbol {} is not in the encoder's string table; intern its string there first", symbol.index())]
    UnknownSymbol {
        /// The symbol found.
        symbol: Symbol,
    },
    /// There are more entries than a count of four bytes can state.
    #[error("{field} has {count} entries, more than the format can count; split the set")]
    TooManyEntries {
        /// What is counted.
        field: &'static str,
        /// How many there are.
        count: usize,
    },
    /// A time lies further ahead than the format's seconds since year 1 can state.
    #[error("the time {seconds} s after 1970 is too late for the format")]
    TimeOutOfRange {
        /// The time, in Unix seconds.
        seconds: i64,
    },
}

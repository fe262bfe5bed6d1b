//! What the three kinds of set have in common: an envelope around a map of records.

use crate::error::{DecodeError, EncodeError};
use crate::input::Input;
use crate::output::Output;
use crate::strings::{StringTable, Symbol};
use crate::version::Format;

/// How one kind of record is read and written. The public [`SetRecord`] can only be implemented here.
pub trait Codec: Default {
    /// What a set holds beside its records.
    type Envelope: Default;
    /// The set's type.
    const SET: Format;
    /// What errors call the map of records.
    const MAP: &'static str;
    /// The fewest bytes a record takes in any version, with its key.
    const RECORD_MINIMUM: usize;

    /// Reads the part of the envelope before the records.
    fn read_head(input: &mut Input<'_>, envelope: &mut Self::Envelope) -> Result<(), DecodeError>;
    /// Reads a record, whose key and presence were read before, over what this value held.
    fn read(&mut self, key: Symbol, input: &mut Input<'_>) -> Result<(), DecodeError>;
    /// Reads the part of the envelope after the records.
    fn read_tail(input: &mut Input<'_>, envelope: &mut Self::Envelope) -> Result<(), DecodeError>;

    /// Writes the part of the envelope before the records.
    fn write_head(output: &mut Output<'_>, envelope: &Self::Envelope) -> Result<(), EncodeError>;
    /// The key under which the record stands.
    fn key(&self) -> Symbol;
    /// Writes the record, after its key and presence.
    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError>;
    /// Writes the part of the envelope after the records.
    fn write_tail(output: &mut Output<'_>, envelope: &Self::Envelope) -> Result<(), EncodeError>;
}

/// A kind of record that makes up a set: [`AllocationRecord`](crate::AllocationRecord),
/// [`AssetRecord`](crate::AssetRecord) or [`CloudCostRecord`](crate::CloudCostRecord).
pub trait SetRecord: Codec {}

impl<R: Codec> SetRecord for R {}

/// Lends the records of a set one by one, each in the same reused memory.
///
/// Records that the file holds as null are skipped. After an error every further call returns that error again.
pub struct SetDecoder<'a, R: SetRecord> {
    input: Input<'a>,
    version: u8,
    envelope: R::Envelope,
    record: R,
    stated: usize,
    left: usize,
    failure: Option<DecodeError>,
}

/// What is left when a set has been read to its end.
#[derive(Debug, Clone)]
pub struct Finished<'a, E> {
    /// The set's version.
    pub version: u8,
    /// The strings that the symbols of the records and of the envelope stand for.
    pub strings: StringTable<'a>,
    /// What the set holds beside its records.
    pub envelope: E,
}

impl<'a, R: SetRecord> SetDecoder<'a, R> {
    /// Reads the file up to its first record.
    ///
    /// # Errors
    /// When the string table, the set's version, or what stands before the records is damaged or unknown.
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::open(bytes)?;
        let version = input.version(R::SET)?;
        let mut envelope = R::Envelope::default();
        R::read_head(&mut input, &mut envelope)?;
        // A null record is a key and one byte.
        let stated = input.optional_count(input.string_minimum() + 1, R::MAP)?;
        Ok(Self {
            input,
            version,
            envelope,
            record: R::default(),
            stated,
            left: stated,
            failure: None,
        })
    }

    /// The set's version.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// How many records the file states, null ones included. A damaged file may state more than it has: reserve
    /// memory by [`capacity_hint`](Self::capacity_hint).
    pub fn expected_len(&self) -> usize {
        self.stated
    }

    /// How many records can still come: what the file states, but never more than its remaining bytes could hold.
    pub fn capacity_hint(&self) -> usize {
        self.left.min(self.input.remaining() / R::RECORD_MINIMUM)
    }

    /// The strings of the file. Without a table at its front, strings are added while records are read.
    pub fn strings(&self) -> &StringTable<'a> {
        self.input.strings()
    }

    /// The record that [`next`](Self::next) returned last; the default record before that.
    pub fn record(&self) -> &R {
        &self.record
    }

    /// Reads the next record; none after the last.
    ///
    /// # Errors
    /// When the record is damaged or has a version that is not supported.
    #[expect(
        clippy::should_implement_trait,
        reason = "the record is lent, which Iterator cannot express"
    )]
    pub fn next(&mut self) -> Result<Option<&R>, DecodeError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match self.advance() {
            Ok(true) => Ok(Some(&self.record)),
            Ok(false) => Ok(None),
            Err(error) => {
                self.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    fn advance(&mut self) -> Result<bool, DecodeError> {
        while self.left > 0 {
            let key = self.input.symbol(R::MAP)?;
            let present = self.input.flag(R::MAP)?;
            self.left -= 1;
            if present {
                self.record.read(key, &mut self.input)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads to the end of the set, passing over records not yet read.
    ///
    /// # Errors
    /// When the rest is damaged, or bytes follow the set.
    pub fn finish(mut self) -> Result<Finished<'a, R::Envelope>, DecodeError> {
        while self.next()?.is_some() {}
        R::read_tail(&mut self.input, &mut self.envelope)?;
        self.input.end()?;
        Ok(Finished {
            version: self.version,
            strings: self.input.into_strings(),
            envelope: self.envelope,
        })
    }
}

/// How a set is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeOptions {
    /// The version to write; none for the newest. What an old version cannot hold is left out.
    pub version: Option<u8>,
    /// Whether strings are written once, in a table at the front, as the reference does.
    pub string_table: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self {
            version: None,
            string_table: true,
        }
    }
}

/// Writes a set one record at a time. Symbols in records and envelope are those of [`strings`](Self::strings).
pub struct SetEncoder<'a, R: SetRecord> {
    output: Output<'a>,
    count: usize,
    record: std::marker::PhantomData<fn(&R)>,
}

impl<'a, R: SetRecord> SetEncoder<'a, R> {
    /// An encoder of a set without records.
    ///
    /// # Errors
    /// When the version asked for is not supported.
    pub fn new(options: EncodeOptions) -> Result<Self, EncodeError> {
        let version = options.version.unwrap_or(R::SET.newest);
        Output::check_version(version, R::SET)?;
        Ok(Self {
            output: Output::new(R::SET, version, options.string_table),
            count: 0,
            record: std::marker::PhantomData,
        })
    }

    /// The table in which the strings of records are interned.
    pub fn strings(&mut self) -> &mut StringTable<'a> {
        &mut self.output.strings
    }

    /// How many records have been written.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no record has been written.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes a record. Keys must be distinct, or readers will keep only one of the records.
    ///
    /// # Errors
    /// When a symbol is not of this encoder's table, or a value does not fit the format. The encoder is of no further
    /// use then.
    pub fn push(&mut self, record: &R) -> Result<(), EncodeError> {
        self.output.symbol(record.key())?;
        self.output.flag(true);
        record.write(&mut self.output)?;
        self.count += 1;
        Ok(())
    }

    /// The bytes of the whole file.
    ///
    /// # Errors
    /// When a symbol of the envelope is not of this encoder's table, or there are too many records or strings.
    pub fn finish(self, envelope: &R::Envelope) -> Result<Vec<u8>, EncodeError> {
        let mut output = self.output;
        let records = output.take_bytes();
        output.byte(output.version);
        R::write_head(&mut output, envelope)?;
        output.present_count(self.count, R::MAP)?;
        let head = output.take_bytes();
        R::write_tail(&mut output, envelope)?;
        let tail = output.take_bytes();
        output.into_file([&head, &records, &tail])
    }
}

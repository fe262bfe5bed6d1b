//! Asset sets that own their strings.

use std::collections::BTreeMap;

use crate::asset::details::{AssetDetails, AssetKind, AssetProperties};
use crate::asset::record::{AssetRecord, AssetSetEnvelope};
use crate::error::{DecodeError, EncodeError};
use crate::owned::{intern_list, intern_map, string_map, strings};
use crate::set::{EncodeOptions, SetDecoder, SetEncoder};
use crate::strings::StringTable;
use crate::time::{Timestamp, Window};

/// A set of assets that share a window. Absent and empty lists and maps are the same here, and null entries are left
/// out; of entries with the same key the last one counts.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct AssetSet {
    /// The properties by which the writer added assets up; as a rule none.
    pub aggregation_keys: Vec<String>,
    /// The assets by key.
    pub assets: BTreeMap<String, Asset>,
    /// Where the writer had the set from.
    pub from_source: String,
    /// The span of time the set covers.
    pub window: Window,
    /// What the writer found odd.
    pub warnings: Vec<String>,
    /// What the writer failed at.
    pub errors: Vec<String>,
}

/// One asset. What its kind does not have is zero, empty or [`Timestamp::UNSET`], and is not written.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Asset {
    /// The names that place it.
    pub properties: Option<AssetProperties<String>>,
    /// Labels, with Prometheus-sanitised keys.
    pub labels: BTreeMap<String, String>,
    /// When it started to cost within the window.
    pub start: Timestamp,
    /// When it stopped to cost within the window.
    pub end: Timestamp,
    /// The window of the set.
    pub window: Window,
    /// What reconciliation with the bill adds to the cost.
    pub adjustment: f64,
    /// Cost in the window. A node's is in its details.
    pub cost: f64,
    /// What it has by its kind.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub details: AssetDetails<String>,
}

impl AssetSet {
    /// Reads a set of any version this crate supports.
    ///
    /// # Errors
    /// When the bytes are not such a set, whole and nothing but.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = SetDecoder::<AssetRecord>::new(bytes)?;
        let mut assets = BTreeMap::new();
        while decoder.next()?.is_some() {
            let (record, table) = (decoder.record(), decoder.strings());
            assets.insert(table.resolve(record.key).to_owned(), Asset::from_record(record, table));
        }
        let finished = decoder.finish()?;
        let (envelope, table) = (&finished.envelope, &finished.strings);
        Ok(Self {
            aggregation_keys: strings(&envelope.aggregation_keys, table),
            assets,
            from_source: table.resolve(envelope.from_source).to_owned(),
            window: envelope.window,
            warnings: strings(&envelope.warnings, table),
            errors: strings(&envelope.errors, table),
        })
    }

    /// Writes the set in the newest version, with a string table.
    ///
    /// # Errors
    /// When a value does not fit the format.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        self.encode_with(EncodeOptions::default())
    }

    /// Writes the set as `options` say.
    ///
    /// # Errors
    /// When a value does not fit the format, or the version is not supported.
    pub fn encode_with(&self, options: EncodeOptions) -> Result<Vec<u8>, EncodeError> {
        let mut encoder = SetEncoder::<AssetRecord>::new(options)?;
        let mut record = AssetRecord::default();
        for (key, asset) in &self.assets {
            let table = encoder.strings();
            record.key = table.intern(key.as_str());
            asset.fill_record(&mut record, table);
            encoder.push(&record)?;
        }
        let table = encoder.strings();
        let mut envelope = AssetSetEnvelope {
            from_source: table.intern(self.from_source.as_str()),
            window: self.window,
            ..AssetSetEnvelope::default()
        };
        intern_list(&self.aggregation_keys, &mut envelope.aggregation_keys, table);
        intern_list(&self.warnings, &mut envelope.warnings, table);
        intern_list(&self.errors, &mut envelope.errors, table);
        encoder.finish(&envelope)
    }
}

impl Asset {
    /// The kind of the asset.
    pub fn kind(&self) -> AssetKind {
        self.details.kind()
    }

    fn from_record(record: &AssetRecord, table: &StringTable<'_>) -> Self {
        Self {
            properties: record
                .properties
                .map(|names| names.map(|&symbol| table.resolve(symbol).to_owned())),
            labels: string_map(&record.labels, table),
            start: record.start,
            end: record.end,
            window: record.window,
            adjustment: record.adjustment,
            cost: record.cost,
            details: record.details.map(|&symbol| table.resolve(symbol).to_owned()),
        }
    }

    fn fill_record<'s>(&'s self, record: &mut AssetRecord, table: &mut StringTable<'s>) {
        record.properties = self
            .properties
            .as_ref()
            .map(|names| names.map(|string| table.intern(string.as_str())));
        intern_map(&self.labels, &mut record.labels, table);
        record.start = self.start;
        record.end = self.end;
        record.window = self.window;
        record.adjustment = self.adjustment;
        record.cost = self.cost;
        record.details = self.details.map(|string| table.intern(string.as_str()));
    }
}

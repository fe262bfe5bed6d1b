//! Cloud-cost sets that own their strings.

use std::collections::BTreeMap;

use crate::cloud_cost::record::{CloudCostProperties, CloudCostRecord, CloudCostSetEnvelope, CostMetric};
use crate::error::{DecodeError, EncodeError};
use crate::owned::{intern_list, intern_map, string_map, strings};
use crate::set::{EncodeOptions, SetDecoder, SetEncoder};
use crate::strings::StringTable;
use crate::time::Window;

/// A set of cloud costs that share a window. Absent and empty lists and maps are the same here, and null entries are
/// left out; of entries with the same key the last one counts.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct CloudCostSet {
    /// The costs by key.
    pub cloud_costs: BTreeMap<String, CloudCost>,
    /// The span of time the set covers.
    pub window: Window,
    /// The billing integration the set comes from.
    pub integration: String,
    /// The properties by which the writer added costs up.
    pub aggregation_properties: Vec<String>,
}

/// The cost of one resource of the provider.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct CloudCost {
    /// What the resource is, by name.
    pub properties: Option<CloudCostProperties<String>>,
    /// Labels of the resource. They are part of the properties, and not written without them.
    pub labels: BTreeMap<String, String>,
    /// The window of the set.
    pub window: Window,
    /// Cost by list price.
    pub list_cost: CostMetric,
    /// Cost after discounts and credits.
    pub net_cost: CostMetric,
    /// Net cost with commitments spread over their term.
    pub amortized_net_cost: CostMetric,
    /// Cost as invoiced.
    pub invoiced_cost: CostMetric,
    /// List cost with commitments spread over their term.
    pub amortized_cost: CostMetric,
}

impl CloudCostSet {
    /// Reads a set of any version this crate supports.
    ///
    /// # Errors
    /// When the bytes are not such a set, whole and nothing but.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = SetDecoder::<CloudCostRecord>::new(bytes)?;
        let mut cloud_costs = BTreeMap::new();
        while decoder.next()?.is_some() {
            let (record, table) = (decoder.record(), decoder.strings());
            cloud_costs.insert(
                table.resolve(record.key).to_owned(),
                CloudCost::from_record(record, table),
            );
        }
        let finished = decoder.finish()?;
        let (envelope, table) = (&finished.envelope, &finished.strings);
        Ok(Self {
            cloud_costs,
            window: envelope.window,
            integration: table.resolve(envelope.integration).to_owned(),
            aggregation_properties: strings(&envelope.aggregation_properties, table),
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
        let mut encoder = SetEncoder::<CloudCostRecord>::new(options)?;
        let mut record = CloudCostRecord::default();
        for (key, cloud_cost) in &self.cloud_costs {
            let table = encoder.strings();
            record.key = table.intern(key.as_str());
            cloud_cost.fill_record(&mut record, table);
            encoder.push(&record)?;
        }
        let table = encoder.strings();
        let mut envelope = CloudCostSetEnvelope {
            window: self.window,
            integration: table.intern(self.integration.as_str()),
            ..CloudCostSetEnvelope::default()
        };
        intern_list(
            &self.aggregation_properties,
            &mut envelope.aggregation_properties,
            table,
        );
        encoder.finish(&envelope)
    }
}

impl CloudCost {
    fn from_record(record: &CloudCostRecord, table: &StringTable<'_>) -> Self {
        Self {
            properties: record
                .properties
                .map(|names| names.map(|&symbol| table.resolve(symbol).to_owned())),
            labels: string_map(&record.labels, table),
            window: record.window,
            list_cost: record.list_cost,
            net_cost: record.net_cost,
            amortized_net_cost: record.amortized_net_cost,
            invoiced_cost: record.invoiced_cost,
            amortized_cost: record.amortized_cost,
        }
    }

    fn fill_record<'s>(&'s self, record: &mut CloudCostRecord, table: &mut StringTable<'s>) {
        record.properties = self
            .properties
            .as_ref()
            .map(|names| names.map(|string| table.intern(string.as_str())));
        intern_map(&self.labels, &mut record.labels, table);
        record.window = self.window;
        record.list_cost = self.list_cost;
        record.net_cost = self.net_cost;
        record.amortized_net_cost = self.amortized_net_cost;
        record.invoiced_cost = self.invoiced_cost;
        record.amortized_cost = self.amortized_cost;
    }
}

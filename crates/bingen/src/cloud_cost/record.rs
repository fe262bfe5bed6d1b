//! Cloud costs as they are lent by the decoder and taken by the encoder.

use crate::error::{DecodeError, EncodeError};
use crate::input::Input;
use crate::output::Output;
use crate::set::Codec;
use crate::strings::Symbol;
use crate::time::Window;
use crate::version::{self, Format};

/// What a cloud-cost set holds beside its costs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CloudCostSetEnvelope {
    /// The span of time the set covers.
    pub window: Window,
    /// The billing integration the set comes from.
    pub integration: Symbol,
    /// The properties by which the writer added costs up.
    pub aggregation_properties: Vec<Symbol>,
}

/// The cost of one resource of the provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CloudCostRecord {
    /// The key in the set's map.
    pub key: Symbol,
    /// What the resource is, by name.
    pub properties: Option<CloudCostProperties<Symbol>>,
    /// Labels of the resource. They are part of the properties, and not written without them.
    pub labels: Vec<(Symbol, Symbol)>,
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

/// What a resource of the provider is, by name. `S` is how strings are held: [`Symbol`] in records, `String` in owned
/// costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct CloudCostProperties<S> {
    /// The provider's id of the resource.
    #[cfg_attr(feature = "serde", serde(rename = "providerID"))]
    pub provider_id: S,
    /// Cloud provider.
    pub provider: S,
    /// Id of the account.
    #[cfg_attr(feature = "serde", serde(rename = "accountID"))]
    pub account_id: S,
    /// Name of the account (since version 3).
    pub account_name: S,
    /// Id of who is invoiced.
    #[cfg_attr(feature = "serde", serde(rename = "invoiceEntityID"))]
    pub invoice_entity_id: S,
    /// Name of who is invoiced (since version 3).
    pub invoice_entity_name: S,
    /// Id of the region (since version 3).
    #[cfg_attr(feature = "serde", serde(rename = "regionID"))]
    pub region_id: S,
    /// Availability zone (since version 3).
    pub availability_zone: S,
    /// Service of the provider.
    pub service: S,
    /// Category.
    pub category: S,
}

/// A cost, and how much of it is Kubernetes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct CostMetric {
    /// Cost in the window.
    pub cost: f64,
    /// Part of the cost that is Kubernetes, 0 to 1.
    pub kubernetes_percent: f64,
}

impl<S> CloudCostProperties<S> {
    /// The same properties with other strings.
    pub fn map<'s, T>(&'s self, mut string: impl FnMut(&'s S) -> T) -> CloudCostProperties<T> {
        CloudCostProperties {
            provider_id: string(&self.provider_id),
            provider: string(&self.provider),
            account_id: string(&self.account_id),
            account_name: string(&self.account_name),
            invoice_entity_id: string(&self.invoice_entity_id),
            invoice_entity_name: string(&self.invoice_entity_name),
            region_id: string(&self.region_id),
            availability_zone: string(&self.availability_zone),
            service: string(&self.service),
            category: string(&self.category),
        }
    }
}

impl CloudCostProperties<Symbol> {
    const FIELD: &'static str = "CloudCostProperties";

    fn read(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let version = input.structure(version::CLOUD_COST_PROPERTIES)?;
        let mut properties = Self::default();
        if version >= 3 {
            [
                properties.provider_id,
                properties.provider,
                properties.account_id,
                properties.account_name,
                properties.invoice_entity_id,
                properties.invoice_entity_name,
                properties.region_id,
                properties.availability_zone,
            ] = input.symbols(Self::FIELD)?;
        } else {
            [
                properties.provider_id,
                properties.provider,
                properties.account_id,
                properties.invoice_entity_id,
            ] = input.symbols(Self::FIELD)?;
        }
        [properties.service, properties.category] = input.symbols(Self::FIELD)?;
        Ok(properties)
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.structure();
        if output.version >= 3 {
            output.symbols(&[
                self.provider_id,
                self.provider,
                self.account_id,
                self.account_name,
                self.invoice_entity_id,
                self.invoice_entity_name,
                self.region_id,
                self.availability_zone,
            ])?;
        } else {
            output.symbols(&[self.provider_id, self.provider, self.account_id, self.invoice_entity_id])?;
        }
        output.symbols(&[self.service, self.category])
    }
}

impl CostMetric {
    fn read(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        input.structure(version::COST_METRIC)?;
        let [cost, kubernetes_percent] = input.floats("CostMetric")?;
        Ok(Self {
            cost,
            kubernetes_percent,
        })
    }

    fn write(&self, output: &mut Output<'_>) {
        output.structure();
        output.floats([self.cost, self.kubernetes_percent]);
    }
}

impl Codec for CloudCostRecord {
    type Envelope = CloudCostSetEnvelope;
    const SET: Format = version::CLOUD_COST_SET;
    const MAP: &'static str = "CloudCostSet.cloudCosts";
    // With empty strings in place: key, presence, head, no properties, window, five metrics.
    const RECORD_MINIMUM: usize = 2 + 1 + 5 + 1 + 7 + 5 * (5 + 16);

    fn read_head(_input: &mut Input<'_>, _envelope: &mut CloudCostSetEnvelope) -> Result<(), DecodeError> {
        Ok(())
    }

    fn read(&mut self, key: Symbol, input: &mut Input<'_>) -> Result<(), DecodeError> {
        self.key = key;
        input.structure(version::CLOUD_COST)?;
        if input.flag("CloudCost.properties")? {
            self.properties = Some(CloudCostProperties::read(input)?);
            input.symbol_map(&mut self.labels, "CloudCostProperties.labels")?;
        } else {
            self.properties = None;
            self.labels.clear();
        }
        self.window = input.window()?;
        for metric in [
            &mut self.list_cost,
            &mut self.net_cost,
            &mut self.amortized_net_cost,
            &mut self.invoiced_cost,
            &mut self.amortized_cost,
        ] {
            *metric = CostMetric::read(input)?;
        }
        Ok(())
    }

    fn read_tail(input: &mut Input<'_>, envelope: &mut CloudCostSetEnvelope) -> Result<(), DecodeError> {
        envelope.window = input.window()?;
        envelope.integration = input.symbol("CloudCostSet.integration")?;
        input.symbol_list(
            &mut envelope.aggregation_properties,
            "CloudCostSet.aggregationProperties",
        )
    }

    fn write_head(_output: &mut Output<'_>, _envelope: &CloudCostSetEnvelope) -> Result<(), EncodeError> {
        Ok(())
    }

    fn key(&self) -> Symbol {
        self.key
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.structure();
        output.flag(self.properties.is_some());
        if let Some(properties) = &self.properties {
            properties.write(output)?;
            output.symbol_map(&self.labels, "CloudCostProperties.labels")?;
        }
        output.window(&self.window)?;
        for metric in [
            &self.list_cost,
            &self.net_cost,
            &self.amortized_net_cost,
            &self.invoiced_cost,
            &self.amortized_cost,
        ] {
            metric.write(output);
        }
        Ok(())
    }

    fn write_tail(output: &mut Output<'_>, envelope: &CloudCostSetEnvelope) -> Result<(), EncodeError> {
        output.window(&envelope.window)?;
        output.symbol(envelope.integration)?;
        output.symbol_list(&envelope.aggregation_properties, "CloudCostSet.aggregationProperties")
    }
}

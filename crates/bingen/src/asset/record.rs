//! Assets as they are lent by the decoder and taken by the encoder.

use crate::asset::details::{
    AssetDetails, AssetKind, AssetProperties, Breakdown, DiskDetails, LoadBalancerDetails, NodeDetails, NodeOverhead,
};
use crate::error::{DecodeError, EncodeError};
use crate::input::Input;
use crate::output::Output;
use crate::set::Codec;
use crate::strings::Symbol;
use crate::time::{Timestamp, Window};
use crate::version::{self, Format};

/// What an asset set holds beside its assets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssetSetEnvelope {
    /// The properties by which the writer added assets up; as a rule none.
    pub aggregation_keys: Vec<Symbol>,
    /// Where the writer had the set from.
    pub from_source: Symbol,
    /// The span of time the set covers.
    pub window: Window,
    /// What the writer found odd.
    pub warnings: Vec<Symbol>,
    /// What the writer failed at.
    pub errors: Vec<Symbol>,
}

/// One asset. What its kind does not have is zero, empty or [`Timestamp::UNSET`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssetRecord {
    /// The key in the set's map.
    pub key: Symbol,
    /// The names that place it.
    pub properties: Option<AssetProperties<Symbol>>,
    /// Labels, with Prometheus-sanitised keys.
    pub labels: Vec<(Symbol, Symbol)>,
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
    pub details: AssetDetails<Symbol>,
}

impl AssetRecord {
    /// What the asset costs in its window, with discount, adjustment and credit: a node's resources are discounted but
    /// for its GPUs, everything else has a cost of its own (the reference's `TotalCost` of each kind).
    pub fn total_cost(&self) -> f64 {
        let cost = match &self.details {
            AssetDetails::Node(node) => (node.cpu_cost + node.ram_cost) * (1.0 - node.discount) + node.gpu_cost,
            AssetDetails::Cloud { credit } => self.cost + credit,
            AssetDetails::Any
            | AssetDetails::ClusterManagement
            | AssetDetails::Disk(_)
            | AssetDetails::LoadBalancer(_)
            | AssetDetails::Network
            | AssetDetails::SharedAsset => self.cost,
        };
        cost + self.adjustment
    }
}

impl AssetKind {
    const fn format(self) -> Format {
        match self {
            Self::Any => version::ANY,
            Self::Cloud => version::CLOUD,
            Self::ClusterManagement => version::CLUSTER_MANAGEMENT,
            Self::Disk => version::DISK,
            Self::LoadBalancer => version::LOAD_BALANCER,
            Self::Network => version::NETWORK,
            Self::Node => version::NODE,
            Self::SharedAsset => version::SHARED_ASSET,
        }
    }

    fn read(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        const LONGEST_SHOWN: usize = 128;
        let offset = input.offset();
        let name = input.inline_string("asset type name")?;
        Self::from_type_name(name).ok_or_else(|| DecodeError::UnknownAssetType {
            offset,
            name: String::from_utf8_lossy(name).chars().take(LONGEST_SHOWN).collect(),
        })
    }
}

impl Breakdown {
    fn read(input: &mut Input<'_>, field: &'static str) -> Result<Option<Self>, DecodeError> {
        if !input.flag(field)? {
            return Ok(None);
        }
        input.structure(version::BREAKDOWN)?;
        let [idle, other, system, user] = input.floats(field)?;
        Ok(Some(Self {
            idle,
            other,
            system,
            user,
        }))
    }

    fn write(breakdown: Option<&Self>, output: &mut Output<'_>) {
        output.flag(breakdown.is_some());
        if let Some(breakdown) = breakdown {
            output.structure();
            output.floats([breakdown.idle, breakdown.other, breakdown.system, breakdown.user]);
        }
    }
}

impl NodeOverhead {
    fn read(input: &mut Input<'_>) -> Result<Option<Self>, DecodeError> {
        if !input.flag("Node.overhead")? {
            return Ok(None);
        }
        input.structure(version::NODE_OVERHEAD)?;
        let [cpu_overhead_fraction, ram_overhead_fraction, overhead_cost_fraction] = input.floats("NodeOverhead")?;
        Ok(Some(Self {
            cpu_overhead_fraction,
            ram_overhead_fraction,
            overhead_cost_fraction,
        }))
    }

    fn write(overhead: Option<&Self>, output: &mut Output<'_>) {
        output.flag(overhead.is_some());
        if let Some(overhead) = overhead {
            output.structure();
            output.floats([
                overhead.cpu_overhead_fraction,
                overhead.ram_overhead_fraction,
                overhead.overhead_cost_fraction,
            ]);
        }
    }
}

impl DiskDetails<Symbol> {
    fn read(version: u8, input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let [byte_hours, local] = input.floats("Disk.byteHours")?;
        let mut disk = Self {
            byte_hours,
            local,
            breakdown: Breakdown::read(input, "Disk.breakdown")?,
            ..Self::default()
        };
        if version >= 17 {
            disk.storage_class = input.symbol("Disk.storageClass")?;
        }
        if version >= 18 {
            disk.byte_hours_used = input.optional_float("Disk.byteHoursUsed")?;
            disk.byte_usage_max = input.optional_float("Disk.byteUsageMax")?;
            [disk.volume_name, disk.claim_name, disk.claim_namespace] = input.symbols("Disk.volumeName")?;
        }
        Ok(disk)
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.floats([self.byte_hours, self.local]);
        Breakdown::write(self.breakdown.as_ref(), output);
        if output.version >= 17 {
            output.symbol(self.storage_class)?;
        }
        if output.version >= 18 {
            output.optional_float(self.byte_hours_used);
            output.optional_float(self.byte_usage_max);
            output.symbols(&[self.volume_name, self.claim_name, self.claim_namespace])?;
        }
        Ok(())
    }
}

impl LoadBalancerDetails<Symbol> {
    fn read(version: u8, input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let private = version >= 20 && input.flag("LoadBalancer.private")?;
        let ip = if version >= 21 {
            input.symbol("LoadBalancer.ip")?
        } else {
            Symbol::EMPTY
        };
        Ok(Self { private, ip })
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        if output.version >= 20 {
            output.flag(self.private);
        }
        if output.version >= 21 {
            output.symbol(self.ip)?;
        }
        Ok(())
    }
}

impl NodeDetails<Symbol> {
    fn read(version: u8, input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let node_type = input.symbol("Node.nodeType")?;
        let [cpu_core_hours, ram_byte_hours, gpu_hours] = input.floats("Node hours")?;
        let cpu_breakdown = Breakdown::read(input, "Node.cpuBreakdown")?;
        let ram_breakdown = Breakdown::read(input, "Node.ramBreakdown")?;
        let [cpu_cost, gpu_cost, gpu_count, ram_cost, discount, preemptible] = input.floats("Node costs")?;
        let overhead = if version >= 19 {
            NodeOverhead::read(input)?
        } else {
            None
        };
        Ok(Self {
            node_type,
            cpu_core_hours,
            ram_byte_hours,
            gpu_hours,
            cpu_breakdown,
            ram_breakdown,
            cpu_cost,
            gpu_cost,
            gpu_count,
            ram_cost,
            discount,
            preemptible,
            overhead,
        })
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.symbol(self.node_type)?;
        output.floats([self.cpu_core_hours, self.ram_byte_hours, self.gpu_hours]);
        Breakdown::write(self.cpu_breakdown.as_ref(), output);
        Breakdown::write(self.ram_breakdown.as_ref(), output);
        output.floats([
            self.cpu_cost,
            self.gpu_cost,
            self.gpu_count,
            self.ram_cost,
            self.discount,
            self.preemptible,
        ]);
        if output.version >= 19 {
            NodeOverhead::write(self.overhead.as_ref(), output);
        }
        Ok(())
    }
}

// The fields of the kinds are mostly the same, but each kind orders them in its own way.
impl AssetRecord {
    /// The kind of the asset.
    pub fn kind(&self) -> AssetKind {
        self.details.kind()
    }

    fn read_labels(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        input.symbol_map(&mut self.labels, "asset labels")
    }

    fn read_properties(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        self.properties = if input.flag("asset properties")? {
            input.structure(version::ASSET_PROPERTIES)?;
            let [
                category,
                provider,
                account,
                project,
                service,
                cluster,
                name,
                provider_id,
            ] = input.symbols("AssetProperties")?;
            Some(AssetProperties {
                category,
                provider,
                account,
                project,
                service,
                cluster,
                name,
                provider_id,
            })
        } else {
            None
        };
        Ok(())
    }

    fn read_span(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        self.start = input.time("asset start")?;
        self.end = input.time("asset end")?;
        self.window = input.window()?;
        self.adjustment = input.float("asset adjustment")?;
        Ok(())
    }

    /// For the kinds that have neither start nor end.
    fn read_window(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        (self.start, self.end) = (Timestamp::UNSET, Timestamp::UNSET);
        self.window = input.window()?;
        self.cost = input.float("asset cost")?;
        self.adjustment = 0.0;
        Ok(())
    }

    fn write_labels(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.symbol_map(&self.labels, "asset labels")
    }

    fn write_properties(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.flag(self.properties.is_some());
        let Some(properties) = &self.properties else {
            return Ok(());
        };
        output.structure();
        output.symbols(&[
            properties.category,
            properties.provider,
            properties.account,
            properties.project,
            properties.service,
            properties.cluster,
            properties.name,
            properties.provider_id,
        ])
    }

    fn write_span(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.time(self.start)?;
        output.time(self.end)?;
        output.window(&self.window)?;
        output.float(self.adjustment);
        Ok(())
    }
}

impl Codec for AssetRecord {
    type Envelope = AssetSetEnvelope;
    const SET: Format = version::ASSET_SET;
    const MAP: &'static str = "AssetSet.assets";
    // A shared asset with the shortest type name and empty strings in place: key, presence, name, head, no labels, no
    // properties, window, cost.
    const RECORD_MINIMUM: usize = 2 + 1 + (2 + 3) + 5 + 1 + 1 + 7 + 8;

    fn read_head(input: &mut Input<'_>, envelope: &mut AssetSetEnvelope) -> Result<(), DecodeError> {
        input.symbol_list(&mut envelope.aggregation_keys, "AssetSet.aggregationKeys")
    }

    fn read(&mut self, key: Symbol, input: &mut Input<'_>) -> Result<(), DecodeError> {
        self.key = key;
        let kind = AssetKind::read(input)?;
        let version = input.structure(kind.format())?;
        match kind {
            AssetKind::LoadBalancer | AssetKind::Network | AssetKind::Node => {
                self.read_properties(input)?;
                self.read_labels(input)?;
            }
            AssetKind::Any
            | AssetKind::Cloud
            | AssetKind::ClusterManagement
            | AssetKind::Disk
            | AssetKind::SharedAsset => {
                self.read_labels(input)?;
                self.read_properties(input)?;
            }
        }
        match kind {
            AssetKind::ClusterManagement | AssetKind::SharedAsset => self.read_window(input)?,
            AssetKind::Node => {
                self.read_span(input)?;
                self.cost = 0.0;
            }
            AssetKind::Any | AssetKind::Cloud | AssetKind::Disk | AssetKind::LoadBalancer | AssetKind::Network => {
                self.read_span(input)?;
                self.cost = input.float("asset cost")?;
            }
        }
        self.details = match kind {
            AssetKind::Any => AssetDetails::Any,
            AssetKind::Cloud => AssetDetails::Cloud {
                credit: input.float("Cloud.credit")?,
            },
            AssetKind::ClusterManagement => {
                if version >= 16 {
                    self.adjustment = input.float("asset adjustment")?;
                }
                AssetDetails::ClusterManagement
            }
            AssetKind::Disk => AssetDetails::Disk(DiskDetails::read(version, input)?),
            AssetKind::LoadBalancer => AssetDetails::LoadBalancer(LoadBalancerDetails::read(version, input)?),
            AssetKind::Network => AssetDetails::Network,
            AssetKind::Node => AssetDetails::Node(NodeDetails::read(version, input)?),
            AssetKind::SharedAsset => AssetDetails::SharedAsset,
        };
        Ok(())
    }

    fn read_tail(input: &mut Input<'_>, envelope: &mut AssetSetEnvelope) -> Result<(), DecodeError> {
        envelope.from_source = input.symbol("AssetSet.fromSource")?;
        envelope.window = input.window()?;
        input.symbol_list(&mut envelope.warnings, "AssetSet.warnings")?;
        input.symbol_list(&mut envelope.errors, "AssetSet.errors")
    }

    fn write_head(output: &mut Output<'_>, envelope: &AssetSetEnvelope) -> Result<(), EncodeError> {
        output.symbol_list(&envelope.aggregation_keys, "AssetSet.aggregationKeys")
    }

    fn key(&self) -> Symbol {
        self.key
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.inline_string(self.kind().type_name());
        output.structure();
        match &self.details {
            AssetDetails::LoadBalancer(_) | AssetDetails::Network | AssetDetails::Node(_) => {
                self.write_properties(output)?;
                self.write_labels(output)?;
            }
            AssetDetails::Any
            | AssetDetails::Cloud { .. }
            | AssetDetails::ClusterManagement
            | AssetDetails::Disk(_)
            | AssetDetails::SharedAsset => {
                self.write_labels(output)?;
                self.write_properties(output)?;
            }
        }
        match &self.details {
            AssetDetails::ClusterManagement | AssetDetails::SharedAsset => {
                output.window(&self.window)?;
                output.float(self.cost);
            }
            AssetDetails::Node(_) => self.write_span(output)?,
            AssetDetails::Any
            | AssetDetails::Cloud { .. }
            | AssetDetails::Disk(_)
            | AssetDetails::LoadBalancer(_)
            | AssetDetails::Network => {
                self.write_span(output)?;
                output.float(self.cost);
            }
        }
        match &self.details {
            AssetDetails::Any | AssetDetails::Network | AssetDetails::SharedAsset => Ok(()),
            AssetDetails::Cloud { credit } => {
                output.float(*credit);
                Ok(())
            }
            AssetDetails::ClusterManagement => {
                if output.version >= 16 {
                    output.float(self.adjustment);
                }
                Ok(())
            }
            AssetDetails::Disk(disk) => disk.write(output),
            AssetDetails::LoadBalancer(load_balancer) => load_balancer.write(output),
            AssetDetails::Node(node) => node.write(output),
        }
    }

    fn write_tail(output: &mut Output<'_>, envelope: &AssetSetEnvelope) -> Result<(), EncodeError> {
        output.symbol(envelope.from_source)?;
        output.window(&envelope.window)?;
        output.symbol_list(&envelope.warnings, "AssetSet.warnings")?;
        output.symbol_list(&envelope.errors, "AssetSet.errors")
    }
}

//! Allocations as they are lent by the decoder and taken by the encoder.

use crate::allocation::amounts::AllocationAmounts;
use crate::allocation::gpu::GpuAllocationRecord;
use crate::error::{DecodeError, EncodeError};
use crate::input::Input;
use crate::output::Output;
use crate::set::Codec;
use crate::strings::Symbol;
use crate::time::{Timestamp, Window};
use crate::version;

/// What an allocation set holds beside its allocations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AllocationSetEnvelope {
    /// Keys of allocations that stand for costs outside the cluster.
    pub external_keys: Vec<(Symbol, bool)>,
    /// Keys of allocations that stand for idle cost.
    pub idle_keys: Vec<(Symbol, bool)>,
    /// Where the writer had the set from.
    pub from_source: Symbol,
    /// The span of time the set covers.
    pub window: Window,
    /// What the writer found odd.
    pub warnings: Vec<Symbol>,
    /// What the writer failed at.
    pub errors: Vec<Symbol>,
}

/// One allocation: a container, or costs that belong to none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AllocationRecord {
    /// The key in the set's map.
    pub key: Symbol,
    /// The name, as a rule the same as the key.
    pub name: Symbol,
    /// Whether `properties` were in the file; when not, they are all empty.
    pub has_properties: bool,
    /// What the allocation is, by name.
    pub properties: AllocationPropertiesRecord,
    /// The window of the set.
    pub window: Window,
    /// When it started to run within the window.
    pub start: Timestamp,
    /// When it stopped to run within the window.
    pub end: Timestamp,
    /// The figures.
    pub amounts: AllocationAmounts,
    /// The persistent volumes it used.
    pub pvs: Vec<PvRecord>,
    /// Peaks that cannot be added up over windows.
    pub raw_allocation_only: Option<RawAllocationOnly>,
    /// The load balancers that served it (since version 18).
    pub load_balancers: Vec<LbRecord>,
    /// The GPUs it used (since version 22).
    pub gpu_allocation: Option<GpuAllocationRecord>,
}

/// What an allocation is, by name. Labels and annotations have Prometheus-sanitised keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AllocationPropertiesRecord {
    /// Id of the cluster.
    pub cluster: Symbol,
    /// Name of the node.
    pub node: Symbol,
    /// Name of the container.
    pub container: Symbol,
    /// Name of the controller.
    pub controller: Symbol,
    /// Kind of the controller, in lower case.
    pub controller_kind: Symbol,
    /// Namespace.
    pub namespace: Symbol,
    /// Name of the pod.
    pub pod: Symbol,
    /// Names of the services that select the pod.
    pub services: Vec<Symbol>,
    /// The provider's id of the node.
    pub provider_id: Symbol,
    /// Labels of the pod.
    pub labels: Vec<(Symbol, Symbol)>,
    /// Annotations of the pod.
    pub annotations: Vec<(Symbol, Symbol)>,
    /// Labels of the namespace (since version 17).
    pub namespace_labels: Vec<(Symbol, Symbol)>,
    /// Annotations of the namespace (since version 17).
    pub namespace_annotations: Vec<(Symbol, Symbol)>,
}

/// What an allocation used of one persistent volume.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PvRecord {
    /// Id of the volume's cluster.
    pub cluster: Symbol,
    /// Name of the volume.
    pub name: Symbol,
    /// Byte-hours of storage.
    pub byte_hours: f64,
    /// Cost of the storage.
    pub cost: f64,
    /// The provider's id of the volume (since version 20).
    pub provider_id: Symbol,
}

/// What an allocation used of one load balancer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LbRecord {
    /// The key in the allocation's map.
    pub key: Symbol,
    /// Namespace and name of the service.
    pub service: Symbol,
    /// Cost of the load balancer.
    pub cost: f64,
    /// Whether it is reachable only from inside.
    pub private: bool,
    /// Its address (since version 19).
    pub ip: Symbol,
    /// Hours it stood (since version 21).
    pub hours: f64,
}

/// Peaks within the window, which lose their meaning once windows are added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct RawAllocationOnly {
    /// Most cores used at once.
    pub cpu_core_usage_max: f64,
    /// Most bytes of memory used at once.
    pub ram_bytes_usage_max: f64,
    /// Most GPUs used at once, if the agent knows (since version 23).
    pub gpu_usage_max: Option<f64>,
}

impl AllocationPropertiesRecord {
    /// Makes everything empty, and keeps the memory for the next record.
    pub fn clear(&mut self) {
        for symbol in [
            &mut self.cluster,
            &mut self.node,
            &mut self.container,
            &mut self.controller,
            &mut self.controller_kind,
            &mut self.namespace,
            &mut self.pod,
            &mut self.provider_id,
        ] {
            *symbol = Symbol::EMPTY;
        }
        self.services.clear();
        for map in [
            &mut self.labels,
            &mut self.annotations,
            &mut self.namespace_labels,
            &mut self.namespace_annotations,
        ] {
            map.clear();
        }
    }

    fn read(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        let version = input.structure(version::ALLOCATION_PROPERTIES)?;
        [
            self.cluster,
            self.node,
            self.container,
            self.controller,
            self.controller_kind,
            self.namespace,
            self.pod,
        ] = input.symbols("AllocationProperties names")?;
        input.symbol_list(&mut self.services, "AllocationProperties.services")?;
        self.provider_id = input.symbol("AllocationProperties.providerID")?;
        input.symbol_map(&mut self.labels, "AllocationProperties.labels")?;
        input.symbol_map(&mut self.annotations, "AllocationProperties.annotations")?;
        if version >= 17 {
            input.symbol_map(&mut self.namespace_labels, "AllocationProperties.namespaceLabels")?;
            input.symbol_map(
                &mut self.namespace_annotations,
                "AllocationProperties.namespaceAnnotations",
            )?;
        } else {
            self.namespace_labels.clear();
            self.namespace_annotations.clear();
        }
        Ok(())
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.structure();
        output.symbols(&[
            self.cluster,
            self.node,
            self.container,
            self.controller,
            self.controller_kind,
            self.namespace,
            self.pod,
        ])?;
        output.symbol_list(&self.services, "AllocationProperties.services")?;
        output.symbol(self.provider_id)?;
        output.symbol_map(&self.labels, "AllocationProperties.labels")?;
        output.symbol_map(&self.annotations, "AllocationProperties.annotations")?;
        if output.version >= 17 {
            output.symbol_map(&self.namespace_labels, "AllocationProperties.namespaceLabels")?;
            output.symbol_map(&self.namespace_annotations, "AllocationProperties.namespaceAnnotations")?;
        }
        Ok(())
    }
}

impl PvRecord {
    /// Reads an entry of the map of volumes; none when it is null.
    fn read(input: &mut Input<'_>) -> Result<Option<Self>, DecodeError> {
        input.structure(version::PV_KEY)?;
        let [cluster, name] = input.symbols("PVKey")?;
        if !input.flag("Allocation.pvs")? {
            return Ok(None);
        }
        let version = input.structure(version::PV_ALLOCATION)?;
        let [byte_hours, cost] = input.floats("PVAllocation")?;
        let provider_id = if version >= 20 {
            input.symbol("PVAllocation.providerID")?
        } else {
            Symbol::EMPTY
        };
        Ok(Some(Self {
            cluster,
            name,
            byte_hours,
            cost,
            provider_id,
        }))
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.structure();
        output.symbols(&[self.cluster, self.name])?;
        output.flag(true);
        output.structure();
        output.floats([self.byte_hours, self.cost]);
        if output.version >= 20 {
            output.symbol(self.provider_id)?;
        }
        Ok(())
    }
}

impl LbRecord {
    /// Reads an entry of the map of load balancers; none when it is null.
    fn read(input: &mut Input<'_>) -> Result<Option<Self>, DecodeError> {
        let key = input.symbol("Allocation.loadBalancers")?;
        if !input.flag("Allocation.loadBalancers")? {
            return Ok(None);
        }
        let version = input.structure(version::LB_ALLOCATION)?;
        let service = input.symbol("LbAllocation.service")?;
        let cost = input.float("LbAllocation.cost")?;
        let private = input.flag("LbAllocation.private")?;
        let ip = if version >= 19 {
            input.symbol("LbAllocation.ip")?
        } else {
            Symbol::EMPTY
        };
        let hours = if version >= 21 {
            input.float("LbAllocation.hours")?
        } else {
            0.0
        };
        Ok(Some(Self {
            key,
            service,
            cost,
            private,
            ip,
            hours,
        }))
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.symbol(self.key)?;
        output.flag(true);
        output.structure();
        output.symbol(self.service)?;
        output.float(self.cost);
        output.flag(self.private);
        if output.version >= 19 {
            output.symbol(self.ip)?;
        }
        if output.version >= 21 {
            output.float(self.hours);
        }
        Ok(())
    }
}

impl RawAllocationOnly {
    fn read(input: &mut Input<'_>) -> Result<Option<Self>, DecodeError> {
        if !input.flag("Allocation.rawAllocationOnly")? {
            return Ok(None);
        }
        let version = input.structure(version::RAW_ALLOCATION_ONLY)?;
        let [cpu_core_usage_max, ram_bytes_usage_max] = input.floats("RawAllocationOnlyData")?;
        let gpu_usage_max = if version >= 23 {
            input.optional_float("RawAllocationOnlyData.gpuUsageMax")?
        } else {
            None
        };
        Ok(Some(Self {
            cpu_core_usage_max,
            ram_bytes_usage_max,
            gpu_usage_max,
        }))
    }

    fn write(&self, output: &mut Output<'_>) {
        output.structure();
        output.floats([self.cpu_core_usage_max, self.ram_bytes_usage_max]);
        if output.version >= 23 {
            output.optional_float(self.gpu_usage_max);
        }
    }
}

impl AllocationRecord {
    fn read_volumes(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        const STRUCTURE: usize = 5;
        self.pvs.clear();
        let minimum = STRUCTURE + 2 * input.string_minimum() + 1;
        let count = input.optional_count(minimum, "Allocation.pvs")?;
        for _ in 0..count {
            self.pvs.extend(PvRecord::read(input)?);
        }
        Ok(())
    }

    fn read_load_balancers(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        let count = input.optional_count(input.string_minimum() + 1, "Allocation.loadBalancers")?;
        for _ in 0..count {
            self.load_balancers.extend(LbRecord::read(input)?);
        }
        Ok(())
    }
}

impl Codec for AllocationRecord {
    type Envelope = AllocationSetEnvelope;
    const SET: version::Format = version::ALLOCATION_SET;
    const MAP: &'static str = "AllocationSet.allocations";
    // Version 15 with empty strings in place: key, presence, head, name, no properties, window, two times, 22
    // floats, no volumes and no peaks.
    const RECORD_MINIMUM: usize = 2 + 1 + 5 + 2 + 1 + 7 + 2 * 19 + 22 * 8 + 2;

    fn read_head(_input: &mut Input<'_>, _envelope: &mut AllocationSetEnvelope) -> Result<(), DecodeError> {
        Ok(())
    }

    fn read(&mut self, key: Symbol, input: &mut Input<'_>) -> Result<(), DecodeError> {
        let version = input.structure(version::ALLOCATION)?;
        self.key = key;
        self.name = input.symbol("Allocation.name")?;
        self.has_properties = input.flag("Allocation.properties")?;
        if self.has_properties {
            self.properties.read(input)?;
        } else {
            self.properties.clear();
        }
        self.window = input.window()?;
        self.start = input.time("Allocation.start")?;
        self.end = input.time("Allocation.end")?;
        self.amounts.read_before_volumes(version, input)?;
        self.read_volumes(input)?;
        self.amounts.read_after_volumes(input)?;
        self.raw_allocation_only = RawAllocationOnly::read(input)?;
        self.load_balancers.clear();
        if version >= 18 {
            self.read_load_balancers(input)?;
        }
        self.gpu_allocation = GpuAllocationRecord::read(version, input)?;
        self.amounts.read_last(version, input)
    }

    fn read_tail(input: &mut Input<'_>, envelope: &mut AllocationSetEnvelope) -> Result<(), DecodeError> {
        input.flag_map(&mut envelope.external_keys, "AllocationSet.externalKeys")?;
        input.flag_map(&mut envelope.idle_keys, "AllocationSet.idleKeys")?;
        envelope.from_source = input.symbol("AllocationSet.fromSource")?;
        envelope.window = input.window()?;
        input.symbol_list(&mut envelope.warnings, "AllocationSet.warnings")?;
        input.symbol_list(&mut envelope.errors, "AllocationSet.errors")
    }

    fn write_head(_output: &mut Output<'_>, _envelope: &AllocationSetEnvelope) -> Result<(), EncodeError> {
        Ok(())
    }

    fn key(&self) -> Symbol {
        self.key
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        output.structure();
        output.symbol(self.name)?;
        output.flag(self.has_properties);
        if self.has_properties {
            self.properties.write(output)?;
        }
        output.window(&self.window)?;
        output.time(self.start)?;
        output.time(self.end)?;
        self.amounts.write_before_volumes(output);
        output.optional_count(self.pvs.len(), "Allocation.pvs")?;
        self.pvs.iter().try_for_each(|pv| pv.write(output))?;
        self.amounts.write_after_volumes(output);
        output.flag(self.raw_allocation_only.is_some());
        if let Some(raw) = &self.raw_allocation_only {
            raw.write(output);
        }
        if output.version >= 18 {
            output.optional_count(self.load_balancers.len(), "Allocation.loadBalancers")?;
            self.load_balancers
                .iter()
                .try_for_each(|load_balancer| load_balancer.write(output))?;
        }
        GpuAllocationRecord::write(self.gpu_allocation.as_ref(), output)?;
        self.amounts.write_last(output);
        Ok(())
    }

    fn write_tail(output: &mut Output<'_>, envelope: &AllocationSetEnvelope) -> Result<(), EncodeError> {
        output.flag_map(&envelope.external_keys, "AllocationSet.externalKeys")?;
        output.flag_map(&envelope.idle_keys, "AllocationSet.idleKeys")?;
        output.symbol(envelope.from_source)?;
        output.window(&envelope.window)?;
        output.symbol_list(&envelope.warnings, "AllocationSet.warnings")?;
        output.symbol_list(&envelope.errors, "AllocationSet.errors")
    }
}

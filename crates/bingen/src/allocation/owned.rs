//! Allocation sets that own their strings.

use std::collections::BTreeMap;
use std::fmt;

use crate::allocation::amounts::AllocationAmounts;
use crate::allocation::gpu::GpuAllocation;
use crate::allocation::record::{
    AllocationPropertiesRecord, AllocationRecord, AllocationSetEnvelope, LbRecord, PvRecord, RawAllocationOnly,
};
use crate::error::{DecodeError, EncodeError};
use crate::owned::{flag_map, intern_flags, intern_list, intern_map, string_map, strings};
use crate::set::{EncodeOptions, SetDecoder, SetEncoder};
use crate::strings::StringTable;
use crate::time::{Timestamp, Window};

/// A set of allocations that share a window. Absent and empty lists and maps are the same here, and null entries of
/// maps are left out; of entries with the same key the last one counts.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct AllocationSet {
    /// The allocations by key.
    pub allocations: BTreeMap<String, Allocation>,
    /// Keys of allocations that stand for costs outside the cluster.
    pub external_keys: BTreeMap<String, bool>,
    /// Keys of allocations that stand for idle cost.
    pub idle_keys: BTreeMap<String, bool>,
    /// Where the writer had the set from.
    pub from_source: String,
    /// The span of time the set covers.
    pub window: Window,
    /// What the writer found odd.
    pub warnings: Vec<String>,
    /// What the writer failed at.
    pub errors: Vec<String>,
}

/// One allocation: a container, or costs that belong to none.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Allocation {
    /// The name, as a rule the same as the key.
    pub name: String,
    /// What the allocation is, by name.
    pub properties: Option<AllocationProperties>,
    /// The window of the set.
    pub window: Window,
    /// When it started to run within the window.
    pub start: Timestamp,
    /// When it stopped to run within the window.
    pub end: Timestamp,
    /// The figures.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub amounts: AllocationAmounts,
    /// The persistent volumes it used.
    pub pvs: BTreeMap<PvKey, PvAllocation>,
    /// Peaks that cannot be added up over windows.
    pub raw_allocation_only: Option<RawAllocationOnly>,
    /// The load balancers that served it (since version 18).
    pub load_balancers: BTreeMap<String, LbAllocation>,
    /// The GPUs it used (since version 22).
    pub gpu_allocation: Option<GpuAllocation>,
}

/// What an allocation is, by name. Labels and annotations have Prometheus-sanitised keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct AllocationProperties {
    /// Id of the cluster.
    pub cluster: String,
    /// Name of the node.
    pub node: String,
    /// Name of the container.
    pub container: String,
    /// Name of the controller.
    pub controller: String,
    /// Kind of the controller, in lower case.
    pub controller_kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Names of the services that select the pod.
    pub services: Vec<String>,
    /// The provider's id of the node.
    #[cfg_attr(feature = "serde", serde(rename = "providerID"))]
    pub provider_id: String,
    /// Labels of the pod.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pod.
    pub annotations: BTreeMap<String, String>,
    /// Labels of the namespace (since version 17).
    pub namespace_labels: BTreeMap<String, String>,
    /// Annotations of the namespace (since version 17).
    pub namespace_annotations: BTreeMap<String, String>,
}

/// A persistent volume of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PvKey {
    /// Id of the volume's cluster.
    pub cluster: String,
    /// Name of the volume.
    pub name: String,
}

/// As the reference's JSON names volumes: `cluster=<cluster>:name=<name>`.
impl fmt::Display for PvKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cluster={}:name={}", self.cluster, self.name)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for PvKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What an allocation used of one persistent volume.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct PvAllocation {
    /// Byte-hours of storage.
    pub byte_hours: f64,
    /// Cost of the storage.
    pub cost: f64,
    /// The provider's id of the volume (since version 20).
    #[cfg_attr(feature = "serde", serde(rename = "providerID"))]
    pub provider_id: String,
}

/// What an allocation used of one load balancer.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct LbAllocation {
    /// Namespace and name of the service.
    pub service: String,
    /// Cost of the load balancer.
    pub cost: f64,
    /// Whether it is reachable only from inside.
    pub private: bool,
    /// Its address (since version 19).
    pub ip: String,
    /// Hours it stood (since version 21).
    pub hours: f64,
}

impl AllocationSet {
    /// Reads a set of any version this crate supports.
    ///
    /// # Errors
    /// When the bytes are not such a set, whole and nothing but.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = SetDecoder::<AllocationRecord>::new(bytes)?;
        let mut allocations = BTreeMap::new();
        while decoder.next()?.is_some() {
            let (record, table) = (decoder.record(), decoder.strings());
            allocations.insert(
                table.resolve(record.key).to_owned(),
                Allocation::from_record(record, table),
            );
        }
        let finished = decoder.finish()?;
        let (envelope, table) = (&finished.envelope, &finished.strings);
        Ok(Self {
            allocations,
            external_keys: flag_map(&envelope.external_keys, table),
            idle_keys: flag_map(&envelope.idle_keys, table),
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
        let mut encoder = SetEncoder::<AllocationRecord>::new(options)?;
        let mut record = AllocationRecord::default();
        for (key, allocation) in &self.allocations {
            let table = encoder.strings();
            record.key = table.intern(key.as_str());
            allocation.fill_record(&mut record, table);
            encoder.push(&record)?;
        }
        let table = encoder.strings();
        let mut envelope = AllocationSetEnvelope {
            from_source: table.intern(self.from_source.as_str()),
            window: self.window,
            ..AllocationSetEnvelope::default()
        };
        intern_flags(&self.external_keys, &mut envelope.external_keys, table);
        intern_flags(&self.idle_keys, &mut envelope.idle_keys, table);
        intern_list(&self.warnings, &mut envelope.warnings, table);
        intern_list(&self.errors, &mut envelope.errors, table);
        encoder.finish(&envelope)
    }
}

impl Allocation {
    fn from_record(record: &AllocationRecord, table: &StringTable<'_>) -> Self {
        Self {
            name: table.resolve(record.name).to_owned(),
            properties: record
                .has_properties
                .then(|| AllocationProperties::from_record(&record.properties, table)),
            window: record.window,
            start: record.start,
            end: record.end,
            amounts: record.amounts,
            pvs: record.pvs.iter().map(|pv| pv_entry(pv, table)).collect(),
            raw_allocation_only: record.raw_allocation_only,
            load_balancers: record
                .load_balancers
                .iter()
                .map(|lb| load_balancer_entry(lb, table))
                .collect(),
            gpu_allocation: record
                .gpu_allocation
                .as_ref()
                .map(|gpu| GpuAllocation::from_record(gpu, table)),
        }
    }

    fn fill_record<'s>(&'s self, record: &mut AllocationRecord, table: &mut StringTable<'s>) {
        record.name = table.intern(self.name.as_str());
        record.has_properties = self.properties.is_some();
        match &self.properties {
            Some(properties) => properties.fill_record(&mut record.properties, table),
            None => record.properties.clear(),
        }
        record.window = self.window;
        record.start = self.start;
        record.end = self.end;
        record.amounts = self.amounts;
        record.pvs.clear();
        record.pvs.extend(self.pvs.iter().map(|(key, pv)| PvRecord {
            cluster: table.intern(key.cluster.as_str()),
            name: table.intern(key.name.as_str()),
            byte_hours: pv.byte_hours,
            cost: pv.cost,
            provider_id: table.intern(pv.provider_id.as_str()),
        }));
        record.raw_allocation_only = self.raw_allocation_only;
        record.load_balancers.clear();
        record
            .load_balancers
            .extend(self.load_balancers.iter().map(|(key, lb)| LbRecord {
                key: table.intern(key.as_str()),
                service: table.intern(lb.service.as_str()),
                cost: lb.cost,
                private: lb.private,
                ip: table.intern(lb.ip.as_str()),
                hours: lb.hours,
            }));
        record.gpu_allocation = self.gpu_allocation.as_ref().map(|gpu| gpu.to_record(table));
    }
}

impl AllocationProperties {
    fn from_record(record: &AllocationPropertiesRecord, table: &StringTable<'_>) -> Self {
        Self {
            cluster: table.resolve(record.cluster).to_owned(),
            node: table.resolve(record.node).to_owned(),
            container: table.resolve(record.container).to_owned(),
            controller: table.resolve(record.controller).to_owned(),
            controller_kind: table.resolve(record.controller_kind).to_owned(),
            namespace: table.resolve(record.namespace).to_owned(),
            pod: table.resolve(record.pod).to_owned(),
            services: strings(&record.services, table),
            provider_id: table.resolve(record.provider_id).to_owned(),
            labels: string_map(&record.labels, table),
            annotations: string_map(&record.annotations, table),
            namespace_labels: string_map(&record.namespace_labels, table),
            namespace_annotations: string_map(&record.namespace_annotations, table),
        }
    }

    fn fill_record<'s>(&'s self, record: &mut AllocationPropertiesRecord, table: &mut StringTable<'s>) {
        record.cluster = table.intern(self.cluster.as_str());
        record.node = table.intern(self.node.as_str());
        record.container = table.intern(self.container.as_str());
        record.controller = table.intern(self.controller.as_str());
        record.controller_kind = table.intern(self.controller_kind.as_str());
        record.namespace = table.intern(self.namespace.as_str());
        record.pod = table.intern(self.pod.as_str());
        intern_list(&self.services, &mut record.services, table);
        record.provider_id = table.intern(self.provider_id.as_str());
        intern_map(&self.labels, &mut record.labels, table);
        intern_map(&self.annotations, &mut record.annotations, table);
        intern_map(&self.namespace_labels, &mut record.namespace_labels, table);
        intern_map(&self.namespace_annotations, &mut record.namespace_annotations, table);
    }
}

fn pv_entry(pv: &PvRecord, table: &StringTable<'_>) -> (PvKey, PvAllocation) {
    let key = PvKey {
        cluster: table.resolve(pv.cluster).to_owned(),
        name: table.resolve(pv.name).to_owned(),
    };
    let provider_id = table.resolve(pv.provider_id).to_owned();
    (
        key,
        PvAllocation {
            byte_hours: pv.byte_hours,
            cost: pv.cost,
            provider_id,
        },
    )
}

fn load_balancer_entry(lb: &LbRecord, table: &StringTable<'_>) -> (String, LbAllocation) {
    let load_balancer = LbAllocation {
        service: table.resolve(lb.service).to_owned(),
        cost: lb.cost,
        private: lb.private,
        ip: table.resolve(lb.ip).to_owned(),
        hours: lb.hours,
    };
    (table.resolve(lb.key).to_owned(), load_balancer)
}

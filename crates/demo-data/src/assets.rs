//! Asset sets: what the machines, volumes and load balancers of a cluster cost in a window.

use bingen::{
    AssetDetails, AssetKind, AssetProperties, AssetRecord, AssetSetEncoder, AssetSetEnvelope, Breakdown, DiskDetails,
    EncodeError, EncodeOptions, LoadBalancerDetails, NodeDetails, NodeOverhead, Symbol, Timestamp,
};

use crate::allocations::{FileWindow, MachineUse};
use crate::catalog::Cloud;
use crate::cluster::{Cluster, GIB, LoadBalancer, Node, Volume};
use crate::prices::{NodePrices, adjustment_rate, load_balancer_cost, volume_cost};
use crate::schedule::Span;

const UNDEFINED: &str = "__undefined__";
const KUBERNETES: &str = "Kubernetes";
const NODE_DISK_BYTES: f64 = 100.0 * GIB;

/// An asset file.
pub(crate) struct AssetFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) assets: usize,
}

/// Encodes the assets of `cluster` in a window in which `machines` ran.
pub(crate) fn encode_assets(
    cluster: &Cluster,
    window: FileWindow,
    machines: &[MachineUse],
) -> Result<AssetFile, EncodeError> {
    let mut encoder = AssetSetEncoder::new(EncodeOptions::default())?;
    let strings = encoder.strings();
    let mut writer = AssetWriter {
        cluster,
        window,
        rate: if window.has_passed() {
            adjustment_rate(cluster, window.day())
        } else {
            0.0
        },
        properties: AssetProperties {
            provider: strings.intern(cluster.site.provider),
            account: strings.intern(cluster.site.account),
            project: strings.intern(cluster.site.project),
            service: strings.intern(KUBERNETES),
            cluster: strings.intern(cluster.id.as_str()),
            ..AssetProperties::default()
        },
        record: AssetRecord {
            window: window.to_bingen(),
            ..AssetRecord::default()
        },
        encoder,
    };
    for machine in machines {
        let node = &cluster.nodes[machine.node];
        writer.write_node(node, machine)?;
        writer.write_node_disk(machine)?;
        writer.write_network(machine)?;
        for slot in &node.slots {
            if let Some(volume) = &slot.volume {
                writer.write_volume(volume)?;
            }
        }
    }
    for volume in &cluster.orphans {
        writer.write_volume(volume)?;
    }
    for load_balancer in cluster
        .workloads
        .iter()
        .filter_map(|workload| workload.load_balancer.as_ref())
    {
        writer.write_load_balancer(load_balancer)?;
    }
    writer.write_management()?;
    let assets = writer.encoder.len();
    let envelope = AssetSetEnvelope {
        window: window.to_bingen(),
        ..AssetSetEnvelope::default()
    };
    Ok(AssetFile {
        bytes: writer.encoder.finish(&envelope)?,
        assets,
    })
}

struct AssetWriter<'m> {
    cluster: &'m Cluster,
    window: FileWindow,
    rate: f64,
    encoder: AssetSetEncoder<'m>,
    /// What all assets of the cluster have alike.
    properties: AssetProperties<Symbol>,
    record: AssetRecord,
}

impl<'m> AssetWriter<'m> {
    /// Makes the record that of a new asset without labels, costs and details.
    fn start(&mut self, kind: AssetKind, category: &'static str, name: &str, provider_id: &str, span: Span) {
        let site = self.cluster.site;
        let or_undefined = |text| if str::is_empty(text) { UNDEFINED } else { text };
        let key = [
            site.provider,
            or_undefined(site.account),
            or_undefined(site.project),
            category,
            &self.cluster.id,
            kind.as_str(),
            KUBERNETES,
            or_undefined(provider_id),
            or_undefined(name),
        ]
        .join("/");
        let strings = self.encoder.strings();
        self.record.key = strings.intern(key);
        self.record.properties = Some(AssetProperties {
            category: strings.intern(category),
            name: strings.intern(name.to_owned()),
            provider_id: strings.intern(provider_id.to_owned()),
            ..self.properties
        });
        self.record.labels.clear();
        self.record.start = Timestamp::from_unix_seconds(span.start);
        self.record.end = Timestamp::from_unix_seconds(span.end);
        self.record.adjustment = 0.0;
        self.record.cost = 0.0;
    }

    fn label(&mut self, key: &'static str, value: &'m str) {
        let strings = self.encoder.strings();
        self.record.labels.push((strings.intern(key), strings.intern(value)));
    }

    fn write_node(&mut self, node: &'m Node, machine: &MachineUse) -> Result<(), EncodeError> {
        let MachineUse {
            span, machine: names, ..
        } = machine;
        self.start(AssetKind::Node, "Compute", &names.name, &names.provider_id, *span);
        self.label("label_kubernetes_io_os", "linux");
        self.label("label_node_kubernetes_io_instance_type", node.instance.name);
        self.label("label_topology_kubernetes_io_region", self.cluster.site.region);
        self.label("label_topology_kubernetes_io_zone", &node.zone);
        self.label("label_team", node.team);
        let (hours, instance) = (span.hours(), node.instance);
        let prices = NodePrices::of(node, self.cluster.site);
        let cpu_core_hours = instance.cores * hours;
        let ram_byte_hours = instance.ram_gib * GIB * hours;
        let gpu_hours = instance.gpus * hours;
        // The discount is stated beside the costs, which are before it.
        let before_discount = 1.0 / (1.0 - prices.discount);
        let paid_for_cpu = cpu_core_hours * prices.core_hour;
        let paid_for_ram = instance.ram_gib * hours * prices.gib_hour;
        let gpu_cost = gpu_hours * prices.gpu_hour;
        let cpu_used = machine.core_hours_used / cpu_core_hours;
        let ram_used = machine.ram_byte_hours_used / ram_byte_hours;
        self.record.adjustment = self.rate * (paid_for_cpu + paid_for_ram + gpu_cost);
        self.record.details = AssetDetails::Node(NodeDetails {
            node_type: self.encoder.strings().intern(instance.name),
            cpu_core_hours,
            ram_byte_hours,
            gpu_hours,
            cpu_breakdown: Some(breakdown(cpu_used, 0.04, 0.01)),
            ram_breakdown: Some(breakdown(ram_used, 0.05, 0.0)),
            cpu_cost: paid_for_cpu * before_discount,
            gpu_cost,
            gpu_count: instance.gpus,
            ram_cost: paid_for_ram * before_discount,
            discount: prices.discount,
            preemptible: if node.spot { 1.0 } else { 0.0 },
            overhead: Some(NodeOverhead {
                cpu_overhead_fraction: 0.02,
                ram_overhead_fraction: 0.06,
                overhead_cost_fraction: 0.035,
            }),
        });
        self.encoder.push(&self.record)
    }

    fn write_node_disk(&mut self, machine: &MachineUse) -> Result<(), EncodeError> {
        let MachineUse {
            span, machine: names, ..
        } = machine;
        self.start(AssetKind::Disk, "Storage", &names.name, &names.provider_id, *span);
        let used = names.noise.of("disk").between(0.2, 0.6);
        self.record.cost = volume_cost(self.cluster.site, NODE_DISK_BYTES, *span);
        self.record.details = AssetDetails::Disk(DiskDetails {
            byte_hours: NODE_DISK_BYTES * span.hours(),
            local: 1.0,
            breakdown: Some(breakdown(used, 0.1, 0.0)),
            byte_hours_used: Some(NODE_DISK_BYTES * used * span.hours()),
            byte_usage_max: Some(NODE_DISK_BYTES * used),
            ..DiskDetails::default()
        });
        self.encoder.push(&self.record)
    }

    fn write_network(&mut self, machine: &MachineUse) -> Result<(), EncodeError> {
        let MachineUse {
            span, machine: names, ..
        } = machine;
        self.start(AssetKind::Network, "Network", &names.name, &names.provider_id, *span);
        self.record.cost = machine.network_cost;
        self.record.details = AssetDetails::Network;
        self.encoder.push(&self.record)
    }

    fn write_volume(&mut self, volume: &'m Volume) -> Result<(), EncodeError> {
        let live = self.window.live;
        self.start(AssetKind::Disk, "Storage", &volume.name, &volume.provider_id, live);
        let noise = self.cluster.noise.of(&volume.name);
        let used = if volume.claim.is_empty() {
            0.0
        } else {
            noise.between(0.1, 0.8)
        };
        self.record.cost = volume_cost(self.cluster.site, volume.bytes, live);
        let strings = self.encoder.strings();
        self.record.details = AssetDetails::Disk(DiskDetails {
            byte_hours: volume.bytes * live.hours(),
            local: 0.0,
            breakdown: Some(breakdown(used, 0.0, 0.0)),
            storage_class: strings.intern(self.cluster.site.storage_class),
            byte_hours_used: Some(volume.bytes * used * live.hours()),
            byte_usage_max: Some(volume.bytes * used),
            volume_name: strings.intern(volume.name.as_str()),
            claim_name: strings.intern(volume.claim.as_str()),
            claim_namespace: strings.intern(volume.claim_namespace),
        });
        self.encoder.push(&self.record)
    }

    fn write_load_balancer(&mut self, load_balancer: &'m LoadBalancer) -> Result<(), EncodeError> {
        let live = self.window.live;
        self.start(
            AssetKind::LoadBalancer,
            "Network",
            &load_balancer.service,
            &load_balancer.provider_id,
            live,
        );
        self.record.cost = load_balancer_cost(self.cluster.site, live);
        self.record.details = AssetDetails::LoadBalancer(LoadBalancerDetails {
            private: load_balancer.private,
            ip: self.encoder.strings().intern(load_balancer.ip.as_str()),
        });
        self.encoder.push(&self.record)
    }

    fn write_management(&mut self) -> Result<(), EncodeError> {
        // Nobody bills for a control plane of one's own.
        if self.cluster.site.cloud == Cloud::OnPremises {
            return Ok(());
        }
        self.start(AssetKind::ClusterManagement, "Management", "", "", self.window.live);
        self.record.cost = self.cluster.site.management_price * self.window.live.hours();
        self.record.details = AssetDetails::ClusterManagement;
        self.encoder.push(&self.record)
    }
}

fn breakdown(user: f64, system: f64, other: f64) -> Breakdown {
    Breakdown {
        idle: (1.0 - user - system - other).max(0.0),
        other,
        system,
        user,
    }
}

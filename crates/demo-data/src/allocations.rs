//! Allocation sets: what each container of a cluster cost in a window.

use bingen::{
    AllocationAmounts, AllocationRecord, AllocationSetEncoder, AllocationSetEnvelope, EncodeError, EncodeOptions,
    GpuAllocationRecord, LbRecord, PvRecord, RawAllocationOnly, StringTable, Symbol, Timestamp, Window,
};

use crate::catalog::Cloud;
use crate::cluster::{Cluster, GIB, Node, SIDECAR_PART, Slot, Volume, Workload};
use crate::noise::Noise;
use crate::prices::{NodePrices, adjustment_rate, load_balancer_cost, volume_cost};
use crate::schedule::{Day, Machine, PodName, PodRun, Span, pod_runs};

const UNMOUNTED: &str = "__unmounted__";
const SIDECAR: &str = "istio-proxy";

/// A window to write, of which `live` has passed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileWindow {
    pub(crate) window: Span,
    pub(crate) live: Span,
}

impl FileWindow {
    pub(crate) fn day(self) -> Day {
        Day::of(self.window.start)
    }

    pub(crate) fn has_passed(self) -> bool {
        self.live == self.window
    }

    pub(crate) fn to_bingen(self) -> Window {
        Window::from_unix_seconds(self.window.start, self.window.end)
    }
}

/// A machine that ran in the window, and what its pods used of it.
pub(crate) struct MachineUse {
    pub(crate) node: usize,
    pub(crate) machine: Machine,
    /// When it ran within the window.
    pub(crate) span: Span,
    pub(crate) core_hours_used: f64,
    pub(crate) ram_byte_hours_used: f64,
    pub(crate) network_cost: f64,
}

/// An allocation file, and what the asset file of the same window needs to agree with it.
pub(crate) struct AllocationFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) allocations: usize,
    pub(crate) machines: Vec<MachineUse>,
}

/// Encodes the allocations of `cluster` in a window.
pub(crate) fn encode_allocations(cluster: &Cluster, window: FileWindow) -> Result<AllocationFile, EncodeError> {
    let mut encoder = AllocationSetEncoder::new(EncodeOptions::default())?;
    let day = window.day();
    let labels: Vec<Option<WorkloadSymbols>> = cluster
        .workloads
        .iter()
        .map(|workload| WorkloadSymbols::intern(workload, cluster, day, encoder.strings()))
        .collect();
    let mut writer = AllocationWriter {
        cluster_symbol: encoder.strings().intern(cluster.id.as_str()),
        sidecar_symbol: encoder.strings().intern(SIDECAR),
        record: AllocationRecord {
            has_properties: true,
            window: window.to_bingen(),
            ..AllocationRecord::default()
        },
        rate: if window.has_passed() {
            adjustment_rate(cluster, day)
        } else {
            0.0
        },
        cluster,
        window,
        encoder,
    };
    writer.record.properties.cluster = writer.cluster_symbol;
    let mut machines = Vec::with_capacity(cluster.nodes.len());
    let mut runs = Vec::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        let Some(machine) = Machine::on(day, node, cluster) else {
            continue;
        };
        let Some(span) = machine.span.intersection(window.live) else {
            continue;
        };
        let mut machine_use = MachineUse {
            node: index,
            span,
            machine,
            core_hours_used: 0.0,
            ram_byte_hours_used: 0.0,
            network_cost: 0.0,
        };
        writer.start_machine(&machine_use.machine);
        for slot in &node.slots {
            let Some(symbols) = &labels[slot.workload] else {
                continue;
            };
            let workload = &cluster.workloads[slot.workload];
            pod_runs(slot, workload, &machine_use.machine, day, &mut runs);
            for &run in &runs {
                let Some(span) = run.span.intersection(window.live) else {
                    continue;
                };
                let pod = Pod {
                    node,
                    slot,
                    workload,
                    symbols,
                    run,
                    span,
                };
                writer.write_pod(&pod, &mut machine_use)?;
            }
        }
        machines.push(machine_use);
    }
    writer.write_orphans()?;
    let allocations = writer.encoder.len();
    let envelope = AllocationSetEnvelope {
        window: window.to_bingen(),
        ..AllocationSetEnvelope::default()
    };
    Ok(AllocationFile {
        bytes: writer.encoder.finish(&envelope)?,
        allocations,
        machines,
    })
}

/// What all pods of a workload have alike in one file.
struct WorkloadSymbols {
    name: String,
    container: Symbol,
    controller: Symbol,
    controller_kind: Symbol,
    namespace: Symbol,
    services: Vec<Symbol>,
    labels: Vec<(Symbol, Symbol)>,
    annotations: Vec<(Symbol, Symbol)>,
    namespace_labels: Vec<(Symbol, Symbol)>,
    namespace_annotations: Vec<(Symbol, Symbol)>,
}

impl WorkloadSymbols {
    /// None when the workload is not there on that day.
    fn intern<'m>(
        workload: &'m Workload,
        cluster: &'m Cluster,
        day: Day,
        strings: &mut StringTable<'m>,
    ) -> Option<Self> {
        let name = workload.name_on(day)?;
        let namespace = workload.namespace;
        let noise = workload.noise;
        let is_system = crate::catalog::SYSTEM_NAMESPACES
            .iter()
            .any(|system| system.name == namespace.name);
        let name_symbol = strings.intern(name.clone());
        let application = strings.intern(workload.application.name);
        let mut labels = vec![(strings.intern("app"), name_symbol)];
        let mut label = |probability: f64, key: &'static str, value: &'static str| {
            // Not everybody labels what they run, which is why idle hands look for owners.
            if noise.of(key).chance(probability) {
                labels.push((strings.intern(key), strings.intern(value)));
            }
        };
        label(0.9, "env", cluster.site.environment);
        label(0.85, "team", namespace.team);
        label(0.6, "owner", namespace.owner);
        label(0.5, "department", namespace.department);
        label(0.4, "product", namespace.product);
        label(0.5, "app_kubernetes_io_managed_by", "Helm");
        labels.push((strings.intern("app_kubernetes_io_name"), application));
        let mut annotations = Vec::new();
        let mut annotate = |probability: f64, key: &'static str, value: &'static str| {
            if noise.of("annotation").of(key).chance(probability) {
                annotations.push((strings.intern(key), strings.intern(value)));
            }
        };
        annotate(0.5, "prometheus_io_scrape", "true");
        annotate(0.3, "cost_center", namespace.cost_center);
        annotate(0.2, "department", namespace.department);
        let mut services = Vec::new();
        if serves(workload) {
            services.push(name_symbol);
            if noise.of("headless").chance(0.3) {
                services.push(strings.intern(format!("{name}-headless")));
            }
        }
        let namespace_symbol = strings.intern(namespace.name);
        let mut namespace_labels = vec![(strings.intern("kubernetes_io_metadata_name"), namespace_symbol)];
        let mut namespace_annotations = Vec::new();
        if !is_system {
            namespace_labels.push((strings.intern("team"), strings.intern(namespace.team)));
            namespace_labels.push((strings.intern("department"), strings.intern(namespace.department)));
            namespace_annotations.push((strings.intern("cost_center"), strings.intern(namespace.cost_center)));
        }
        let kind = workload.application.controller.kind();
        Some(Self {
            container: application,
            controller: if kind.is_empty() { Symbol::EMPTY } else { name_symbol },
            controller_kind: strings.intern(kind),
            namespace: namespace_symbol,
            services,
            labels,
            annotations,
            namespace_labels,
            namespace_annotations,
            name,
        })
    }
}

fn serves(workload: &Workload) -> bool {
    use crate::catalog::Controller::{Deployment, StatefulSet};
    matches!(workload.application.controller, Deployment | StatefulSet) && workload.application.traffic >= 0.3
}

/// A pod in a window.
struct Pod<'m> {
    node: &'m Node,
    slot: &'m Slot,
    workload: &'m Workload,
    symbols: &'m WorkloadSymbols,
    run: PodRun,
    /// When it ran within the window.
    span: Span,
}

struct AllocationWriter<'m> {
    cluster: &'m Cluster,
    window: FileWindow,
    rate: f64,
    encoder: AllocationSetEncoder<'m>,
    record: AllocationRecord,
    cluster_symbol: Symbol,
    sidecar_symbol: Symbol,
}

impl<'m> AllocationWriter<'m> {
    fn start_machine(&mut self, machine: &Machine) {
        let strings = self.encoder.strings();
        self.record.properties.node = strings.intern(machine.name.clone());
        self.record.properties.provider_id = strings.intern(machine.provider_id.clone());
    }

    fn write_pod(&mut self, pod: &Pod<'m>, machine_use: &mut MachineUse) -> Result<(), EncodeError> {
        let Pod {
            slot,
            workload,
            symbols,
            ..
        } = *pod;
        let name = PodName::new(&symbols.name, workload, slot, &machine_use.machine, pod.run);
        let prefix = [
            self.cluster.id.as_str(),
            machine_use.machine.name.as_str(),
            workload.namespace.name,
            name.pod.as_str(),
            "",
        ]
        .join("/");
        self.set_pod(pod, name);
        let main_part = if workload.has_sidecar { 1.0 - SIDECAR_PART } else { 1.0 };
        self.record.properties.container = symbols.container;
        let load_balancer = self.load_balancer(pod);
        self.record.load_balancers.extend(load_balancer);
        self.record.pvs.clear();
        if let Some(volume) = &slot.volume {
            let pv = self.volume_record(volume, pod.span);
            self.record.pvs.push(pv);
        }
        let container = Container {
            part: main_part,
            is_main: true,
            noise: slot.noise.of("container"),
        };
        self.write_container(
            format!("{prefix}{}", workload.application.name),
            pod,
            container,
            machine_use,
        )?;
        if workload.has_sidecar {
            self.record.properties.container = self.sidecar_symbol;
            self.record.load_balancers.clear();
            self.record.pvs.clear();
            let container = Container {
                part: SIDECAR_PART,
                is_main: false,
                noise: slot.noise.of("sidecar"),
            };
            self.write_container(format!("{prefix}{SIDECAR}"), pod, container, machine_use)?;
        }
        Ok(())
    }

    fn set_pod(&mut self, pod: &Pod<'_>, name: PodName) {
        let strings = self.encoder.strings();
        let symbols = pod.symbols;
        let properties = &mut self.record.properties;
        properties.pod = strings.intern(name.pod);
        properties.controller = symbols.controller;
        properties.controller_kind = symbols.controller_kind;
        properties.namespace = symbols.namespace;
        properties.services.clone_from(&symbols.services);
        properties.labels.clone_from(&symbols.labels);
        if let Some(hash) = name.template_hash {
            properties
                .labels
                .push((strings.intern("pod_template_hash"), strings.intern(hash)));
        }
        properties.annotations.clone_from(&symbols.annotations);
        properties.namespace_labels.clone_from(&symbols.namespace_labels);
        properties
            .namespace_annotations
            .clone_from(&symbols.namespace_annotations);
        self.record.start = Timestamp::from_unix_seconds(pod.span.start);
        self.record.end = Timestamp::from_unix_seconds(pod.span.end);
        self.record.load_balancers.clear();
    }

    fn load_balancer(&mut self, pod: &Pod<'m>) -> Option<LbRecord> {
        let load_balancer = pod.workload.load_balancer.as_ref()?;
        let strings = self.encoder.strings();
        Some(LbRecord {
            key: strings.intern(format!("{}/{}", self.cluster.id, load_balancer.service)),
            service: strings.intern(load_balancer.service.as_str()),
            cost: load_balancer_cost(self.cluster.site, pod.span) / pod.workload.replicas as f64,
            private: load_balancer.private,
            ip: strings.intern(load_balancer.ip.as_str()),
            hours: pod.span.hours(),
        })
    }

    fn volume_record(&mut self, volume: &'m Volume, span: Span) -> PvRecord {
        let strings = self.encoder.strings();
        PvRecord {
            cluster: self.cluster_symbol,
            name: strings.intern(volume.name.as_str()),
            byte_hours: volume.bytes * span.hours(),
            cost: volume_cost(self.cluster.site, volume.bytes, span),
            provider_id: strings.intern(volume.provider_id.as_str()),
        }
    }

    fn write_container(
        &mut self,
        name: String,
        pod: &Pod<'_>,
        container: Container,
        machine_use: &mut MachineUse,
    ) -> Result<(), EncodeError> {
        let symbol = self.encoder.strings().intern(name);
        (self.record.key, self.record.name) = (symbol, symbol);
        let amounts = &mut self.record.amounts;
        let gpus;
        (*amounts, gpus) = container.amounts(pod, self.cluster, self.window.day());
        amounts.load_balancer_cost = self.record.load_balancers.iter().map(|lb| lb.cost).sum();
        amounts.cpu_cost_adjustment = self.rate * amounts.cpu_cost;
        amounts.ram_cost_adjustment = self.rate * amounts.ram_cost;
        amounts.gpu_cost_adjustment = self.rate * amounts.gpu_cost;
        self.record.gpu_allocation = gpus.map(|[request, usage]| GpuAllocationRecord {
            is_shared: Some(false),
            usage_average: Some(usage),
            request_average: Some(request),
            ..GpuAllocationRecord::default()
        });
        let burst = container
            .noise
            .of("burst")
            .at(self.window.window.start.cast_unsigned())
            .between(1.1, 1.9);
        self.record.raw_allocation_only = Some(RawAllocationOnly {
            cpu_core_usage_max: amounts.cpu_core_usage_average * burst,
            ram_bytes_usage_max: amounts.ram_bytes_usage_average * (0.9 + 0.1 * burst),
            gpu_usage_max: gpus.map(|[request, usage]| (usage * burst).min(request)),
        });
        machine_use.core_hours_used += amounts.cpu_core_usage_average * pod.span.hours();
        machine_use.ram_byte_hours_used += amounts.ram_bytes_usage_average * pod.span.hours();
        machine_use.network_cost += amounts.network_cost;
        self.encoder.push(&self.record)
    }

    /// The volumes that no pod uses stand under one allocation of no node, namespace and pod.
    fn write_orphans(&mut self) -> Result<(), EncodeError> {
        let cluster = self.cluster;
        let live = self.window.live;
        let strings = self.encoder.strings();
        let unmounted = strings.intern(UNMOUNTED);
        let name = strings.intern([cluster.id.as_str(), UNMOUNTED, UNMOUNTED, UNMOUNTED].join("/"));
        let mut record = AllocationRecord {
            key: name,
            name,
            has_properties: true,
            window: self.record.window,
            start: Timestamp::from_unix_seconds(live.start),
            end: Timestamp::from_unix_seconds(live.end),
            ..AllocationRecord::default()
        };
        record.properties.cluster = self.cluster_symbol;
        record.properties.namespace = unmounted;
        record.properties.pod = unmounted;
        record.properties.container = unmounted;
        record.pvs = cluster
            .orphans
            .iter()
            .map(|volume| self.volume_record(volume, live))
            .collect();
        self.encoder.push(&record)
    }
}

/// A container of a pod, and the part of the pod's share that is its own.
struct Container {
    part: f64,
    is_main: bool,
    noise: Noise,
}

impl Container {
    /// What the container used and cost, before any adjustment, and the GPUs that it requested and used on average.
    fn amounts(&self, pod: &Pod<'_>, cluster: &Cluster, day: Day) -> (AllocationAmounts, Option<[f64; 2]>) {
        let hours = pod.span.hours();
        let prices = NodePrices::of(pod.node, cluster.site);
        let busy = pod.workload.peak_hours(pod.span, day) / hours;
        let today = self.noise.of("today").at(day.0.cast_unsigned()).between(0.9, 1.1);

        let core_limit = pod.slot.cores * self.part;
        let core_request = core_limit * self.request();
        let core_peak = core_limit * self.noise.of("core peak").between(0.15, 0.9);
        let core_usage = (core_peak * busy * today).min(core_limit);
        let core_hours = core_request.max(core_usage) * hours;

        let ram_limit = pod.slot.ram_bytes * self.part;
        let ram_request = ram_limit * self.request();
        let ram_peak = ram_limit * self.noise.of("ram peak").between(0.3, 0.95);
        let ram_usage = (ram_peak * (0.8 + 0.2 * busy) * today).min(ram_limit);
        let ram_byte_hours = ram_request.max(ram_usage) * hours;

        let mut amounts = AllocationAmounts {
            cpu_core_hours: core_hours,
            cpu_core_request_average: core_request,
            cpu_core_usage_average: core_usage,
            cpu_core_limit_average: core_limit,
            cpu_cost: core_hours * prices.core_hour,
            ram_byte_hours,
            ram_bytes_request_average: ram_request,
            ram_bytes_usage_average: ram_usage,
            ram_bytes_limit_average: ram_limit,
            ram_cost: ram_byte_hours / GIB * prices.gib_hour,
            ..AllocationAmounts::default()
        };
        let mut gpu_averages = None;
        if self.is_main {
            let gpus = pod.slot.gpus;
            amounts.gpu_hours = gpus * hours;
            amounts.gpu_cost = amounts.gpu_hours * prices.gpu_hour;
            let used = (busy * today * self.noise.of("gpu").between(0.4, 0.95)).min(1.0);
            gpu_averages = (gpus > 0.0).then_some([gpus, gpus * used]);
            self.add_network(pod, core_usage * hours, cluster.site.cloud, &mut amounts);
        }
        (amounts, gpu_averages)
    }

    /// Part of the limit that is requested. Some request nothing, and many too much.
    fn request(&self) -> f64 {
        let request = self.noise.of("request");
        if request.chance(0.12) {
            0.0
        } else {
            request.of("part").between(0.3, 1.0)
        }
    }

    fn add_network(&self, pod: &Pod<'_>, core_hours_used: f64, cloud: Cloud, amounts: &mut AllocationAmounts) {
        const INTERNET_PRICE: f64 = 0.09;
        const ZONE_PRICE: f64 = 0.01;
        const REGION_PRICE: f64 = 0.02;
        let traffic = core_hours_used * pod.workload.application.traffic;
        let sent = traffic * self.noise.of("sent").between(0.3, 0.6);
        amounts.network_transfer_bytes = sent * GIB;
        amounts.network_receive_bytes = (traffic - sent) * GIB;
        if cloud == Cloud::OnPremises {
            return;
        }
        let outside = if pod.workload.load_balancer.is_some() {
            0.5
        } else {
            0.03
        };
        amounts.network_internet_cost = sent * outside * INTERNET_PRICE;
        amounts.network_cross_zone_cost = sent * 0.3 * ZONE_PRICE;
        if self.noise.of("region").chance(0.1) {
            amounts.network_cross_region_cost = sent * 0.1 * REGION_PRICE;
        }
        amounts.network_cost =
            amounts.network_internet_cost + amounts.network_cross_zone_cost + amounts.network_cross_region_cost;
    }
}

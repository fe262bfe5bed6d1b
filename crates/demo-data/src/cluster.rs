//! The made-up clusters: what stands in them whatever the day.

use crate::DemoPlan;
use crate::catalog::{
    APPLICATIONS, Application, Cloud, Controller, DAEMONS, GPU_APPLICATIONS, InstanceType, NAMESPACES, Namespace,
    SITES, SYSTEM_NAMESPACES, Site,
};
use crate::noise::Noise;

pub(crate) const GIB: f64 = 1_073_741_824.0;

/// Part of a pod's share that its proxy gets, if it has one.
pub(crate) const SIDECAR_PART: f64 = 0.15;

/// A cluster, with everything that ever runs in it.
pub(crate) struct Cluster {
    pub(crate) id: String,
    pub(crate) site: &'static Site,
    pub(crate) nodes: Vec<Node>,
    pub(crate) workloads: Vec<Workload>,
    /// Volumes that no pod uses.
    pub(crate) orphans: Vec<Volume>,
    pub(crate) noise: Noise,
}

/// A place for a node, which may be filled by one machine after the other.
pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) instance: &'static InstanceType,
    pub(crate) spot: bool,
    pub(crate) lifetime: NodeLifetime,
    pub(crate) zone: String,
    pub(crate) team: &'static str,
    pub(crate) slots: Vec<Slot>,
    pub(crate) noise: Noise,
}

/// When the machine of a node is there, and when it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeLifetime {
    /// Always the same machine.
    Lasting,
    /// Another machine after so many days.
    Replaced { days: i64 },
    /// Each working day another machine, between two hours of the day in UTC.
    WorkingHours { from: i64, to: i64 },
}

/// Room on a node for one pod of a workload.
pub(crate) struct Slot {
    pub(crate) workload: usize,
    /// The place of the pod among those of its workload.
    pub(crate) ordinal: usize,
    /// What the pod may use at most.
    pub(crate) cores: f64,
    pub(crate) ram_bytes: f64,
    pub(crate) gpus: f64,
    pub(crate) volume: Option<Volume>,
    pub(crate) noise: Noise,
}

/// A program in a namespace, with its pods all over the cluster.
pub(crate) struct Workload {
    pub(crate) application: &'static Application,
    pub(crate) namespace: &'static Namespace,
    pub(crate) name: String,
    /// For workloads that come and go under a new name each time.
    pub(crate) visits: Option<Visits>,
    /// How many days a version lasts, and when in that time the cluster was made.
    pub(crate) rollout_days: i64,
    pub(crate) phase: i64,
    pub(crate) has_sidecar: bool,
    pub(crate) load_balancer: Option<LoadBalancer>,
    pub(crate) replicas: usize,
    /// The use per hour of the day, summed up over the hours before, in hours of peak use.
    pub(crate) use_until_hour: [f64; 25],
    pub(crate) noise: Noise,
}

/// A workload is there for some days out of a period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visits {
    pub(crate) period_days: i64,
    pub(crate) days: i64,
}

/// A persistent volume.
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) provider_id: String,
    pub(crate) bytes: f64,
    /// Name and namespace of the claim; empty for orphans.
    pub(crate) claim: String,
    pub(crate) claim_namespace: &'static str,
}

/// A load balancer in front of a workload.
pub(crate) struct LoadBalancer {
    /// Namespace and name of the service.
    pub(crate) service: String,
    pub(crate) provider_id: String,
    pub(crate) ip: String,
    pub(crate) private: bool,
}

impl Cluster {
    pub(crate) fn build(plan: &DemoPlan, index: usize) -> Self {
        let site = &SITES[index % SITES.len()];
        let round = index / SITES.len();
        let id = if round == 0 {
            site.cluster.to_owned()
        } else {
            format!("{}-{}", site.cluster, round + 1)
        };
        let noise = Noise::new(plan.seed).of("cluster").at(index as u64);
        let mut cluster = Self {
            workloads: build_workloads(site, plan.nodes * plan.pods_per_node, noise),
            nodes: Vec::with_capacity(plan.nodes),
            orphans: Vec::new(),
            id,
            site,
            noise,
        };
        for node_index in 0..plan.nodes {
            let node = cluster.build_node(node_index, plan);
            cluster.nodes.push(node);
        }
        cluster.place_load_balancers();
        let orphans = 1 + noise.of("orphans").below(3) as u64;
        cluster.orphans = (0..orphans)
            .map(|number| cluster.volume(noise.of("orphan").at(number), String::new(), ""))
            .collect();
        cluster
    }

    fn build_node(&mut self, index: usize, plan: &DemoPlan) -> Node {
        let noise = self.noise.of("node").at(index as u64);
        // One node in eight has a GPU, and every cluster of some size has one.
        let has_gpu = index % 8 == 2;
        let types = if has_gpu {
            self.site.gpu_instances
        } else {
            self.site.instances
        };
        let lasting = index == 0 || has_gpu || self.site.cloud == Cloud::OnPremises;
        let (lifetime, spot) = match noise.of("lifetime").below(20) {
            0..3 if !lasting => {
                let from = 4 + noise.of("from").below(4) as i64;
                (NodeLifetime::WorkingHours { from, to: from + 12 }, false)
            }
            3..7 if !lasting => (
                NodeLifetime::Replaced {
                    days: 2 + noise.of("replaced").below(9) as i64,
                },
                true,
            ),
            7..9 if !lasting => (NodeLifetime::Replaced { days: 30 }, false),
            _ => (NodeLifetime::Lasting, false),
        };
        let mut node = Node {
            index,
            instance: noise.of("type").pick(types),
            spot,
            lifetime,
            zone: format!("{}{}", self.site.region, noise.of("zone").pick(&["a", "b", "c"])),
            team: noise.of("team").pick(NAMESPACES).team,
            slots: Vec::with_capacity(plan.pods_per_node),
            noise,
        };
        for slot in 0..plan.pods_per_node {
            let slot = self.build_slot(&node, slot, plan.pods_per_node);
            node.slots.push(slot);
        }
        share_out(&mut node, &self.workloads);
        node
    }

    fn build_slot(&mut self, node: &Node, index: usize, slots: usize) -> Slot {
        let noise = node.noise.of("slot").at(index as u64);
        // Small nodes would have room for nothing but daemons.
        let daemons = if slots >= 2 * DAEMONS.len() { DAEMONS.len() } else { 0 };
        let gpu_slot = node.instance.gpus > 0.0 && index == daemons.min(slots - 1);
        let workload = if gpu_slot {
            DAEMONS.len() + noise.of("workload").below(GPU_APPLICATIONS.len())
        } else if index < daemons {
            index
        } else {
            self.choose_workload(node, noise)
        };
        let ordinal = self.workloads[workload].replicas;
        self.workloads[workload].replicas += 1;
        let stateful = self.workloads[workload].application.controller == Controller::StatefulSet;
        let volume = stateful.then(|| {
            let claim = format!("data-{}-{ordinal}", self.workloads[workload].name);
            self.volume(noise.of("volume"), claim, self.workloads[workload].namespace.name)
        });
        let gpus = if gpu_slot { node.instance.gpus } else { 0.0 };
        Slot {
            workload,
            ordinal,
            cores: 0.0,
            ram_bytes: 0.0,
            gpus,
            volume,
            noise,
        }
    }

    /// A workload of the application namespaces that may run on the node.
    fn choose_workload(&self, node: &Node, noise: Noise) -> usize {
        let first = DAEMONS.len() + GPU_APPLICATIONS.len();
        let choices = self.workloads.len() - first;
        let start = noise.of("workload").below(choices);
        // Volumes are bound to nodes that stay.
        let fits = |&workload: &usize| {
            node.lifetime == NodeLifetime::Lasting
                || self.workloads[workload].application.controller != Controller::StatefulSet
        };
        (0..choices)
            .map(|step| first + (start + step) % choices)
            .find(fits)
            .unwrap_or(first)
    }

    fn volume(&self, noise: Noise, claim: String, claim_namespace: &'static str) -> Volume {
        let (high, low) = (noise.of("high").bits(), noise.of("low").bits());
        let name = format!(
            "pvc-{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        );
        let provider_id = match self.site.cloud {
            Cloud::Aws => format!("vol-0{:016x}", high ^ low),
            Cloud::Gcp | Cloud::Azure | Cloud::OnPremises => name.clone(),
        };
        let bytes = noise.of("size").pick(&[10.0, 20.0, 50.0, 100.0, 200.0]) * GIB;
        Volume {
            name,
            provider_id,
            bytes,
            claim,
            claim_namespace,
        }
    }

    /// Gives load balancers to the programs that serve the outside.
    fn place_load_balancers(&mut self) {
        let mut number = 0_u8;
        for workload in &mut self.workloads {
            let serves = matches!(workload.application.name, "ingress-nginx" | "web") && workload.replicas > 0;
            if serves && number < 200 {
                number += 1;
                let private = number.is_multiple_of(4);
                workload.load_balancer = Some(LoadBalancer {
                    service: format!("{}/{}", workload.namespace.name, workload.name),
                    provider_id: format!("lb-{:016x}", workload.noise.of("load balancer").bits()),
                    ip: if private {
                        format!("10.0.8.{number}")
                    } else {
                        format!("203.0.113.{number}")
                    },
                    private,
                });
            }
        }
    }
}

/// First the daemons, then what uses GPUs, then the rest.
fn build_workloads(site: &Site, pods: usize, noise: Noise) -> Vec<Workload> {
    const PODS_PER_WORKLOAD: usize = 4;
    let build = |application: &'static Application, namespace: &'static Namespace, round: usize, number: usize| {
        let noise = noise.of("workload").at(number as u64);
        let name = if round == 0 {
            application.name.to_owned()
        } else {
            format!("{}-{}", application.name, round + 1)
        };
        Workload {
            application,
            namespace,
            name,
            visits: visits(application, noise),
            rollout_days: 5 + noise.of("rollout").below(25) as i64,
            phase: noise.of("phase").below(1000) as i64,
            has_sidecar: matches!(application.controller, Controller::Deployment | Controller::StatefulSet)
                && noise.of("sidecar").chance(0.7),
            load_balancer: None,
            replicas: 0,
            use_until_hour: use_until_hour(application, site.utc_offset),
            noise,
        }
    };
    let mut workloads = Vec::new();
    for (application, namespace) in DAEMONS {
        workloads.push(build(application, &SYSTEM_NAMESPACES[*namespace], 0, workloads.len()));
    }
    for application in GPU_APPLICATIONS {
        let namespace = NAMESPACES
            .iter()
            .find(|namespace| namespace.name == "ml")
            .unwrap_or(&NAMESPACES[0]);
        workloads.push(build(application, namespace, 0, workloads.len()));
    }
    let count = (pods / PODS_PER_WORKLOAD).max(APPLICATIONS.len());
    for number in 0..count {
        let (round, place) = (number / APPLICATIONS.len(), number % APPLICATIONS.len());
        let namespace =
            &NAMESPACES[(place + 5 * round + noise.of("namespaces").below(NAMESPACES.len())) % NAMESPACES.len()];
        workloads.push(build(&APPLICATIONS[place], namespace, round, workloads.len()));
    }
    workloads
}

fn visits(application: &Application, noise: Noise) -> Option<Visits> {
    if application.name != "feature" {
        return None;
    }
    let days = 3 + noise.of("visit").below(10) as i64;
    Some(Visits {
        period_days: days + 1 + noise.of("absence").below(5) as i64,
        days,
    })
}

fn use_until_hour(application: &Application, utc_offset: usize) -> [f64; 25] {
    let mut sums = [0.0; 25];
    for hour in 0..24 {
        sums[hour + 1] = sums[hour] + application.profile.hours[(hour + utc_offset) % 24];
    }
    sums
}

/// Shares part of the node's capacity out among its slots, so that their pods together never use all of it.
fn share_out(node: &mut Node, workloads: &[Workload]) {
    let fill = node.noise.of("fill").between(0.45, 0.88);
    let weights: Vec<f64> = node
        .slots
        .iter()
        .map(|slot| workloads[slot.workload].application.weight * slot.noise.of("weight").between(0.6, 1.6))
        .collect();
    let total: f64 = weights.iter().sum();
    for (slot, weight) in node.slots.iter_mut().zip(weights) {
        let part = fill * weight / total;
        slot.cores = node.instance.cores * part;
        slot.ram_bytes = node.instance.ram_gib * GIB * part;
    }
}

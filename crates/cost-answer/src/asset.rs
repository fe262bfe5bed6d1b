//! Assets in columns.

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};

use crate::{
    NAME, SET,
    columns::{ColumnsError, Entries, FlagColumn, MapColumn, NumberColumn, Source, TextColumn, TimeColumn, all_known},
};

/// Kind of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AssetKind {
    /// An aggregate of several kinds.
    Several,
    /// Something of no other kind.
    Any,
    /// A cost of the cloud account.
    Cloud,
    /// The fee of a managed control plane.
    ClusterManagement,
    /// A disk.
    Disk,
    /// A load balancer.
    LoadBalancer,
    /// Network traffic of a node.
    Network,
    /// A node.
    Node,
    /// A cost shared by clusters.
    Shared,
}

impl AssetKind {
    /// The kind with this name in the column `type`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "Any" => Self::Any,
            "Cloud" => Self::Cloud,
            "ClusterManagement" => Self::ClusterManagement,
            "Disk" => Self::Disk,
            "LoadBalancer" => Self::LoadBalancer,
            "Network" => Self::Network,
            "Node" => Self::Node,
            "Shared" => Self::Shared,
            // Members of several kinds do not agree on one.
            _ => Self::Several,
        }
    }

    /// What answers call it; an aggregate of several kinds has no name.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Several | Self::Any => None,
            Self::Cloud => Some("Cloud"),
            Self::ClusterManagement => Some("ClusterManagement"),
            Self::Disk => Some("Disk"),
            Self::LoadBalancer => Some("LoadBalancer"),
            Self::Network => Some("Network"),
            Self::Node => Some("Node"),
            Self::Shared => Some("Shared"),
        }
    }
}

/// An asset of an answer. What the fields mean, and their units, is as in the message `Asset`.
#[expect(
    missing_docs,
    reason = "fields are called as the columns and the message's fields are"
)]
#[derive(Clone, Debug)]
pub struct AssetRow<'a> {
    pub set: u32,
    /// The key of the asset in its set.
    pub name: &'a str,
    pub kind: AssetKind,
    pub category: &'a str,
    pub provider: &'a str,
    pub account: &'a str,
    pub project: &'a str,
    pub service: &'a str,
    pub cluster: &'a str,
    /// The property `name`.
    pub asset_name: &'a str,
    pub provider_id: &'a str,
    pub labels: Entries<'a>,
    pub start: Option<DateTime<Utc>>,
    pub end: Option<DateTime<Utc>>,
    pub total_cost: f64,
    pub adjustment: f64,
    pub credit: f64,
    /// What only its kind has.
    pub own: Own<'a>,
}

/// What only one kind of asset has.
#[derive(Clone, Debug)]
pub enum Own<'a> {
    /// What nodes have.
    Node(Node<'a>),
    /// What disks have.
    Disk(Disk<'a>),
    /// What a load balancer has. Several of them have no one address, and so nothing of their own.
    LoadBalancer(LoadBalancer<'a>),
    /// Nothing.
    Nothing,
}

/// How a resource was used, as fractions that sum to 1.
#[expect(missing_docs, reason = "fields are called as in the message")]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Breakdown {
    pub idle: f64,
    pub other: f64,
    pub system: f64,
    pub user: f64,
}

/// What only nodes have.
#[expect(missing_docs, reason = "fields are called as in the message")]
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    pub node_type: &'a str,
    pub cpu_core_hours: f64,
    pub ram_byte_hours: f64,
    pub gpu_hours: f64,
    pub gpu_count: f64,
    pub cpu_breakdown: Option<Breakdown>,
    pub ram_breakdown: Option<Breakdown>,
    pub cpu_cost: f64,
    pub gpu_cost: f64,
    pub ram_cost: f64,
    pub discount: f64,
    pub preemptible: f64,
    pub overhead: Option<Overhead>,
}

/// Fractions of a node that workloads cannot use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overhead {
    /// Of its CPU.
    pub cpu: f64,
    /// Of its memory.
    pub ram: f64,
    /// Of its cost.
    pub cost: f64,
}

/// What only disks have.
#[expect(missing_docs, reason = "fields are called as in the message")]
#[derive(Clone, Copy, Debug)]
pub struct Disk<'a> {
    pub byte_hours: f64,
    pub byte_hours_used: Option<f64>,
    pub byte_usage_max: Option<f64>,
    pub breakdown: Option<Breakdown>,
    pub storage_class: &'a str,
    pub volume_name: &'a str,
    pub claim_name: &'a str,
    pub claim_namespace: &'a str,
    pub local: f64,
}

/// What only load balancers have.
#[expect(missing_docs, reason = "fields are called as in the message")]
#[derive(Clone, Copy, Debug)]
pub struct LoadBalancer<'a> {
    pub private: bool,
    pub ip: &'a str,
}

/// The columns of a batch of assets.
#[derive(Clone, Debug)]
pub struct AssetColumns<'a> {
    rows: usize,
    sets: &'a [u32],
    name: TextColumn<'a>,
    kind: TextColumn<'a>,
    properties: [TextColumn<'a>; 8],
    labels: MapColumn<'a>,
    start: TimeColumn<'a>,
    end: TimeColumn<'a>,
    sums: [NumberColumn<'a>; 3],
    members: &'a [i64],
    node_type: TextColumn<'a>,
    node: [NumberColumn<'a>; 9],
    cpu_breakdown: [NumberColumn<'a>; 4],
    ram_breakdown: [NumberColumn<'a>; 4],
    overhead: [NumberColumn<'a>; 2],
    overhead_cost: NumberColumn<'a>,
    disk: [NumberColumn<'a>; 4],
    disk_breakdown: [NumberColumn<'a>; 4],
    disk_texts: [TextColumn<'a>; 4],
    private: FlagColumn<'a>,
    ip: TextColumn<'a>,
}

impl<'a> AssetColumns<'a> {
    /// Finds the columns of `batch`.
    ///
    /// # Errors
    /// [`ColumnsError`] when `set` or `name` is missing, or a column has another type than it must.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ColumnsError> {
        let source = Source::Batch(batch);
        Ok(Self {
            rows: batch.num_rows(),
            sets: source.set(SET)?,
            name: source.required_text(NAME)?,
            kind: source.text("type")?,
            properties: [
                source.text("category")?,
                source.text("provider")?,
                source.text("account")?,
                source.text("project")?,
                source.text("service")?,
                source.text("cluster")?,
                source.text("asset_name")?,
                source.text("provider_id")?,
            ],
            labels: source.entries("labels")?,
            start: source.time("start")?,
            end: source.time("end")?,
            sums: source.numbers(["total_cost", "adjustment", "credit"])?,
            members: source.count("members")?,
            node_type: source.text("node_type")?,
            node: source.numbers([
                "cpu_core_hours",
                "ram_byte_hours",
                "gpu_hours",
                "gpu_count",
                "cpu_cost",
                "gpu_cost",
                "ram_cost",
                "discount",
                "preemptible",
            ])?,
            cpu_breakdown: source.numbers(["cpu_idle", "cpu_other", "cpu_system", "cpu_user"])?,
            ram_breakdown: source.numbers(["ram_idle", "ram_other", "ram_system", "ram_user"])?,
            overhead: source.numbers(["overhead_cpu", "overhead_ram"])?,
            overhead_cost: source.number("overhead_cost")?,
            disk: source.numbers(["byte_hours", "byte_hours_used", "byte_usage_max", "local"])?,
            disk_breakdown: source.numbers(["disk_idle", "disk_other", "disk_system", "disk_user"])?,
            disk_texts: [
                source.text("storage_class")?,
                source.text("volume_name")?,
                source.text("claim_name")?,
                source.text("claim_namespace")?,
            ],
            private: source.flag("private")?,
            ip: source.text("ip")?,
        })
    }

    /// How many rows the batch has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of the set that `row` is of.
    pub fn set(&self, row: usize) -> u32 {
        self.sets[row]
    }

    /// A row of the batch.
    ///
    /// # Panics
    /// When the batch has no such row.
    pub fn row(&self, row: usize) -> AssetRow<'_> {
        let [
            category,
            provider,
            account,
            project,
            service,
            cluster,
            asset_name,
            provider_id,
        ] = self.properties.each_ref().map(|column| column.get(row));
        let [total_cost, adjustment, credit] = self.sums.each_ref().map(|column| column.get(row));
        let kind = AssetKind::from_name(self.kind.get(row));
        AssetRow {
            set: self.sets[row],
            name: self.name.get(row),
            kind,
            category,
            provider,
            account,
            project,
            service,
            cluster,
            asset_name,
            provider_id,
            labels: self.labels.get(row),
            start: self.start.get(row),
            end: self.end.get(row),
            total_cost,
            adjustment,
            credit,
            own: self.own(kind, total_cost, row),
        }
    }

    fn own(&self, kind: AssetKind, total_cost: f64, row: usize) -> Own<'_> {
        match kind {
            AssetKind::Node => Own::Node(self.node(total_cost, row)),
            AssetKind::Disk => Own::Disk(self.disk(row)),
            // Several balancers have no one address.
            AssetKind::LoadBalancer if self.members.get(row) == Some(&1) => Own::LoadBalancer(LoadBalancer {
                private: self.private.get(row),
                ip: self.ip.get(row),
            }),
            AssetKind::LoadBalancer
            | AssetKind::Several
            | AssetKind::Any
            | AssetKind::Cloud
            | AssetKind::ClusterManagement
            | AssetKind::Network
            | AssetKind::Shared => Own::Nothing,
        }
    }

    fn node(&self, total_cost: f64, row: usize) -> Node<'_> {
        let [
            cpu_core_hours,
            ram_byte_hours,
            gpu_hours,
            gpu_count,
            cpu_cost,
            gpu_cost,
            ram_cost,
            discount,
            preemptible,
        ] = self.node.each_ref().map(|column| column.get(row));
        // The overhead's part of the cost is a single node's own figure; of several it follows from the other two.
        let overhead = all_known(&self.overhead, row).map(|[cpu, ram]| Overhead {
            cpu,
            ram,
            cost: match self.overhead_cost.optional(row) {
                Some(cost) => cost,
                None if total_cost == 0.0 => 0.0,
                None => (cpu * cpu_cost + ram * ram_cost) / total_cost,
            },
        });
        Node {
            node_type: self.node_type.get(row),
            cpu_core_hours,
            ram_byte_hours,
            gpu_hours,
            gpu_count,
            cpu_breakdown: breakdown(&self.cpu_breakdown, row),
            ram_breakdown: breakdown(&self.ram_breakdown, row),
            cpu_cost,
            gpu_cost,
            ram_cost,
            discount,
            preemptible,
            overhead,
        }
    }

    fn disk(&self, row: usize) -> Disk<'_> {
        let [byte_hours, byte_hours_used, byte_usage_max, local] = &self.disk;
        let [storage_class, volume_name, claim_name, claim_namespace] =
            self.disk_texts.each_ref().map(|column| column.get(row));
        Disk {
            byte_hours: byte_hours.get(row),
            byte_hours_used: byte_hours_used.optional(row),
            byte_usage_max: byte_usage_max.optional(row),
            breakdown: breakdown(&self.disk_breakdown, row),
            storage_class,
            volume_name,
            claim_name,
            claim_namespace,
            local: local.get(row),
        }
    }
}

fn breakdown(columns: &[NumberColumn<'_>; 4], row: usize) -> Option<Breakdown> {
    all_known(columns, row).map(|[idle, other, system, user]| Breakdown {
        idle,
        other,
        system,
        user,
    })
}

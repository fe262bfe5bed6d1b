//! What the kinds of asset have each for themselves. `S` is how strings are held: [`Symbol`](crate::Symbol) in
//! records, `String` in owned assets.

/// The names that place an asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct AssetProperties<S> {
    /// Category: Compute, Management, Network, Storage, Shared, Other.
    pub category: S,
    /// Cloud provider.
    pub provider: S,
    /// Account at the provider.
    pub account: S,
    /// Project at the provider.
    pub project: S,
    /// Service the asset belongs to, such as Kubernetes.
    pub service: S,
    /// Id of the cluster.
    pub cluster: S,
    /// Name.
    pub name: S,
    /// The provider's id.
    #[cfg_attr(feature = "serde", serde(rename = "providerID"))]
    pub provider_id: S,
}

impl<S> AssetProperties<S> {
    /// The same properties with other strings.
    pub fn map<'s, T>(&'s self, mut string: impl FnMut(&'s S) -> T) -> AssetProperties<T> {
        AssetProperties {
            category: string(&self.category),
            provider: string(&self.provider),
            account: string(&self.account),
            project: string(&self.project),
            service: string(&self.service),
            cluster: string(&self.cluster),
            name: string(&self.name),
            provider_id: string(&self.provider_id),
        }
    }
}

/// The kinds of asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum AssetKind {
    /// Anything else.
    Any,
    /// A resource of the provider outside the cluster.
    Cloud,
    /// The provider's fee for managing the cluster.
    ClusterManagement,
    /// A volume, or the disk of a node.
    Disk,
    /// A load balancer.
    LoadBalancer,
    /// The traffic of a node.
    Network,
    /// A node.
    Node,
    /// An asset shared by several clusters.
    SharedAsset,
}

impl AssetKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Any,
        Self::Cloud,
        Self::ClusterManagement,
        Self::Disk,
        Self::LoadBalancer,
        Self::Network,
        Self::Node,
        Self::SharedAsset,
    ];

    /// The name, as in the files after the last dot of the type name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::Cloud => "Cloud",
            Self::ClusterManagement => "ClusterManagement",
            Self::Disk => "Disk",
            Self::LoadBalancer => "LoadBalancer",
            Self::Network => "Network",
            Self::Node => "Node",
            Self::SharedAsset => "SharedAsset",
        }
    }

    /// The whole type name, as the reference writes it.
    pub(crate) const fn type_name(self) -> &'static str {
        match self {
            Self::Any => "*github.com/opencost/opencost/core/pkg/opencost.Any",
            Self::Cloud => "*github.com/opencost/opencost/core/pkg/opencost.Cloud",
            Self::ClusterManagement => "*github.com/opencost/opencost/core/pkg/opencost.ClusterManagement",
            Self::Disk => "*github.com/opencost/opencost/core/pkg/opencost.Disk",
            Self::LoadBalancer => "*github.com/opencost/opencost/core/pkg/opencost.LoadBalancer",
            Self::Network => "*github.com/opencost/opencost/core/pkg/opencost.Network",
            Self::Node => "*github.com/opencost/opencost/core/pkg/opencost.Node",
            Self::SharedAsset => "*github.com/opencost/opencost/core/pkg/opencost.SharedAsset",
        }
    }

    /// The kind of a type name, whose package may be any.
    pub(crate) fn from_type_name(name: &[u8]) -> Option<Self> {
        let start = name.iter().rposition(|&byte| byte == b'.').map_or(0, |dot| dot + 1);
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().as_bytes() == &name[start..])
    }
}

/// What an asset has by its kind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(tag = "type"))]
pub enum AssetDetails<S> {
    /// Nothing more.
    #[default]
    Any,
    /// A resource outside the cluster.
    #[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
    Cloud {
        /// Credit on the cost, below zero.
        credit: f64,
    },
    /// Nothing more; it has no start and end of its own.
    ClusterManagement,
    /// A disk.
    Disk(DiskDetails<S>),
    /// A load balancer.
    LoadBalancer(LoadBalancerDetails<S>),
    /// Nothing more.
    Network,
    /// A node.
    Node(NodeDetails<S>),
    /// Nothing more; it has no start, end and adjustment.
    SharedAsset,
}

impl<S> AssetDetails<S> {
    /// The kind these details are of.
    pub const fn kind(&self) -> AssetKind {
        match self {
            Self::Any => AssetKind::Any,
            Self::Cloud { .. } => AssetKind::Cloud,
            Self::ClusterManagement => AssetKind::ClusterManagement,
            Self::Disk(_) => AssetKind::Disk,
            Self::LoadBalancer(_) => AssetKind::LoadBalancer,
            Self::Network => AssetKind::Network,
            Self::Node(_) => AssetKind::Node,
            Self::SharedAsset => AssetKind::SharedAsset,
        }
    }

    /// The same details with other strings.
    pub fn map<'s, T>(&'s self, mut string: impl FnMut(&'s S) -> T) -> AssetDetails<T> {
        match self {
            Self::Any => AssetDetails::Any,
            Self::Cloud { credit } => AssetDetails::Cloud { credit: *credit },
            Self::ClusterManagement => AssetDetails::ClusterManagement,
            Self::Disk(disk) => AssetDetails::Disk(DiskDetails {
                byte_hours: disk.byte_hours,
                local: disk.local,
                breakdown: disk.breakdown,
                storage_class: string(&disk.storage_class),
                byte_hours_used: disk.byte_hours_used,
                byte_usage_max: disk.byte_usage_max,
                volume_name: string(&disk.volume_name),
                claim_name: string(&disk.claim_name),
                claim_namespace: string(&disk.claim_namespace),
            }),
            Self::LoadBalancer(load_balancer) => AssetDetails::LoadBalancer(LoadBalancerDetails {
                private: load_balancer.private,
                ip: string(&load_balancer.ip),
            }),
            Self::Network => AssetDetails::Network,
            Self::Node(node) => AssetDetails::Node(NodeDetails {
                node_type: string(&node.node_type),
                cpu_core_hours: node.cpu_core_hours,
                ram_byte_hours: node.ram_byte_hours,
                gpu_hours: node.gpu_hours,
                cpu_breakdown: node.cpu_breakdown,
                ram_breakdown: node.ram_breakdown,
                cpu_cost: node.cpu_cost,
                gpu_cost: node.gpu_cost,
                gpu_count: node.gpu_count,
                ram_cost: node.ram_cost,
                discount: node.discount,
                preemptible: node.preemptible,
                overhead: node.overhead,
            }),
            Self::SharedAsset => AssetDetails::SharedAsset,
        }
    }
}

/// What a disk has more than other assets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct DiskDetails<S> {
    /// Byte-hours of capacity.
    pub byte_hours: f64,
    /// 1 for the disk of a node, 0 for a volume, between them when both were added up.
    pub local: f64,
    /// Who used it.
    pub breakdown: Option<Breakdown>,
    /// Storage class (since version 17).
    pub storage_class: S,
    /// Byte-hours used (since version 18).
    pub byte_hours_used: Option<f64>,
    /// Most bytes used at once (since version 18).
    pub byte_usage_max: Option<f64>,
    /// Name of the persistent volume (since version 18).
    pub volume_name: S,
    /// Name of the claim (since version 18).
    pub claim_name: S,
    /// Namespace of the claim (since version 18).
    pub claim_namespace: S,
}

/// What a load balancer has more than other assets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct LoadBalancerDetails<S> {
    /// Whether it is reachable only from inside (since version 20).
    pub private: bool,
    /// Its address (since version 21).
    pub ip: S,
}

/// What a node has more than other assets. Its cost is the sum of its resources; the asset's own cost is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct NodeDetails<S> {
    /// Instance type.
    pub node_type: S,
    /// Core-hours of capacity.
    pub cpu_core_hours: f64,
    /// Byte-hours of memory.
    pub ram_byte_hours: f64,
    /// GPU-hours of capacity.
    pub gpu_hours: f64,
    /// Who used the CPU.
    pub cpu_breakdown: Option<Breakdown>,
    /// Who used the memory.
    pub ram_breakdown: Option<Breakdown>,
    /// Cost of the CPU before discount.
    pub cpu_cost: f64,
    /// Cost of the GPUs, to which no discount applies.
    pub gpu_cost: f64,
    /// GPUs.
    pub gpu_count: f64,
    /// Cost of the memory before discount.
    pub ram_cost: f64,
    /// Part of the CPU and memory cost that is not paid, 0 to 1.
    pub discount: f64,
    /// 1 for a spot node, 0 for others, between them when both were added up.
    pub preemptible: f64,
    /// What the node's own software takes (since version 19).
    pub overhead: Option<NodeOverhead>,
}

/// Who used a resource, in parts of one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Breakdown {
    /// Nobody.
    pub idle: f64,
    /// Not known.
    pub other: f64,
    /// The system.
    pub system: f64,
    /// The workloads.
    pub user: f64,
}

/// What a node's own software takes, in parts of one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct NodeOverhead {
    /// Part of the CPU.
    pub cpu_overhead_fraction: f64,
    /// Part of the memory.
    pub ram_overhead_fraction: f64,
    /// Part of the cost.
    pub overhead_cost_fraction: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_after_the_last_dot_names_the_kind() {
        for kind in AssetKind::ALL {
            assert_eq!(AssetKind::from_type_name(kind.type_name().as_bytes()), Some(kind));
            assert_eq!(AssetKind::from_type_name(kind.as_str().as_bytes()), Some(kind));
        }
        assert_eq!(AssetKind::from_type_name(b"kubecost.Node"), Some(AssetKind::Node));
        assert_eq!(AssetKind::from_type_name(b"Node.Rack"), None);
        assert_eq!(AssetKind::from_type_name(b""), None);
    }
}

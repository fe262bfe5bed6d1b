//! An asset as JSON: the field set of its kind, written from the message.

use std::collections::HashMap;

use cost_model::allocation::{average_amount, minutes};
use fedcost_proto::query::v1::{self as proto, AssetType};
use serde::{Serialize, Serializer};

use super::json::{Number, SixDecimals, Time, WindowJson, is_empty, sorted, span};

/// Writes an asset.
pub(crate) struct AssetJson<'a>(pub(crate) &'a proto::Asset);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    properties: Properties<'a>,
    #[serde(serialize_with = "sorted")]
    labels: &'a HashMap<String, String>,
    window: WindowJson,
    start: Option<Time>,
    end: Option<Time>,
    minutes: SixDecimals,
    #[serde(skip_serializing_if = "Option::is_none")]
    adjustment: Option<SixDecimals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<SixDecimals>,
    total_cost: SixDecimals,
    #[serde(flatten)]
    own: Own<'a>,
}

/// What only one kind has.
#[derive(Serialize)]
#[serde(untagged)]
enum Own<'a> {
    Node(Node<'a>),
    Disk(Disk<'a>),
    LoadBalancer(LoadBalancer<'a>),
    Nothing {},
}

impl Serialize for AssetJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let item = self.0;
        let kind = item.r#type();
        let (start, end) = (Time::of(item.start.as_ref()), Time::of(item.end.as_ref()));
        let minutes = minutes(span(start, end));
        Fields {
            kind: kind_name(kind),
            properties: item.properties.as_ref().map(Properties::of).unwrap_or_default(),
            labels: &item.labels,
            window: WindowJson::of(item.window.as_ref()),
            start,
            end,
            minutes: SixDecimals(minutes),
            // A fee is not reconciled, and what is shared has no bill of its own.
            adjustment: (!matches!(kind, AssetType::ClusterManagement | AssetType::Shared))
                .then_some(SixDecimals(item.adjustment)),
            credit: (kind == AssetType::Cloud).then_some(SixDecimals(item.credit)),
            total_cost: SixDecimals(item.total_cost),
            own: Own::of(kind, item, minutes),
        }
        .serialize(serializer)
    }
}

/// An aggregate of several kinds has none.
fn kind_name(kind: AssetType) -> Option<&'static str> {
    match kind {
        AssetType::Unspecified | AssetType::Any => None,
        AssetType::Cloud => Some("Cloud"),
        AssetType::ClusterManagement => Some("ClusterManagement"),
        AssetType::Disk => Some("Disk"),
        AssetType::LoadBalancer => Some("LoadBalancer"),
        AssetType::Network => Some("Network"),
        AssetType::Node => Some("Node"),
        AssetType::Shared => Some("Shared"),
    }
}

impl<'a> Own<'a> {
    fn of(kind: AssetType, item: &'a proto::Asset, minutes: f64) -> Self {
        match (kind, &item.node, &item.disk, &item.load_balancer) {
            (AssetType::Node, Some(node), _, _) => Self::Node(Node::of(node, minutes)),
            (AssetType::Disk, _, Some(disk), _) => Self::Disk(Disk::of(disk, minutes)),
            (AssetType::LoadBalancer, _, _, Some(balancer)) => Self::LoadBalancer(LoadBalancer {
                private: balancer.private,
                ip: &balancer.ip,
            }),
            _ => Self::Nothing {},
        }
    }
}

#[derive(Default, Serialize)]
struct Properties<'a> {
    #[serde(skip_serializing_if = "is_empty")]
    category: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    provider: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    account: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    project: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    service: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    cluster: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    name: &'a str,
    #[serde(rename = "providerID", skip_serializing_if = "is_empty")]
    provider_id: &'a str,
}

impl<'a> Properties<'a> {
    fn of(message: &'a proto::AssetProperties) -> Self {
        Self {
            category: &message.category,
            provider: &message.provider,
            account: &message.account,
            project: &message.project,
            service: &message.service,
            cluster: &message.cluster,
            name: &message.name,
            provider_id: &message.provider_id,
        }
    }
}

/// Fractions, which are not rounded.
#[derive(Serialize)]
struct Breakdown {
    idle: Number,
    other: Number,
    system: Number,
    user: Number,
}

impl Breakdown {
    fn of(message: Option<&proto::Breakdown>) -> Self {
        let message = message.copied().unwrap_or_default();
        Self {
            idle: Number(message.idle),
            other: Number(message.other),
            system: Number(message.system),
            user: Number(message.user),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node<'a> {
    node_type: &'a str,
    cpu_cores: SixDecimals,
    ram_bytes: SixDecimals,
    cpu_core_hours: SixDecimals,
    ram_byte_hours: SixDecimals,
    #[serde(rename = "GPUHours")]
    gpu_hours: SixDecimals,
    cpu_breakdown: Breakdown,
    ram_breakdown: Breakdown,
    preemptible: SixDecimals,
    discount: SixDecimals,
    cpu_cost: SixDecimals,
    gpu_cost: SixDecimals,
    gpu_count: SixDecimals,
    ram_cost: SixDecimals,
    #[serde(skip_serializing_if = "Option::is_none")]
    overhead: Option<Overhead>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Overhead {
    cpu_overhead_fraction: Number,
    ram_overhead_fraction: Number,
    overhead_cost_fraction: Number,
}

impl<'a> Node<'a> {
    fn of(message: &'a proto::Node, minutes: f64) -> Self {
        let amount = |amount_hours: f64| SixDecimals(average_amount(amount_hours, minutes));
        Self {
            node_type: &message.node_type,
            cpu_cores: amount(message.cpu_core_hours),
            ram_bytes: amount(message.ram_byte_hours),
            cpu_core_hours: SixDecimals(message.cpu_core_hours),
            ram_byte_hours: SixDecimals(message.ram_byte_hours),
            gpu_hours: SixDecimals(message.gpu_hours),
            cpu_breakdown: Breakdown::of(message.cpu_breakdown.as_ref()),
            ram_breakdown: Breakdown::of(message.ram_breakdown.as_ref()),
            preemptible: SixDecimals(message.preemptible),
            discount: SixDecimals(message.discount),
            cpu_cost: SixDecimals(message.cpu_cost),
            gpu_cost: SixDecimals(message.gpu_cost),
            gpu_count: amount(message.gpu_hours),
            ram_cost: SixDecimals(message.ram_cost),
            overhead: message.overhead.as_ref().map(|overhead| Overhead {
                cpu_overhead_fraction: Number(overhead.cpu_overhead_fraction),
                ram_overhead_fraction: Number(overhead.ram_overhead_fraction),
                overhead_cost_fraction: Number(overhead.overhead_cost_fraction),
            }),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Disk<'a> {
    byte_hours: SixDecimals,
    bytes: SixDecimals,
    byte_hours_used: Option<SixDecimals>,
    byte_usage_max: Option<SixDecimals>,
    breakdown: Breakdown,
    storage_class: &'a str,
    volume_name: &'a str,
    claim_name: &'a str,
    claim_namespace: &'a str,
}

impl<'a> Disk<'a> {
    fn of(message: &'a proto::Disk, minutes: f64) -> Self {
        Self {
            byte_hours: SixDecimals(message.byte_hours),
            bytes: SixDecimals(average_amount(message.byte_hours, minutes)),
            byte_hours_used: message.byte_hours_used.map(SixDecimals),
            byte_usage_max: message.byte_usage_max.map(SixDecimals),
            breakdown: Breakdown::of(message.breakdown.as_ref()),
            storage_class: &message.storage_class,
            volume_name: &message.volume_name,
            claim_name: &message.claim_name,
            claim_namespace: &message.claim_namespace,
        }
    }
}

#[derive(Serialize)]
struct LoadBalancer<'a> {
    private: bool,
    ip: &'a str,
}

//! Answers as messages, one per item.

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use cost_answer::{
    AllocationColumns, AllocationRow, AssetColumns, AssetKind, AssetRow, ColumnsError, Entries,
    asset::{Breakdown, Own},
};
use cost_model::Window;
use fedcost_proto::query::v1 as proto;
use prost_types::Timestamp;

use super::SetSummary;

/// A set's number and window.
pub(crate) type SetOf = (u32, Option<proto::Window>);

/// The allocations of a chunk, each with its set.
pub(crate) fn allocation_messages(
    chunk: &RecordBatch,
    sets: &[SetSummary],
) -> Result<Vec<(SetOf, proto::Allocation)>, ColumnsError> {
    let columns = AllocationColumns::new(chunk)?;
    let rows = (0..columns.rows()).map(|row| {
        let row = columns.row(row);
        let window = window_of(sets, row.set);
        ((row.set, window), allocation(&row, window))
    });
    Ok(rows.collect())
}

/// The assets of a chunk, each with its set.
pub(crate) fn asset_messages(
    chunk: &RecordBatch,
    sets: &[SetSummary],
) -> Result<Vec<(SetOf, proto::Asset)>, ColumnsError> {
    let columns = AssetColumns::new(chunk)?;
    let rows = (0..columns.rows()).map(|row| {
        let row = columns.row(row);
        let window = window_of(sets, row.set);
        ((row.set, window), asset(&row, window))
    });
    Ok(rows.collect())
}

fn window_of(sets: &[SetSummary], set: u32) -> Option<proto::Window> {
    sets.get(set as usize).map(|set| window_message(set.window))
}

/// A window as a message.
pub(crate) fn window_message(window: Window) -> proto::Window {
    proto::Window {
        start: Some(timestamp(window.start())),
        end: Some(timestamp(window.end())),
    }
}

/// A time as a message.
pub(crate) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: time.timestamp_subsec_nanos().cast_signed(),
    }
}

fn map(entries: Entries<'_>) -> std::collections::HashMap<String, String> {
    entries
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn allocation(row: &AllocationRow<'_>, window: Option<proto::Window>) -> proto::Allocation {
    proto::Allocation {
        name: row.name.to_owned(),
        properties: Some(proto::AllocationProperties {
            cluster: row.cluster.to_owned(),
            node: row.node.to_owned(),
            container: row.container.to_owned(),
            controller: row.controller.to_owned(),
            controller_kind: row.controller_kind.to_owned(),
            namespace: row.namespace.to_owned(),
            pod: row.pod.to_owned(),
            services: row.services.clone().map(str::to_owned).collect(),
            provider_id: row.provider_id.to_owned(),
            labels: map(row.labels.clone()),
            annotations: map(row.annotations.clone()),
            namespace_labels: map(row.namespace_labels.clone()),
            namespace_annotations: map(row.namespace_annotations.clone()),
        }),
        window,
        start: row.start.map(timestamp),
        end: row.end.map(timestamp),
        cpu_core_hours: row.cpu_core_hours,
        cpu_core_request_average: row.cpu_core_request_average,
        cpu_core_usage_average: row.cpu_core_usage_average,
        cpu_cost: row.cpu_cost,
        cpu_cost_adjustment: row.cpu_cost_adjustment,
        gpu_hours: row.gpu_hours,
        gpu_request_average: row.gpu_request_average,
        gpu_usage_average: row.gpu_usage_average,
        gpu_cost: row.gpu_cost,
        gpu_cost_adjustment: row.gpu_cost_adjustment,
        network_transfer_bytes: row.network_transfer_bytes,
        network_receive_bytes: row.network_receive_bytes,
        network_cost: row.network_cost,
        network_cross_zone_cost: row.network_cross_zone_cost,
        network_cross_region_cost: row.network_cross_region_cost,
        network_internet_cost: row.network_internet_cost,
        network_cost_adjustment: row.network_cost_adjustment,
        load_balancer_cost: row.load_balancer_cost,
        load_balancer_cost_adjustment: row.load_balancer_cost_adjustment,
        volumes: row
            .volumes
            .clone()
            .map(|volume| proto::VolumeAllocation {
                cluster: volume.cluster.to_owned(),
                name: volume.name.to_owned(),
                byte_hours: volume.byte_hours,
                cost: volume.cost,
                provider_id: volume.provider_id.to_owned(),
            })
            .collect(),
        pv_cost_adjustment: row.pv_cost_adjustment,
        ram_byte_hours: row.ram_byte_hours,
        ram_byte_request_average: row.ram_byte_request_average,
        ram_byte_usage_average: row.ram_byte_usage_average,
        ram_cost: row.ram_cost,
        ram_cost_adjustment: row.ram_cost_adjustment,
        shared_cost: row.shared_cost,
        external_cost: row.external_cost,
        raw: row.maxima.map(|maxima| proto::RawAllocation {
            cpu_core_usage_max: maxima.cpu_core_usage,
            ram_byte_usage_max: maxima.ram_byte_usage,
        }),
        load_balancers: row
            .load_balancers
            .clone()
            .map(|balancer| proto::LoadBalancerAllocation {
                key: balancer.key.to_owned(),
                service: balancer.service.to_owned(),
                cost: balancer.cost,
                private: balancer.private,
                ip: balancer.ip.to_owned(),
                hours: balancer.hours,
            })
            .collect(),
        shared_costs: row
            .shared_costs
            .clone()
            .map(|part| proto::SharedCost {
                name: part.name.to_owned(),
                total_cost: part.total_cost,
                cpu_cost: part.cpu_cost,
                gpu_cost: part.gpu_cost,
                ram_cost: part.ram_cost,
                pv_cost: part.pv_cost,
                network_cost: part.network_cost,
                load_balancer_cost: part.load_balancer_cost,
                external_cost: part.external_cost,
            })
            .collect(),
        asset_shares: row
            .asset_shares
            .clone()
            .map(|share| proto::AssetShare {
                cluster: share.cluster.to_owned(),
                name: share.name.to_owned(),
                r#type: share.kind.to_owned(),
                provider_id: share.provider_id.to_owned(),
                cpu: share.cpu,
                gpu: share.gpu,
                ram: share.ram,
                load_balancer: share.load_balancer,
                pv: share.pv,
                node_resource_cost: share.node_resource_cost,
            })
            .collect(),
    }
}

fn kind(kind: AssetKind) -> proto::AssetType {
    match kind {
        AssetKind::Several => proto::AssetType::Unspecified,
        AssetKind::Any => proto::AssetType::Any,
        AssetKind::Cloud => proto::AssetType::Cloud,
        AssetKind::ClusterManagement => proto::AssetType::ClusterManagement,
        AssetKind::Disk => proto::AssetType::Disk,
        AssetKind::LoadBalancer => proto::AssetType::LoadBalancer,
        AssetKind::Network => proto::AssetType::Network,
        AssetKind::Node => proto::AssetType::Node,
        AssetKind::Shared => proto::AssetType::Shared,
    }
}

fn breakdown(parts: Breakdown) -> proto::Breakdown {
    proto::Breakdown {
        idle: parts.idle,
        other: parts.other,
        system: parts.system,
        user: parts.user,
    }
}

fn asset(row: &AssetRow<'_>, window: Option<proto::Window>) -> proto::Asset {
    let (mut node, mut disk, mut load_balancer) = (None, None, None);
    match &row.own {
        Own::Node(own) => {
            node = Some(proto::Node {
                node_type: own.node_type.to_owned(),
                cpu_core_hours: own.cpu_core_hours,
                ram_byte_hours: own.ram_byte_hours,
                gpu_hours: own.gpu_hours,
                gpu_count: own.gpu_count,
                cpu_breakdown: own.cpu_breakdown.map(breakdown),
                ram_breakdown: own.ram_breakdown.map(breakdown),
                cpu_cost: own.cpu_cost,
                gpu_cost: own.gpu_cost,
                ram_cost: own.ram_cost,
                discount: own.discount,
                preemptible: own.preemptible,
                overhead: own.overhead.map(|overhead| proto::NodeOverhead {
                    cpu_overhead_fraction: overhead.cpu,
                    ram_overhead_fraction: overhead.ram,
                    overhead_cost_fraction: overhead.cost,
                }),
            });
        }
        Own::Disk(own) => {
            disk = Some(proto::Disk {
                byte_hours: own.byte_hours,
                byte_hours_used: own.byte_hours_used,
                byte_usage_max: own.byte_usage_max,
                breakdown: own.breakdown.map(breakdown),
                storage_class: own.storage_class.to_owned(),
                volume_name: own.volume_name.to_owned(),
                claim_name: own.claim_name.to_owned(),
                claim_namespace: own.claim_namespace.to_owned(),
                local: own.local,
            });
        }
        Own::LoadBalancer(own) => {
            load_balancer = Some(proto::LoadBalancer {
                private: own.private,
                ip: own.ip.to_owned(),
            });
        }
        Own::Nothing => {}
    }
    proto::Asset {
        name: row.name.to_owned(),
        r#type: kind(row.kind).into(),
        properties: Some(proto::AssetProperties {
            category: row.category.to_owned(),
            provider: row.provider.to_owned(),
            account: row.account.to_owned(),
            project: row.project.to_owned(),
            service: row.service.to_owned(),
            cluster: row.cluster.to_owned(),
            name: row.asset_name.to_owned(),
            provider_id: row.provider_id.to_owned(),
        }),
        labels: map(row.labels.clone()),
        window,
        start: row.start.map(timestamp),
        end: row.end.map(timestamp),
        total_cost: row.total_cost,
        adjustment: row.adjustment,
        credit: row.credit,
        node,
        disk,
        load_balancer,
    }
}

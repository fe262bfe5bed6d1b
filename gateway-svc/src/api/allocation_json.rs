//! An allocation as JSON: the field set that clients of OpenCost and Kubecost read, written from the message.

use std::collections::HashMap;

use cost_model::allocation::{
    CostParts, ResourceCost, ResourceUse, average_amount, minutes, total_efficiency, volume_key,
};
use fedcost_proto::query::v1 as proto;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::json::{FiveDecimals, Number, Time, WindowJson, is_empty, sorted, span};

/// Writes an allocation.
pub(crate) struct AllocationJson<'a>(pub(crate) &'a proto::Allocation);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    name: &'a str,
    properties: Properties<'a>,
    window: WindowJson,
    start: Option<Time>,
    end: Option<Time>,
    minutes: FiveDecimals,
    cpu_cores: FiveDecimals,
    cpu_core_request_average: FiveDecimals,
    cpu_core_usage_average: FiveDecimals,
    cpu_core_hours: FiveDecimals,
    cpu_cost: FiveDecimals,
    cpu_cost_adjustment: FiveDecimals,
    cpu_cost_idle: FiveDecimals,
    cpu_efficiency: FiveDecimals,
    gpu_count: FiveDecimals,
    gpu_request_average: FiveDecimals,
    gpu_usage_average: FiveDecimals,
    gpu_hours: FiveDecimals,
    gpu_cost: FiveDecimals,
    gpu_cost_adjustment: FiveDecimals,
    gpu_cost_idle: FiveDecimals,
    gpu_efficiency: FiveDecimals,
    network_transfer_bytes: FiveDecimals,
    network_receive_bytes: FiveDecimals,
    network_cost: FiveDecimals,
    network_cross_zone_cost: FiveDecimals,
    network_cross_region_cost: FiveDecimals,
    network_internet_cost: FiveDecimals,
    network_cost_adjustment: FiveDecimals,
    load_balancer_cost: FiveDecimals,
    load_balancer_cost_adjustment: FiveDecimals,
    pv_bytes: FiveDecimals,
    pv_byte_hours: FiveDecimals,
    pv_cost: FiveDecimals,
    pvs: Volumes<'a>,
    pv_cost_adjustment: FiveDecimals,
    ram_bytes: FiveDecimals,
    ram_byte_request_average: FiveDecimals,
    ram_byte_usage_average: FiveDecimals,
    ram_byte_hours: FiveDecimals,
    ram_cost: FiveDecimals,
    ram_cost_adjustment: FiveDecimals,
    ram_cost_idle: FiveDecimals,
    ram_efficiency: FiveDecimals,
    external_cost: FiveDecimals,
    shared_cost: FiveDecimals,
    total_cost: FiveDecimals,
    total_efficiency: FiveDecimals,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_allocation_only: Option<Raw>,
    proportional_asset_resource_costs: Empty,
    lb_allocations: Option<LoadBalancers<'a>>,
    shared_cost_breakdown: Empty,
}

/// A map that clients expect, and that is filled only on request.
#[derive(Serialize)]
struct Empty {}

/// The golden answers have zeros there too: what is shared out of idle is within the cost.
const NOT_TOLD_APART: FiveDecimals = FiveDecimals(0.0);

impl Serialize for AllocationJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let item = self.0;
        let (start, end) = (Time::of(item.start.as_ref()), Time::of(item.end.as_ref()));
        let minutes = minutes(span(start, end));
        let amount = |amount_hours: f64| FiveDecimals(average_amount(amount_hours, minutes));
        let cost = |cost: f64, adjustment: f64| ResourceCost { cost, adjustment };
        let cpu = ResourceUse {
            request: item.cpu_core_request_average,
            usage: item.cpu_core_usage_average,
            cost: cost(item.cpu_cost, item.cpu_cost_adjustment),
        };
        let gpu = ResourceUse {
            request: item.gpu_request_average,
            usage: item.gpu_usage_average,
            cost: cost(item.gpu_cost, item.gpu_cost_adjustment),
        };
        let ram = ResourceUse {
            request: item.ram_byte_request_average,
            usage: item.ram_byte_usage_average,
            cost: cost(item.ram_cost, item.ram_cost_adjustment),
        };
        let volume_byte_hours = item.volumes.iter().map(|volume| volume.byte_hours).sum();
        let volume_cost = item.volumes.iter().map(|volume| volume.cost).sum();
        let total = CostParts {
            cpu: cpu.cost,
            gpu: gpu.cost,
            ram: ram.cost,
            volumes: cost(volume_cost, item.pv_cost_adjustment),
            network: cost(item.network_cost, item.network_cost_adjustment),
            load_balancers: cost(item.load_balancer_cost, item.load_balancer_cost_adjustment),
            shared: item.shared_cost,
            external: item.external_cost,
        }
        .total();
        Fields {
            name: &item.name,
            properties: item.properties.as_ref().map(Properties::of).unwrap_or_default(),
            window: WindowJson::of(item.window.as_ref()),
            start,
            end,
            minutes: FiveDecimals(minutes),
            cpu_cores: amount(item.cpu_core_hours),
            cpu_core_request_average: FiveDecimals(item.cpu_core_request_average),
            cpu_core_usage_average: FiveDecimals(item.cpu_core_usage_average),
            cpu_core_hours: FiveDecimals(item.cpu_core_hours),
            cpu_cost: FiveDecimals(item.cpu_cost),
            cpu_cost_adjustment: FiveDecimals(item.cpu_cost_adjustment),
            cpu_cost_idle: NOT_TOLD_APART,
            cpu_efficiency: FiveDecimals(cpu.efficiency()),
            gpu_count: amount(item.gpu_hours),
            gpu_request_average: FiveDecimals(item.gpu_request_average),
            gpu_usage_average: FiveDecimals(item.gpu_usage_average),
            gpu_hours: FiveDecimals(item.gpu_hours),
            gpu_cost: FiveDecimals(item.gpu_cost),
            gpu_cost_adjustment: FiveDecimals(item.gpu_cost_adjustment),
            gpu_cost_idle: NOT_TOLD_APART,
            gpu_efficiency: FiveDecimals(gpu.efficiency()),
            network_transfer_bytes: FiveDecimals(item.network_transfer_bytes),
            network_receive_bytes: FiveDecimals(item.network_receive_bytes),
            network_cost: FiveDecimals(item.network_cost),
            network_cross_zone_cost: FiveDecimals(item.network_cross_zone_cost),
            network_cross_region_cost: FiveDecimals(item.network_cross_region_cost),
            network_internet_cost: FiveDecimals(item.network_internet_cost),
            network_cost_adjustment: FiveDecimals(item.network_cost_adjustment),
            load_balancer_cost: FiveDecimals(item.load_balancer_cost),
            load_balancer_cost_adjustment: FiveDecimals(item.load_balancer_cost_adjustment),
            pv_bytes: amount(volume_byte_hours),
            pv_byte_hours: FiveDecimals(volume_byte_hours),
            pv_cost: FiveDecimals(volume_cost),
            pvs: Volumes(&item.volumes),
            pv_cost_adjustment: FiveDecimals(item.pv_cost_adjustment),
            ram_bytes: amount(item.ram_byte_hours),
            ram_byte_request_average: FiveDecimals(item.ram_byte_request_average),
            ram_byte_usage_average: FiveDecimals(item.ram_byte_usage_average),
            ram_byte_hours: FiveDecimals(item.ram_byte_hours),
            ram_cost: FiveDecimals(item.ram_cost),
            ram_cost_adjustment: FiveDecimals(item.ram_cost_adjustment),
            ram_cost_idle: NOT_TOLD_APART,
            ram_efficiency: FiveDecimals(ram.efficiency()),
            external_cost: FiveDecimals(item.external_cost),
            shared_cost: FiveDecimals(item.shared_cost),
            total_cost: FiveDecimals(total),
            total_efficiency: FiveDecimals(total_efficiency(cpu, ram)),
            raw_allocation_only: item.raw.as_ref().map(Raw::of),
            proportional_asset_resource_costs: Empty {},
            lb_allocations: (!item.load_balancers.is_empty()).then_some(LoadBalancers(&item.load_balancers)),
            shared_cost_breakdown: Empty {},
        }
        .serialize(serializer)
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties<'a> {
    #[serde(skip_serializing_if = "is_empty")]
    cluster: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    node: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    container: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    controller: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    controller_kind: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    pod: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    services: &'a [String],
    #[serde(rename = "providerID", skip_serializing_if = "is_empty")]
    provider_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Labels<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Labels<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_labels: Option<Labels<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_annotations: Option<Labels<'a>>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Labels<'a>(#[serde(serialize_with = "sorted")] &'a HashMap<String, String>);

impl<'a> Properties<'a> {
    fn of(message: &'a proto::AllocationProperties) -> Self {
        let labels = |map: &'a HashMap<String, String>| (!map.is_empty()).then_some(Labels(map));
        Self {
            cluster: &message.cluster,
            node: &message.node,
            container: &message.container,
            controller: &message.controller,
            controller_kind: &message.controller_kind,
            namespace: &message.namespace,
            pod: &message.pod,
            services: &message.services,
            provider_id: &message.provider_id,
            labels: labels(&message.labels),
            annotations: labels(&message.annotations),
            namespace_labels: labels(&message.namespace_labels),
            namespace_annotations: labels(&message.namespace_annotations),
        }
    }
}

struct Volumes<'a>(&'a [proto::VolumeAllocation]);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Volume<'a> {
    byte_hours: Number,
    cost: Number,
    #[serde(rename = "providerID")]
    provider_id: &'a str,
    adjustment: Number,
}

impl Serialize for Volumes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for volume in self.0 {
            let value = Volume {
                byte_hours: Number(volume.byte_hours),
                cost: Number(volume.cost),
                provider_id: &volume.provider_id,
                // Reconciliation adjusts the allocation's volumes together.
                adjustment: Number(0.0),
            };
            map.serialize_entry(&volume_key(&volume.cluster, &volume.name), &value)?;
        }
        map.end()
    }
}

struct LoadBalancers<'a>(&'a [proto::LoadBalancerAllocation]);

#[derive(Serialize)]
struct LoadBalancer<'a> {
    service: &'a str,
    cost: Number,
    private: bool,
    ip: &'a str,
    hours: Number,
    adjustment: Number,
}

impl Serialize for LoadBalancers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|balancer| {
            let value = LoadBalancer {
                service: &balancer.service,
                cost: Number(balancer.cost),
                private: balancer.private,
                ip: &balancer.ip,
                hours: Number(balancer.hours),
                // Reconciliation adjusts the allocation's load balancers together.
                adjustment: Number(0.0),
            };
            (balancer.key.as_str(), value)
        }))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    cpu_core_usage_max: Number,
    ram_byte_usage_max: Number,
}

impl Raw {
    fn of(message: &proto::RawAllocation) -> Self {
        Self {
            cpu_core_usage_max: Number(message.cpu_core_usage_max),
            ram_byte_usage_max: Number(message.ram_byte_usage_max),
        }
    }
}

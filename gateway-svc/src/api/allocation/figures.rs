//! The figures of an allocation: what its row has, what follows from that, and what they are called in answers.

use cost_answer::AllocationRow;
use cost_model::allocation::{CostParts, ResourceCost, ResourceUse, average_amount, minutes, total_efficiency};

use crate::api::json;

/// An allocation's row, and what follows from it.
pub(crate) struct Figures<'a> {
    pub(crate) row: &'a AllocationRow<'a>,
    minutes: f64,
    cpu: ResourceUse,
    gpu: ResourceUse,
    ram: ResourceUse,
    volume_byte_hours: f64,
    volume_cost: f64,
    parts: CostParts,
    total_cost: f64,
    total_efficiency: f64,
}

impl<'a> Figures<'a> {
    pub(crate) fn of(row: &'a AllocationRow<'a>) -> Self {
        let minutes = minutes(json::span(row.start, row.end));
        let cost = |cost: f64, adjustment: f64| ResourceCost { cost, adjustment };
        let cpu = ResourceUse {
            request: row.cpu_core_request_average,
            usage: row.cpu_core_usage_average,
            cost: cost(row.cpu_cost, row.cpu_cost_adjustment),
        };
        let gpu = ResourceUse {
            request: row.gpu_request_average,
            usage: row.gpu_usage_average,
            cost: cost(row.gpu_cost, row.gpu_cost_adjustment),
        };
        let ram = ResourceUse {
            request: row.ram_byte_request_average,
            usage: row.ram_byte_usage_average,
            cost: cost(row.ram_cost, row.ram_cost_adjustment),
        };
        // From a positive zero, as the sum of nothing is a negative one.
        let (volume_byte_hours, volume_cost) = row.volumes.clone().fold((0.0, 0.0), |(byte_hours, cost), volume| {
            (byte_hours + volume.byte_hours, cost + volume.cost)
        });
        let parts = CostParts {
            cpu: cpu.cost,
            gpu: gpu.cost,
            ram: ram.cost,
            volumes: cost(volume_cost, row.pv_cost_adjustment),
            network: cost(row.network_cost, row.network_cost_adjustment),
            load_balancers: cost(row.load_balancer_cost, row.load_balancer_cost_adjustment),
            shared: row.shared_cost,
            external: row.external_cost,
        };
        Self {
            row,
            minutes,
            cpu,
            gpu,
            ram,
            volume_byte_hours,
            volume_cost,
            parts,
            total_cost: parts.total(),
            total_efficiency: total_efficiency(cpu, ram),
        }
    }

    pub(crate) fn total_cost(&self) -> f64 {
        self.total_cost
    }

    fn amount(&self, amount_hours: f64) -> f64 {
        average_amount(amount_hours, self.minutes)
    }
}

/// A figure of an answer.
pub(crate) struct Figure {
    /// The name as JSON, with a comma before it and a colon behind.
    key: &'static str,
    begin: json::Short,
    pub(crate) about: &'static str,
    pub(crate) value: fn(&Figures<'_>) -> f64,
}

impl Figure {
    pub(crate) fn name(&self) -> &'static str {
        self.key.trim_matches([',', '"', ':'])
    }

    /// Writes the name and the value.
    pub(crate) fn write(&self, figures: &Figures<'_>, out: &mut Vec<u8>) {
        self.begin.append_to(out);
        json::five_decimals(out, (self.value)(figures));
    }
}

const fn figure(key: &'static str, about: &'static str, value: fn(&Figures<'_>) -> f64) -> Figure {
    Figure {
        key,
        begin: json::Short::new(key),
        about,
        value,
    }
}

/// The golden answers have zeros there too: what is shared out of idle is within the cost.
const NOT_TOLD_APART: fn(&Figures<'_>) -> f64 = |_| 0.0;

/// The figures of an allocation, in order.
pub(crate) static FIGURES: [Figure; 42] = [
    figure(",\"minutes\":", "minutes from the first start to the last end", |of| {
        of.minutes
    }),
    figure(",\"cpuCores\":", "cores allocated on average", |of| {
        of.amount(of.row.cpu_core_hours)
    }),
    figure(",\"cpuCoreRequestAverage\":", "cores requested on average", |of| {
        of.row.cpu_core_request_average
    }),
    figure(",\"cpuCoreUsageAverage\":", "cores used on average", |of| {
        of.row.cpu_core_usage_average
    }),
    figure(
        ",\"cpuCoreHours\":",
        "core hours: the larger of requested and used",
        |of| of.row.cpu_core_hours,
    ),
    figure(",\"cpuCost\":", "cost of the CPU", |of| of.row.cpu_cost),
    figure(",\"cpuCostAdjustment\":", "added to it by reconciliation", |of| {
        of.row.cpu_cost_adjustment
    }),
    figure(
        ",\"cpuCostIdle\":",
        "always 0: shared idle cost is within the cost",
        NOT_TOLD_APART,
    ),
    figure(",\"cpuEfficiency\":", "used over requested", |of| of.cpu.efficiency()),
    figure(",\"gpuCount\":", "GPUs allocated on average", |of| {
        of.amount(of.row.gpu_hours)
    }),
    figure(",\"gpuRequestAverage\":", "GPUs requested on average", |of| {
        of.row.gpu_request_average
    }),
    figure(",\"gpuUsageAverage\":", "GPUs used on average", |of| {
        of.row.gpu_usage_average
    }),
    figure(",\"gpuHours\":", "GPU hours", |of| of.row.gpu_hours),
    figure(",\"gpuCost\":", "cost of the GPUs", |of| of.row.gpu_cost),
    figure(",\"gpuCostAdjustment\":", "added to it by reconciliation", |of| {
        of.row.gpu_cost_adjustment
    }),
    figure(
        ",\"gpuCostIdle\":",
        "always 0: shared idle cost is within the cost",
        NOT_TOLD_APART,
    ),
    figure(",\"gpuEfficiency\":", "used over requested", |of| of.gpu.efficiency()),
    figure(",\"networkTransferBytes\":", "bytes sent", |of| {
        of.row.network_transfer_bytes
    }),
    figure(",\"networkReceiveBytes\":", "bytes received", |of| {
        of.row.network_receive_bytes
    }),
    figure(
        ",\"networkCost\":",
        "cost of network traffic; the next three are within it",
        |of| of.row.network_cost,
    ),
    figure(",\"networkCrossZoneCost\":", "cost of traffic between zones", |of| {
        of.row.network_cross_zone_cost
    }),
    figure(
        ",\"networkCrossRegionCost\":",
        "cost of traffic between regions",
        |of| of.row.network_cross_region_cost,
    ),
    figure(",\"networkInternetCost\":", "cost of traffic to the internet", |of| {
        of.row.network_internet_cost
    }),
    figure(
        ",\"networkCostAdjustment\":",
        "added to network cost by reconciliation",
        |of| of.row.network_cost_adjustment,
    ),
    figure(",\"loadBalancerCost\":", "cost of load balancers", |of| {
        of.row.load_balancer_cost
    }),
    figure(
        ",\"loadBalancerCostAdjustment\":",
        "added to it by reconciliation",
        |of| of.row.load_balancer_cost_adjustment,
    ),
    figure(",\"pvBytes\":", "bytes of persistent volumes on average", |of| {
        of.amount(of.volume_byte_hours)
    }),
    figure(",\"pvByteHours\":", "byte hours of persistent volumes", |of| {
        of.volume_byte_hours
    }),
    figure(",\"pvCost\":", "cost of persistent volumes", |of| of.volume_cost),
    figure(",\"pvCostAdjustment\":", "added to it by reconciliation", |of| {
        of.row.pv_cost_adjustment
    }),
    figure(",\"ramBytes\":", "bytes of memory allocated on average", |of| {
        of.amount(of.row.ram_byte_hours)
    }),
    figure(
        ",\"ramByteRequestAverage\":",
        "bytes of memory requested on average",
        |of| of.row.ram_byte_request_average,
    ),
    figure(",\"ramByteUsageAverage\":", "bytes of memory used on average", |of| {
        of.row.ram_byte_usage_average
    }),
    figure(
        ",\"ramByteHours\":",
        "byte hours of memory: the larger of requested and used",
        |of| of.row.ram_byte_hours,
    ),
    figure(",\"ramCost\":", "cost of memory", |of| of.row.ram_cost),
    figure(",\"ramCostAdjustment\":", "added to it by reconciliation", |of| {
        of.row.ram_cost_adjustment
    }),
    figure(
        ",\"ramCostIdle\":",
        "always 0: shared idle cost is within the cost",
        NOT_TOLD_APART,
    ),
    figure(",\"ramEfficiency\":", "used over requested", |of| of.ram.efficiency()),
    figure(",\"externalCost\":", "cost of things outside the cluster", |of| {
        of.row.external_cost
    }),
    figure(",\"sharedCost\":", "cost shared out to it", |of| of.row.shared_cost),
    figure(",\"totalCost\":", "all costs and adjustments", |of| of.total_cost),
    figure(
        ",\"totalEfficiency\":",
        "CPU and memory efficiency, weighted by cost",
        |of| of.total_efficiency,
    ),
];

/// The figures of a summary, in order. Costs include their adjustments.
pub(crate) static SUMMARY: [Figure; 14] = [
    figure(",\"cpuCoreRequestAverage\":", "cores requested on average", |of| {
        of.row.cpu_core_request_average
    }),
    figure(",\"cpuCoreUsageAverage\":", "cores used on average", |of| {
        of.row.cpu_core_usage_average
    }),
    figure(",\"cpuCost\":", "cost of the CPU", |of| of.parts.cpu.total()),
    figure(",\"gpuCost\":", "cost of the GPUs", |of| of.parts.gpu.total()),
    figure(",\"networkCost\":", "cost of network traffic", |of| {
        of.parts.network.total()
    }),
    figure(",\"loadBalancerCost\":", "cost of load balancers", |of| {
        of.parts.load_balancers.total()
    }),
    figure(",\"pvCost\":", "cost of persistent volumes", |of| {
        of.parts.volumes.total()
    }),
    figure(
        ",\"ramByteRequestAverage\":",
        "bytes of memory requested on average",
        |of| of.row.ram_byte_request_average,
    ),
    figure(",\"ramByteUsageAverage\":", "bytes of memory used on average", |of| {
        of.row.ram_byte_usage_average
    }),
    figure(",\"ramCost\":", "cost of memory", |of| of.parts.ram.total()),
    figure(",\"sharedCost\":", "cost shared out to it", |of| of.row.shared_cost),
    figure(",\"externalCost\":", "cost of things outside the cluster", |of| {
        of.row.external_cost
    }),
    figure(
        ",\"totalEfficiency\":",
        "CPU and memory efficiency, weighted by cost",
        |of| of.total_efficiency,
    ),
    figure(",\"totalCost\":", "all costs", |of| of.total_cost),
];

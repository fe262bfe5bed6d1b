//! Figures that an allocation derives from its sums.
//!
//! The rules are those that the reference's answers agree with. Costs are in the configured currency, byte amounts
//! in bytes, CPU in cores.

use crate::Window;

const MINUTES_PER_HOUR: f64 = 60.0;

/// Cost of a resource in the parts that answers show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ResourceCost {
    /// By list or configured price.
    pub cost: f64,
    /// Added by reconciliation with the bill.
    pub adjustment: f64,
}

impl ResourceCost {
    /// What is paid.
    pub fn total(self) -> f64 {
        self.cost + self.adjustment
    }
}

/// What was requested and used of a resource, averaged over the allocation's minutes, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ResourceUse {
    /// Requested on average: cores, bytes or GPUs.
    pub request: f64,
    /// Used on average, in the same unit.
    pub usage: f64,
    /// What it cost.
    pub cost: ResourceCost,
}

impl ResourceUse {
    /// Used over requested. Use without a request counts as fully efficient, if it cost anything.
    pub fn efficiency(self) -> f64 {
        if self.request > 0.0 {
            self.usage / self.request
        } else if self.usage == 0.0 || self.cost.cost == 0.0 {
            0.0
        } else {
            1.0
        }
    }
}

/// CPU and memory efficiency weighted by what they cost, adjustments included. GPUs do not count, as the golden
/// answers show.
pub fn total_efficiency(cpu: ResourceUse, ram: ResourceUse) -> f64 {
    let (cpu_cost, ram_cost) = (cpu.cost.total(), ram.cost.total());
    let cost = cpu_cost + ram_cost;
    if cost > 0.0 {
        (cpu.efficiency() * cpu_cost + ram.efficiency() * ram_cost) / cost
    } else {
        0.0
    }
}

/// How long an allocation ran, in minutes: from when its first member started to when its last one ended, which
/// may be less than its set's window.
pub fn minutes(ran: Option<Window>) -> f64 {
    // Milliseconds keep the fraction, and an f64 holds any number of them that a calendar can.
    ran.map_or(0.0, |ran| ran.duration().num_milliseconds() as f64 / 60_000.0)
}

/// The average amount behind amount-hours: cores of core hours, bytes of byte hours, GPUs of GPU hours.
pub fn average_amount(amount_hours: f64, minutes: f64) -> f64 {
    if minutes > 0.0 {
        amount_hours / (minutes / MINUTES_PER_HOUR)
    } else {
        0.0
    }
}

/// The costs that make up an allocation's total. The parts of network cost (between zones, regions, to the
/// internet) are within it and not added.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CostParts {
    /// CPU.
    pub cpu: ResourceCost,
    /// GPUs.
    pub gpu: ResourceCost,
    /// Memory.
    pub ram: ResourceCost,
    /// Persistent volumes, all together.
    pub volumes: ResourceCost,
    /// Network traffic.
    pub network: ResourceCost,
    /// Load balancers.
    pub load_balancers: ResourceCost,
    /// Shared out to this allocation.
    pub shared: f64,
    /// Of things outside the cluster.
    pub external: f64,
}

impl CostParts {
    /// What is paid in all.
    pub fn total(self) -> f64 {
        let Self {
            cpu,
            gpu,
            ram,
            volumes,
            network,
            load_balancers,
            shared,
            external,
        } = self;
        [cpu, gpu, ram, volumes, network, load_balancers]
            .map(ResourceCost::total)
            .into_iter()
            .sum::<f64>()
            + shared
            + external
    }
}

/// The key of a volume in an allocation's map of volumes.
pub fn volume_key(cluster: &str, name: &str) -> String {
    format!("cluster={cluster}:name={name}")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::Value;

    use super::*;

    fn of(request: f64, usage: f64, cost: f64, adjustment: f64) -> ResourceUse {
        ResourceUse {
            request,
            usage,
            cost: ResourceCost { cost, adjustment },
        }
    }

    #[test]
    fn efficiency_without_a_request_is_all_or_nothing() {
        let cases = [
            (of(2.0, 1.0, 3.0, 0.0), 0.5),
            (of(2.0, 3.0, 3.0, 0.0), 1.5),
            (of(2.0, 1.0, 0.0, 0.0), 0.5),
            (of(0.0, 1.0, 3.0, 0.0), 1.0),
            (of(0.0, 1.0, 0.0, 0.0), 0.0),
            (of(0.0, 0.0, 3.0, 0.0), 0.0),
        ];
        for (resource, expected) in cases {
            assert_eq!(resource.efficiency(), expected, "{resource:?}");
        }
    }

    #[test]
    fn total_efficiency_is_weighted_by_adjusted_cost() {
        let cpu = of(2.0, 1.0, 4.0, -1.0);
        let ram = of(4.0, 1.0, 1.0, 0.0);
        assert_eq!(total_efficiency(cpu, ram), (0.5 * 3.0 + 0.25) / 4.0);
        assert_eq!(total_efficiency(of(2.0, 1.0, 0.0, 0.0), of(1.0, 1.0, 0.0, 0.0)), 0.0);
    }

    #[test]
    fn nothing_that_ran_no_time_has_amounts() {
        assert_eq!(minutes(None), 0.0);
        assert_eq!(average_amount(3.0, 0.0), 0.0);
        assert_eq!(average_amount(3.0, 90.0), 2.0);
    }

    /// Recomputes every derived field of every golden allocation from the fields that it derives from. Those are
    /// rounded to five decimals, so the tolerance grows where small numbers divide.
    #[test]
    fn derived_fields_agree_with_the_golden_answers() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/expected");
        let mut checked = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if !path.file_name().unwrap().to_str().unwrap().starts_with("alloc-") {
                continue;
            }
            let answer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            for set in answer["data"].as_array().into_iter().flatten() {
                for (name, item) in set.as_object().unwrap() {
                    check(&format!("{} {name:?}", path.display()), item);
                    checked += 1;
                }
            }
        }
        assert!(checked > 1000, "only {checked} golden allocations found");
    }

    fn check(place: &str, item: &Value) {
        let number = |field: &str| item[field].as_f64().unwrap_or_else(|| panic!("{place}: {field}"));
        let cost = |resource: &str| ResourceCost {
            // Shared idle is part of the cost by the time that an answer is written.
            cost: number(&format!("{resource}Cost")),
            adjustment: number(&format!("{resource}CostAdjustment")),
        };
        let used = |resource: &str, unit: &str| ResourceUse {
            request: number(&format!("{resource}{unit}RequestAverage")),
            usage: number(&format!("{resource}{unit}UsageAverage")),
            cost: cost(resource),
        };
        let close = |field: &str, got: f64, tolerance: f64| {
            let want = number(field);
            let allowed = 2e-5 + tolerance + 1e-6 * want.abs();
            assert!(
                (got - want).abs() <= allowed,
                "{place}: {field}: got {got}, expected {want}"
            );
        };
        // How far a quotient can be off when both numbers are off by half a unit of the fifth decimal.
        let slack = |quotient: f64, divisor: f64| {
            if divisor > 0.0 {
                1e-5 * (1.0 + quotient) / divisor
            } else {
                0.0
            }
        };

        let time = |field: &str| item[field].as_str().unwrap().parse().unwrap();
        let ran = minutes(Window::new(time("start"), time("end")));
        close("minutes", ran, 0.0);
        let amount_slack = slack(0.0, ran / MINUTES_PER_HOUR);
        for (field, hours) in [
            ("cpuCores", "cpuCoreHours"),
            ("ramBytes", "ramByteHours"),
            ("gpuCount", "gpuHours"),
            ("pvBytes", "pvByteHours"),
        ] {
            close(field, average_amount(number(hours), ran), amount_slack);
        }

        let (cpu, ram, gpu) = (used("cpu", "Core"), used("ram", "Byte"), used("gpu", ""));
        for (field, resource) in [("cpuEfficiency", cpu), ("ramEfficiency", ram), ("gpuEfficiency", gpu)] {
            close(
                field,
                resource.efficiency(),
                slack(resource.efficiency(), resource.request),
            );
        }
        let weights = cpu.cost.total() + ram.cost.total();
        let efficiency = total_efficiency(cpu, ram);
        let parts_slack = slack(cpu.efficiency(), cpu.request) + slack(ram.efficiency(), ram.request);
        close(
            "totalEfficiency",
            efficiency,
            parts_slack + 4.0 * slack(cpu.efficiency() + ram.efficiency(), weights),
        );

        let volumes: f64 = item["pvs"]
            .as_object()
            .unwrap()
            .values()
            .map(|volume| volume["cost"].as_f64().unwrap())
            .sum();
        close("pvCost", volumes, 0.0);
        let total = CostParts {
            cpu: cpu.cost,
            gpu: gpu.cost,
            ram: ram.cost,
            volumes: ResourceCost {
                cost: volumes,
                adjustment: number("pvCostAdjustment"),
            },
            network: cost("network"),
            load_balancers: cost("loadBalancer"),
            shared: number("sharedCost"),
            external: number("externalCost"),
        };
        close("totalCost", total.total(), 6e-5);
    }
}

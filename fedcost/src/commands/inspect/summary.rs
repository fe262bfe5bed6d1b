//! The figures of a set, in a few lines.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use bingen::{
    AllocationAmounts, AllocationRecord, AllocationSetDecoder, AssetSetDecoder, CloudCostSetDecoder, DecodeError,
    Pipeline, StringTable, Symbol, Window,
};
use indicatif::{DecimalBytes, HumanCount};

/// Names that one line shows before it only counts the rest.
const NAMES_SHOWN: usize = 12;

/// What the lines of all pipelines are made of.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pipeline: &'static str,
    version: u8,
    bytes: u64,
    window: Window,
    source: String,
    rows: u64,
    names: Vec<(&'static str, BTreeSet<String>)>,
    /// Costs in the currency of the agent, each with what it is of.
    costs: Vec<(String, f64)>,
    /// What the costs are before or after.
    costs_are: &'static str,
    warnings: Vec<String>,
    errors: Vec<String>,
}

impl Summary {
    /// Reads a whole set.
    pub(super) fn of(pipeline: Pipeline, bytes: &[u8]) -> Result<Self, DecodeError> {
        let summary = match pipeline {
            Pipeline::Allocations => Self::of_allocations(bytes)?,
            Pipeline::Assets => Self::of_assets(bytes)?,
            Pipeline::CloudCosts => Self::of_cloud_costs(bytes)?,
        };
        Ok(Self {
            pipeline: pipeline.as_str(),
            bytes: bytes.len() as u64,
            ..summary
        })
    }

    fn of_allocations(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = AllocationSetDecoder::new(bytes)?;
        let (mut clusters, mut namespaces, mut nodes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut costs = [0.0; ALLOCATION_COSTS.len()];
        let mut rows = 0;
        while let Some(record) = decoder.next()? {
            rows += 1;
            if record.has_properties {
                clusters.insert(record.properties.cluster);
                namespaces.insert(record.properties.namespace);
                nodes.insert(record.properties.node);
            }
            for (sum, cost) in costs.iter_mut().zip(allocation_costs(record)) {
                *sum += cost;
            }
        }
        let finished = decoder.finish()?;
        let (envelope, table) = (finished.envelope, finished.strings);
        Ok(Self {
            version: finished.version,
            window: envelope.window,
            source: table.resolve(envelope.from_source).to_owned(),
            rows,
            names: vec![
                ("clusters", resolve(clusters, &table)),
                ("namespaces", resolve(namespaces, &table)),
                ("nodes", resolve(nodes, &table)),
            ],
            costs: ALLOCATION_COSTS.map(str::to_owned).into_iter().zip(costs).collect(),
            costs_are: "adjustments included",
            warnings: strings(&envelope.warnings, &table),
            errors: strings(&envelope.errors, &table),
            ..Self::default()
        })
    }

    fn of_assets(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = AssetSetDecoder::new(bytes)?;
        let (mut clusters, mut providers) = (BTreeSet::new(), BTreeSet::new());
        let mut kinds: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
        let mut rows = 0;
        while let Some(record) = decoder.next()? {
            rows += 1;
            if let Some(properties) = record.properties {
                clusters.insert(properties.cluster);
                providers.insert(properties.provider);
            }
            let (count, cost) = kinds.entry(record.details.kind().as_str()).or_default();
            *count += 1;
            *cost += record.total_cost();
        }
        let finished = decoder.finish()?;
        let (envelope, table) = (finished.envelope, finished.strings);
        Ok(Self {
            version: finished.version,
            window: envelope.window,
            source: table.resolve(envelope.from_source).to_owned(),
            rows,
            names: vec![
                ("clusters", resolve(clusters, &table)),
                ("providers", resolve(providers, &table)),
            ],
            costs: kinds
                .into_iter()
                .map(|(kind, (count, cost))| (format!("{kind} ({})", HumanCount(count)), cost))
                .collect(),
            costs_are: "discounts, credits and adjustments included",
            warnings: strings(&envelope.warnings, &table),
            errors: strings(&envelope.errors, &table),
            ..Self::default()
        })
    }

    fn of_cloud_costs(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = CloudCostSetDecoder::new(bytes)?;
        let (mut accounts, mut services) = (BTreeSet::new(), BTreeSet::new());
        let mut costs = [0.0; CLOUD_COSTS.len()];
        let mut rows = 0;
        while let Some(record) = decoder.next()? {
            rows += 1;
            if let Some(properties) = record.properties {
                accounts.insert(properties.account_id);
                services.insert(properties.service);
            }
            let record_costs = [
                record.list_cost,
                record.net_cost,
                record.amortized_net_cost,
                record.invoiced_cost,
                record.amortized_cost,
            ];
            for (sum, metric) in costs.iter_mut().zip(record_costs) {
                *sum += metric.cost;
            }
        }
        let finished = decoder.finish()?;
        let (envelope, table) = (finished.envelope, finished.strings);
        Ok(Self {
            version: finished.version,
            window: envelope.window,
            source: table.resolve(envelope.integration).to_owned(),
            rows,
            names: vec![
                ("accounts", resolve(accounts, &table)),
                ("services", resolve(services, &table)),
            ],
            costs: CLOUD_COSTS.map(str::to_owned).into_iter().zip(costs).collect(),
            costs_are: "each is the whole cost by another rule",
            ..Self::default()
        })
    }

    /// Writes the lines.
    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut line = |name: &str, value: &str| writeln!(to, "{name:<12} {value}");
        line("holds", &format!("{}, version {}", self.pipeline, self.version))?;
        line("size", &DecimalBytes(self.bytes).to_string())?;
        let bound = |bound: Option<bingen::Timestamp>| bound.map_or("open".to_owned(), |time| time.to_string());
        let window = format!("{} to {}", bound(self.window.start), bound(self.window.end));
        line("window", &window)?;
        if !self.source.is_empty() {
            line("source", &self.source)?;
        }
        line("rows", &HumanCount(self.rows).to_string())?;
        for (name, values) in &self.names {
            line(name, &listed(values))?;
        }
        line("costs", self.costs_are)?;
        for (of, cost) in &self.costs {
            line("", &format!("{of:<24} {cost:>16.5}"))?;
        }
        for (name, messages) in [("warning", &self.warnings), ("error", &self.errors)] {
            for message in messages {
                line(name, message)?;
            }
        }
        Ok(())
    }
}

const ALLOCATION_COSTS: [&str; 9] = [
    "CPU",
    "memory",
    "GPU",
    "volumes",
    "network",
    "load balancers",
    "shared",
    "external",
    "total",
];

const CLOUD_COSTS: [&str; 5] = ["list", "net", "amortized net", "invoiced", "amortized"];

/// What each of [`ALLOCATION_COSTS`] is in one allocation.
fn allocation_costs(record: &AllocationRecord) -> [f64; ALLOCATION_COSTS.len()] {
    let AllocationAmounts {
        cpu_cost,
        cpu_cost_adjustment,
        ram_cost,
        ram_cost_adjustment,
        gpu_cost,
        gpu_cost_adjustment,
        pv_cost_adjustment,
        network_cost,
        network_cost_adjustment,
        load_balancer_cost,
        load_balancer_cost_adjustment,
        shared_cost,
        external_cost,
        ..
    } = record.amounts;
    let volumes: f64 = record.pvs.iter().map(|volume| volume.cost).sum();
    let parts = [
        cpu_cost + cpu_cost_adjustment,
        ram_cost + ram_cost_adjustment,
        gpu_cost + gpu_cost_adjustment,
        volumes + pv_cost_adjustment,
        network_cost + network_cost_adjustment,
        load_balancer_cost + load_balancer_cost_adjustment,
        shared_cost,
        external_cost,
    ];
    let mut costs = [parts.iter().sum(); ALLOCATION_COSTS.len()];
    costs[..parts.len()].copy_from_slice(&parts);
    costs
}

fn strings(symbols: &[Symbol], table: &StringTable<'_>) -> Vec<String> {
    symbols.iter().map(|&symbol| table.resolve(symbol).to_owned()).collect()
}

/// Sorted by name, without the empty one.
fn resolve(symbols: BTreeSet<Symbol>, table: &StringTable<'_>) -> BTreeSet<String> {
    let named = symbols.into_iter().filter(|symbol| !symbol.is_empty());
    named.map(|symbol| table.resolve(symbol).to_owned()).collect()
}

fn listed(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_SHOWN).map(String::as_str).collect();
    let rest = match names.len() - shown.len() {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    format!("{} ({}{rest})", names.len(), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let names = |count: usize| (0..count).map(|number| format!("n{number:02}")).collect();
        assert_eq!(listed(&names(2)), "2 (n00, n01)");
        let long = listed(&names(NAMES_SHOWN + 3));
        assert!(
            long.starts_with("15 (n00, ") && long.ends_with("n11 and 3 more)"),
            "{long}"
        );
    }
}

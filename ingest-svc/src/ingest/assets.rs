//! From an asset file to rows.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{ArrayRef, BooleanArray, Int64Array, RecordBatch},
    compute::filter_record_batch,
    error::ArrowError,
};
use bingen::{
    AssetDetails, AssetKind, AssetRecord, AssetSetDecoder, Breakdown, DiskDetails, NodeDetails, NodeOverhead, Symbol,
};
use lake::{TableName, schema::assets};

use super::{
    census::AssetCensus,
    check::{Checks, Place},
    columns::{MapColumn, Strings, batch, index, numbers, optional_numbers, same_string, same_time, times},
    decode::{DecodeFileError, Decoded},
};

const PROPERTIES: usize = assets::PROPERTIES.len();
const DETAILS: usize = assets::DETAILS.len();

/// Figures that every row has; zero where the kind of asset has none.
const NUMBERS: [&str; 17] = [
    "total_cost",
    "adjustment",
    "credit",
    "cpu_core_hours",
    "ram_byte_hours",
    "gpu_hours",
    "cpu_cost",
    "gpu_cost",
    "ram_cost",
    "cpu_total_cost",
    "gpu_total_cost",
    "ram_total_cost",
    "gpu_count",
    "discount",
    "preemptible",
    "byte_hours",
    "local",
];

/// Reads all assets of a file.
pub(super) fn decode(bytes: &[u8], place: Place<'_>) -> Result<Decoded, DecodeFileError> {
    let mut decoder = AssetSetDecoder::new(bytes)?;
    let mut columns = Columns::new(decoder.capacity_hint());
    let mut checks = Checks::new(place);
    let mut census = AssetCensus::default();
    while let Some(record) = decoder.next()? {
        checks.row(record.key, record.properties.unwrap_or_default().cluster);
        census.count(record);
        columns.push(record, &mut checks);
    }
    let finished = decoder.finish()?;
    let strings = Strings::new(&finished.strings);
    let kept = checks.kept();
    let envelope = &finished.envelope;
    let agent = [envelope.warnings.len(), envelope.errors.len()];
    let warnings = checks.finish(&finished.strings, envelope.window, agent, columns.start.len())?;
    let figures = census.figures(place.window);
    let mut rows = columns.finish(&strings, place)?;
    if let Some(kept) = kept {
        rows = filter_record_batch(&rows, &BooleanArray::from(kept))?;
    }
    Ok(Decoded {
        rows,
        warnings,
        figures,
    })
}

fn kind_name(kind: AssetKind) -> &'static str {
    match kind {
        // The reference's name for its type `SharedAsset` in answers.
        AssetKind::SharedAsset => "Shared",
        other => other.as_str(),
    }
}

struct Columns {
    kinds: Vec<&'static str>,
    properties: [Vec<u32>; PROPERTIES],
    labels: MapColumn,
    start: Vec<i64>,
    end: Vec<i64>,
    numbers: [Vec<f64>; NUMBERS.len()],
    cpu_breakdown: [Vec<Option<f64>>; 4],
    ram_breakdown: [Vec<Option<f64>>; 4],
    disk_breakdown: [Vec<Option<f64>>; 4],
    overhead: [Vec<Option<f64>>; 3],
    byte_hours_used: Vec<Option<f64>>,
    byte_usage_max: Vec<Option<f64>>,
    details: [Vec<u32>; DETAILS],
    private: Vec<bool>,
}

fn push_all<T, const N: usize>(columns: &mut [Vec<T>; N], values: [T; N]) {
    for (column, value) in columns.iter_mut().zip(values) {
        column.push(value);
    }
}

fn parts(breakdown: Option<Breakdown>) -> [Option<f64>; 4] {
    breakdown.map_or([None; 4], |parts| {
        [parts.idle, parts.other, parts.system, parts.user].map(Some)
    })
}

/// The asset with numbers that are some; without its labels.
fn checked(record: &AssetRecord, checks: &mut Checks<'_>) -> AssetRecord {
    let details = match record.details {
        AssetDetails::Node(node) => AssetDetails::Node(NodeDetails {
            cpu_core_hours: checks.amount(node.cpu_core_hours),
            ram_byte_hours: checks.amount(node.ram_byte_hours),
            gpu_hours: checks.amount(node.gpu_hours),
            cpu_breakdown: checked_breakdown(node.cpu_breakdown, checks),
            ram_breakdown: checked_breakdown(node.ram_breakdown, checks),
            cpu_cost: checks.cost(node.cpu_cost),
            gpu_cost: checks.cost(node.gpu_cost),
            gpu_count: checks.amount(node.gpu_count),
            ram_cost: checks.cost(node.ram_cost),
            discount: checks.number(node.discount),
            preemptible: checks.number(node.preemptible),
            overhead: node.overhead.map(|overhead| NodeOverhead {
                cpu_overhead_fraction: checks.number(overhead.cpu_overhead_fraction),
                ram_overhead_fraction: checks.number(overhead.ram_overhead_fraction),
                overhead_cost_fraction: checks.number(overhead.overhead_cost_fraction),
            }),
            ..node
        }),
        AssetDetails::Disk(disk) => AssetDetails::Disk(DiskDetails {
            byte_hours: checks.amount(disk.byte_hours),
            local: checks.number(disk.local),
            breakdown: checked_breakdown(disk.breakdown, checks),
            byte_hours_used: disk.byte_hours_used.map(|value| checks.amount(value)),
            byte_usage_max: disk.byte_usage_max.map(|value| checks.amount(value)),
            ..disk
        }),
        // A credit is below zero by its nature.
        AssetDetails::Cloud { credit } => AssetDetails::Cloud {
            credit: checks.number(credit),
        },
        other => other,
    };
    AssetRecord {
        key: record.key,
        properties: record.properties,
        labels: Vec::new(),
        start: record.start,
        end: record.end,
        window: record.window,
        adjustment: checks.number(record.adjustment),
        cost: checks.cost(record.cost),
        details,
    }
}

fn checked_breakdown(breakdown: Option<Breakdown>, checks: &mut Checks<'_>) -> Option<Breakdown> {
    breakdown.map(|parts| Breakdown {
        idle: checks.number(parts.idle),
        other: checks.number(parts.other),
        system: checks.number(parts.system),
        user: checks.number(parts.user),
    })
}

impl Columns {
    fn new(rows: usize) -> Self {
        Self {
            kinds: Vec::with_capacity(rows),
            properties: Default::default(),
            labels: MapColumn::new(rows),
            start: Vec::with_capacity(rows),
            end: Vec::with_capacity(rows),
            numbers: Default::default(),
            cpu_breakdown: Default::default(),
            ram_breakdown: Default::default(),
            disk_breakdown: Default::default(),
            overhead: Default::default(),
            byte_hours_used: Vec::new(),
            byte_usage_max: Vec::new(),
            details: Default::default(),
            private: Vec::with_capacity(rows),
        }
    }

    fn push(&mut self, record: &AssetRecord, checks: &mut Checks<'_>) {
        self.labels.push(&record.labels);
        let record = checked(record, checks);
        self.kinds.push(kind_name(record.details.kind()));
        let names = record.properties.unwrap_or_default();
        let names = [
            names.category,
            names.provider,
            names.account,
            names.project,
            names.service,
            names.cluster,
            names.name,
            names.provider_id,
        ];
        push_all(&mut self.properties, names.map(index));
        let (start, end) = checks.times(record.start, record.end);
        self.start.push(start);
        self.end.push(end);

        let node = match record.details {
            AssetDetails::Node(node) => Some(node),
            _ => None,
        };
        let disk = match record.details {
            AssetDetails::Disk(disk) => Some(disk),
            _ => None,
        };
        let credit = match record.details {
            AssetDetails::Cloud { credit } => credit,
            _ => 0.0,
        };
        let (private, ip) = match record.details {
            AssetDetails::LoadBalancer(balancer) => (balancer.private, balancer.ip),
            _ => (false, Symbol::EMPTY),
        };
        let (of_node, of_disk) = (node.unwrap_or_default(), disk.unwrap_or_default());
        // An asset has one adjustment, which its resources bear in proportion (OpenCost's `ComputeAssetTotals`).
        let total_cost = record.total_cost();
        let unadjusted = total_cost - record.adjustment;
        let adjusted = if unadjusted == 0.0 {
            0.0
        } else {
            total_cost / unadjusted
        };
        let discounted = (1.0 - of_node.discount) * adjusted;
        push_all(
            &mut self.numbers,
            [
                total_cost,
                record.adjustment,
                credit,
                of_node.cpu_core_hours,
                of_node.ram_byte_hours,
                of_node.gpu_hours,
                of_node.cpu_cost,
                of_node.gpu_cost,
                of_node.ram_cost,
                of_node.cpu_cost * discounted,
                // The discount is not on GPUs.
                of_node.gpu_cost * adjusted,
                of_node.ram_cost * discounted,
                of_node.gpu_count,
                of_node.discount,
                of_node.preemptible,
                of_disk.byte_hours,
                of_disk.local,
            ],
        );
        push_all(&mut self.cpu_breakdown, parts(of_node.cpu_breakdown));
        push_all(&mut self.ram_breakdown, parts(of_node.ram_breakdown));
        push_all(&mut self.disk_breakdown, parts(of_disk.breakdown));
        let overhead = of_node.overhead.map_or([None; 3], |overhead| {
            [
                overhead.cpu_overhead_fraction,
                overhead.ram_overhead_fraction,
                overhead.overhead_cost_fraction,
            ]
            .map(Some)
        });
        push_all(&mut self.overhead, overhead);
        self.byte_hours_used.push(of_disk.byte_hours_used);
        self.byte_usage_max.push(of_disk.byte_usage_max);
        let details = [
            of_node.node_type,
            of_disk.storage_class,
            of_disk.volume_name,
            of_disk.claim_name,
            of_disk.claim_namespace,
            ip,
        ];
        push_all(&mut self.details, details.map(index));
        self.private.push(private);
    }

    /// The total cost of each disk that has a node's name, which tells that it is the node's own. Zero for the rest.
    fn attached_cost(&self) -> Vec<f64> {
        let [.., clusters, names, _] = &self.properties;
        let names = || self.kinds.iter().zip(clusters.iter().zip(names));
        let nodes: HashSet<_> = names()
            .filter(|(kind, _)| **kind == "Node")
            .map(|(_, name)| name)
            .collect();
        let [total_cost, ..] = &self.numbers;
        names()
            .zip(total_cost)
            .map(|((kind, name), cost)| {
                if *kind == "Disk" && nodes.contains(&name) {
                    *cost
                } else {
                    0.0
                }
            })
            .collect()
    }

    fn finish(self, strings: &Strings, place: Place<'_>) -> Result<RecordBatch, ArrowError> {
        let Place { cluster, window, .. } = place;
        let schema = TableName::Assets.schema();
        let rows = self.start.len();
        let attached_cost = self.attached_cost();
        let labels = self.labels.finish(schema.field_with_name(assets::LABELS)?, strings)?;
        let mut columns: Vec<(&'static str, ArrayRef)> = vec![
            (assets::FEDERATED_CLUSTER, same_string(cluster, rows)),
            (assets::WINDOW_START, same_time(window.start, rows)),
            (assets::WINDOW_END, same_time(window.end, rows)),
            (assets::TYPE, Arc::new(arrow::array::StringViewArray::from(self.kinds))),
            (assets::LABELS, labels),
            (assets::START, times(self.start)),
            (assets::END, times(self.end)),
            ("members", Arc::new(Int64Array::from(vec![1; rows]))),
            ("byte_hours_used", optional_numbers(self.byte_hours_used)),
            ("byte_usage_max", optional_numbers(self.byte_usage_max)),
            ("private", Arc::new(BooleanArray::from(self.private))),
            ("attached_cost", numbers(attached_cost)),
        ];
        for (name, symbols) in assets::PROPERTIES.into_iter().zip(self.properties) {
            columns.push((name, strings.column(symbols)?));
        }
        for (name, symbols) in assets::DETAILS.into_iter().zip(self.details) {
            columns.push((name, strings.column(symbols)?));
        }
        columns.extend(NUMBERS.into_iter().zip(self.numbers.map(numbers)));
        let breakdowns = [
            (assets::CPU_BREAKDOWN, self.cpu_breakdown),
            (assets::RAM_BREAKDOWN, self.ram_breakdown),
            (assets::DISK_BREAKDOWN, self.disk_breakdown),
        ];
        for (names, values) in breakdowns {
            columns.extend(names.into_iter().zip(values.map(optional_numbers)));
        }
        columns.extend(assets::OVERHEAD.into_iter().zip(self.overhead.map(optional_numbers)));
        batch(schema, columns)
    }
}

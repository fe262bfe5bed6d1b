//! Assets as items of a set, in JSON and as rows of a table.

use cost_answer::{
    AssetColumns, AssetKind, AssetRow, ColumnsError, RecordBatch,
    asset::{Breakdown, Disk, LoadBalancer, Node, Own},
};
use cost_model::allocation::{average_amount, minutes};
use http::HeaderValue;

use crate::api::{
    csv::{Cells, CsvItem},
    incoming::SetHead,
    json::{self, number, six_decimals},
    sets::Item,
};

/// An asset with the fields of its kind.
pub(crate) struct Asset;

impl Item for Asset {
    type Columns<'a> = AssetColumns<'a>;
    type Memo = ();

    fn columns(batch: &RecordBatch) -> Result<AssetColumns<'_>, ColumnsError> {
        AssetColumns::new(batch)
    }

    fn set(columns: &AssetColumns<'_>, row: usize) -> u32 {
        columns.set(row)
    }

    fn write(columns: &AssetColumns<'_>, row: usize, set: &SetHead, (): &mut (), out: &mut Vec<u8>) {
        let row = columns.row(row);
        json::string(out, row.name);
        out.push(b':');
        write(&row, set, out);
    }
}

/// Writes the asset without its name.
pub(crate) fn write(row: &AssetRow<'_>, set: &SetHead, out: &mut Vec<u8>) {
    out.push(b'{');
    if let Some(kind) = row.kind.name() {
        out.extend_from_slice(b"\"type\":");
        json::string(out, kind);
        out.push(b',');
    }
    out.extend_from_slice(b"\"properties\":{");
    let begun = out.len();
    for (key, value) in properties(row).into_iter().filter(|(_, value)| !value.is_empty()) {
        if out.len() > begun {
            out.push(b',');
        }
        out.extend_from_slice(key.as_bytes());
        json::string(out, value);
    }
    out.extend_from_slice(b"},\"labels\":");
    json::texts(out, row.labels.clone());
    out.extend_from_slice(b",\"window\":");
    out.extend_from_slice(&set.window);
    out.extend_from_slice(b",\"start\":");
    json::time(out, row.start);
    out.extend_from_slice(b",\"end\":");
    json::time(out, row.end);
    let minutes = minutes(json::span(row.start, row.end));
    field(out, ",\"minutes\":", minutes);
    // A fee is not reconciled, and what is shared has no bill of its own.
    if !matches!(row.kind, AssetKind::ClusterManagement | AssetKind::Shared) {
        field(out, ",\"adjustment\":", row.adjustment);
    }
    if row.kind == AssetKind::Cloud {
        field(out, ",\"credit\":", row.credit);
    }
    field(out, ",\"totalCost\":", row.total_cost);
    match &row.own {
        Own::Node(own) => node(own, minutes, out),
        Own::Disk(own) => disk(own, minutes, out),
        Own::LoadBalancer(own) => load_balancer(own, out),
        Own::Nothing => {}
    }
    out.push(b'}');
}

fn properties<'a>(row: &AssetRow<'a>) -> [(&'static str, &'a str); 8] {
    [
        ("\"category\":", row.category),
        ("\"provider\":", row.provider),
        ("\"account\":", row.account),
        ("\"project\":", row.project),
        ("\"service\":", row.service),
        ("\"cluster\":", row.cluster),
        ("\"name\":", row.asset_name),
        ("\"providerID\":", row.provider_id),
    ]
}

fn field(out: &mut Vec<u8>, key: &str, value: f64) {
    out.extend_from_slice(key.as_bytes());
    six_decimals(out, value);
}

fn optional_field(out: &mut Vec<u8>, key: &str, value: Option<f64>) {
    out.extend_from_slice(key.as_bytes());
    match value {
        Some(value) => six_decimals(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn text_field(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(key.as_bytes());
    json::string(out, value);
}

/// Fractions, which are not rounded.
fn breakdown(out: &mut Vec<u8>, key: &str, breakdown: Option<Breakdown>) {
    let breakdown = breakdown.unwrap_or_default();
    out.extend_from_slice(key.as_bytes());
    let parts = [
        ("{\"idle\":", breakdown.idle),
        (",\"other\":", breakdown.other),
        (",\"system\":", breakdown.system),
        (",\"user\":", breakdown.user),
    ];
    for (key, part) in parts {
        out.extend_from_slice(key.as_bytes());
        number(out, part);
    }
    out.push(b'}');
}

fn node(node: &Node<'_>, minutes: f64, out: &mut Vec<u8>) {
    text_field(out, ",\"nodeType\":", node.node_type);
    field(out, ",\"cpuCores\":", average_amount(node.cpu_core_hours, minutes));
    field(out, ",\"ramBytes\":", average_amount(node.ram_byte_hours, minutes));
    field(out, ",\"cpuCoreHours\":", node.cpu_core_hours);
    field(out, ",\"ramByteHours\":", node.ram_byte_hours);
    field(out, ",\"GPUHours\":", node.gpu_hours);
    breakdown(out, ",\"cpuBreakdown\":", node.cpu_breakdown);
    breakdown(out, ",\"ramBreakdown\":", node.ram_breakdown);
    field(out, ",\"preemptible\":", node.preemptible);
    field(out, ",\"discount\":", node.discount);
    field(out, ",\"cpuCost\":", node.cpu_cost);
    field(out, ",\"gpuCost\":", node.gpu_cost);
    field(out, ",\"gpuCount\":", average_amount(node.gpu_hours, minutes));
    field(out, ",\"ramCost\":", node.ram_cost);
    if let Some(overhead) = node.overhead {
        let parts = [
            (",\"overhead\":{\"CpuOverheadFraction\":", overhead.cpu),
            (",\"RamOverheadFraction\":", overhead.ram),
            (",\"OverheadCostFraction\":", overhead.cost),
        ];
        for (key, part) in parts {
            out.extend_from_slice(key.as_bytes());
            number(out, part);
        }
        out.push(b'}');
    }
}

fn disk(disk: &Disk<'_>, minutes: f64, out: &mut Vec<u8>) {
    field(out, ",\"byteHours\":", disk.byte_hours);
    field(out, ",\"bytes\":", average_amount(disk.byte_hours, minutes));
    optional_field(out, ",\"byteHoursUsed\":", disk.byte_hours_used);
    optional_field(out, ",\"byteUsageMax\":", disk.byte_usage_max);
    breakdown(out, ",\"breakdown\":", disk.breakdown);
    text_field(out, ",\"storageClass\":", disk.storage_class);
    text_field(out, ",\"volumeName\":", disk.volume_name);
    text_field(out, ",\"claimName\":", disk.claim_name);
    text_field(out, ",\"claimNamespace\":", disk.claim_namespace);
}

fn load_balancer(balancer: &LoadBalancer<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(match balancer.private {
        true => b",\"private\":true".as_slice(),
        false => b",\"private\":false",
    });
    text_field(out, ",\"ip\":", balancer.ip);
}

const COLUMNS: [&str; 25] = [
    "name",
    "type",
    "category",
    "provider",
    "account",
    "project",
    "service",
    "cluster",
    "assetName",
    "providerID",
    "labels",
    "start",
    "end",
    "minutes",
    "totalCost",
    "adjustment",
    "nodeType",
    "cpuCores",
    "ramBytes",
    "gpuCount",
    "cpuCost",
    "gpuCost",
    "ramCost",
    "bytes",
    "storageClass",
];

impl CsvItem for Asset {
    const FILE: HeaderValue = HeaderValue::from_static("attachment; filename=\"assets.csv\"");

    fn header() -> impl Iterator<Item = &'static str> {
        COLUMNS.into_iter()
    }

    fn cells(columns: &AssetColumns<'_>, row: usize, cells: &mut Cells) {
        let row = columns.row(row);
        let minutes = minutes(json::span(row.start, row.end));
        cells.text(row.name);
        cells.text(row.kind.name().unwrap_or_default());
        for (_, value) in properties(&row) {
            cells.text(value);
        }
        cells.joined(row.labels.clone());
        cells.time(row.start);
        cells.time(row.end);
        for value in [minutes, row.total_cost, row.adjustment] {
            cells.number(value, six_decimals);
        }
        match &row.own {
            Own::Node(node) => {
                cells.text(node.node_type);
                for hours in [node.cpu_core_hours, node.ram_byte_hours, node.gpu_hours] {
                    cells.number(average_amount(hours, minutes), six_decimals);
                }
                for cost in [node.cpu_cost, node.gpu_cost, node.ram_cost] {
                    cells.number(cost, six_decimals);
                }
                cells.blank(2);
            }
            Own::Disk(disk) => {
                cells.blank(7);
                cells.number(average_amount(disk.byte_hours, minutes), six_decimals);
                cells.text(disk.storage_class);
            }
            Own::LoadBalancer(_) | Own::Nothing => cells.blank(9),
        }
    }
}

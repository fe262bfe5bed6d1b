//! Allocations and their summaries as items of a set, in JSON and as rows of a table.

use cost_answer::{
    AllocationColumns, AllocationRow, ColumnsError, PerValue, RecordBatch,
    items::{AssetShare, LoadBalancer, SharedCost, Volume},
};
use http::HeaderValue;

use super::figures::{FIGURES, Figure, Figures, SUMMARY};
use crate::api::{
    csv::{Cells, CsvItem},
    incoming::SetHead,
    json::{self, five_decimals},
    sets::Item,
};

/// An allocation with all that clients of OpenCost and Kubecost read.
pub(crate) struct Allocation;

/// Labels, annotations, and those of the namespace, which many allocations share.
type Maps = [PerValue; 4];

/// An allocation's summary.
pub(crate) struct Summary;

impl Item for Allocation {
    type Columns<'a> = AllocationColumns<'a>;
    type Memo = Maps;

    fn columns(batch: &RecordBatch) -> Result<AllocationColumns<'_>, ColumnsError> {
        AllocationColumns::new(batch)
    }

    fn set(columns: &AllocationColumns<'_>, row: usize) -> u32 {
        columns.set(row)
    }

    fn write(columns: &AllocationColumns<'_>, row: usize, set: &SetHead, maps: &mut Maps, out: &mut Vec<u8>) {
        let row = columns.row(row);
        begin(&row, out);
        out.extend_from_slice(b",\"properties\":");
        properties(&row, maps, out);
        out.extend_from_slice(b",\"window\":");
        out.extend_from_slice(&set.window);
        times(&row, out);
        figures(&FIGURES, &Figures::of(&row), out);
        out.extend_from_slice(b",\"pvs\":");
        map(row.volumes.clone(), out, volume);
        if let Some(maxima) = row.maxima {
            out.extend_from_slice(b",\"rawAllocationOnly\":{\"cpuCoreUsageMax\":");
            json::number(out, maxima.cpu_core_usage);
            out.extend_from_slice(b",\"ramByteUsageMax\":");
            json::number(out, maxima.ram_byte_usage);
            out.push(b'}');
        }
        out.extend_from_slice(b",\"proportionalAssetResourceCosts\":");
        map(row.asset_shares.clone(), out, asset_share);
        out.extend_from_slice(b",\"lbAllocations\":");
        match row.load_balancers.len() {
            0 => out.extend_from_slice(b"null"),
            _ => map(row.load_balancers.clone(), out, load_balancer),
        }
        out.extend_from_slice(b",\"sharedCostBreakdown\":");
        map(row.shared_costs.clone(), out, shared_cost);
        out.push(b'}');
    }
}

impl Item for Summary {
    type Columns<'a> = AllocationColumns<'a>;
    type Memo = ();

    fn columns(batch: &RecordBatch) -> Result<AllocationColumns<'_>, ColumnsError> {
        AllocationColumns::new(batch)
    }

    fn set(columns: &AllocationColumns<'_>, row: usize) -> u32 {
        columns.set(row)
    }

    fn write(columns: &AllocationColumns<'_>, row: usize, _: &SetHead, (): &mut (), out: &mut Vec<u8>) {
        let row = columns.row(row);
        begin(&row, out);
        times(&row, out);
        figures(&SUMMARY, &Figures::of(&row), out);
        out.push(b'}');
    }
}

fn begin(row: &AllocationRow<'_>, out: &mut Vec<u8>) {
    json::string(out, row.name);
    out.extend_from_slice(b":{\"name\":");
    json::string(out, row.name);
}

fn times(row: &AllocationRow<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"start\":");
    json::time(out, row.start);
    out.extend_from_slice(b",\"end\":");
    json::time(out, row.end);
}

fn figures(all: &[Figure], figures: &Figures<'_>, out: &mut Vec<u8>) {
    for figure in all {
        figure.write(figures, out);
    }
}

fn properties(row: &AllocationRow<'_>, maps: &mut Maps, out: &mut Vec<u8>) {
    out.push(b'{');
    let begun = out.len();
    let texts = [
        ("\"cluster\":", row.cluster),
        ("\"node\":", row.node),
        ("\"container\":", row.container),
        ("\"controller\":", row.controller),
        ("\"controllerKind\":", row.controller_kind),
        ("\"namespace\":", row.namespace),
        ("\"pod\":", row.pod),
        ("\"providerID\":", row.provider_id),
    ];
    // What is not known is left out.
    for (key, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        key_in_object(begun, key, out);
        json::string(out, value);
    }
    if row.services.len() > 0 {
        key_in_object(begun, "\"services\":", out);
        out.push(b'[');
        for (index, service) in row.services.clone().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::string(out, service);
        }
        out.push(b']');
    }
    let entries = [
        ("\"labels\":", &row.labels),
        ("\"annotations\":", &row.annotations),
        ("\"namespaceLabels\":", &row.namespace_labels),
        ("\"namespaceAnnotations\":", &row.namespace_annotations),
    ];
    for ((key, entries), maps) in entries.into_iter().zip(maps) {
        if entries.len() > 0 {
            key_in_object(begun, key, out);
            maps.append(entries.clone(), out, json::texts);
        }
    }
    out.push(b'}');
}

/// Writes a key of an object whose content began at `begun`.
fn key_in_object(begun: usize, key: &str, out: &mut Vec<u8>) {
    if out.len() > begun {
        out.push(b',');
    }
    out.extend_from_slice(key.as_bytes());
}

fn map<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, write: fn(T, &mut Vec<u8>)) {
    out.push(b'{');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b'}');
}

fn volume(volume: Volume<'_>, out: &mut Vec<u8>) {
    // The key of `cost_model::allocation::volume_key`.
    out.extend_from_slice(b"\"cluster=");
    json::string_content(out, volume.cluster);
    out.extend_from_slice(b":name=");
    json::string_content(out, volume.name);
    out.extend_from_slice(b"\":{\"byteHours\":");
    json::number(out, volume.byte_hours);
    out.extend_from_slice(b",\"cost\":");
    json::number(out, volume.cost);
    out.extend_from_slice(b",\"providerID\":");
    json::string(out, volume.provider_id);
    // Reconciliation adjusts the allocation's volumes together.
    out.extend_from_slice(b",\"adjustment\":0}");
}

fn load_balancer(balancer: LoadBalancer<'_>, out: &mut Vec<u8>) {
    json::string(out, balancer.key);
    out.extend_from_slice(b":{\"service\":");
    json::string(out, balancer.service);
    out.extend_from_slice(b",\"cost\":");
    json::number(out, balancer.cost);
    out.extend_from_slice(match balancer.private {
        true => b",\"private\":true,\"ip\":".as_slice(),
        false => b",\"private\":false,\"ip\":",
    });
    json::string(out, balancer.ip);
    out.extend_from_slice(b",\"hours\":");
    json::number(out, balancer.hours);
    // Reconciliation adjusts the allocation's load balancers together.
    out.extend_from_slice(b",\"adjustment\":0}");
}

fn shared_cost(cost: SharedCost<'_>, out: &mut Vec<u8>) {
    json::string(out, cost.name);
    out.extend_from_slice(b":{\"name\":");
    json::string(out, cost.name);
    out.extend_from_slice(b",\"totalCost\":");
    json::number(out, cost.total_cost);
    let parts = [
        (",\"cpuCost\":", cost.cpu_cost),
        (",\"gpuCost\":", cost.gpu_cost),
        (",\"ramCost\":", cost.ram_cost),
        (",\"pvCost\":", cost.pv_cost),
        (",\"networkCost\":", cost.network_cost),
        (",\"loadBalancerCost\":", cost.load_balancer_cost),
        (",\"externalCost\":", cost.external_cost),
    ];
    for (key, part) in parts.into_iter().filter(|(_, part)| *part != 0.0) {
        out.extend_from_slice(key.as_bytes());
        json::number(out, part);
    }
    out.push(b'}');
}

fn asset_share(share: AssetShare<'_>, out: &mut Vec<u8>) {
    // Shares of all nodes of a cluster are called as the cluster, those of one asset have its name too.
    out.push(b'"');
    json::string_content(out, share.cluster);
    if !share.name.is_empty() {
        out.push(b',');
        json::string_content(out, share.name);
    }
    out.extend_from_slice(b"\":{\"cluster\":");
    json::string(out, share.cluster);
    let texts = [
        (",\"name\":", share.name),
        (",\"type\":", share.kind),
        (",\"providerID\":", share.provider_id),
    ];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        out.extend_from_slice(key.as_bytes());
        json::string(out, text);
    }
    let parts = [
        (",\"cpuPercentage\":", share.cpu),
        (",\"gpuPercentage\":", share.gpu),
        (",\"ramPercentage\":", share.ram),
        (",\"loadBalancerPercentage\":", share.load_balancer),
        (",\"pvPercentage\":", share.pv),
        (",\"nodeResourceCostPercentage\":", share.node_resource_cost),
    ];
    for (key, part) in parts {
        out.extend_from_slice(key.as_bytes());
        json::number(out, part);
    }
    out.push(b'}');
}

const PROPERTIES: [&str; 10] = [
    "cluster",
    "node",
    "namespace",
    "controllerKind",
    "controller",
    "pod",
    "container",
    "providerID",
    "services",
    "labels",
];

impl CsvItem for Allocation {
    const FILE: HeaderValue = HeaderValue::from_static("attachment; filename=\"allocations.csv\"");

    fn header() -> impl Iterator<Item = &'static str> {
        ["name"]
            .into_iter()
            .chain(PROPERTIES)
            .chain(["start", "end"])
            .chain(FIGURES.iter().map(Figure::name))
    }

    fn cells(columns: &AllocationColumns<'_>, row: usize, cells: &mut Cells) {
        let row = columns.row(row);
        for text in [
            row.name,
            row.cluster,
            row.node,
            row.namespace,
            row.controller_kind,
            row.controller,
            row.pod,
            row.container,
            row.provider_id,
        ] {
            cells.text(text);
        }
        cells.joined(row.services.clone().map(|service| (service, "")));
        cells.joined(row.labels.clone());
        figure_cells(&row, &FIGURES, cells);
    }
}

impl CsvItem for Summary {
    const FILE: HeaderValue = HeaderValue::from_static("attachment; filename=\"allocation-summary.csv\"");

    fn header() -> impl Iterator<Item = &'static str> {
        ["name", "start", "end"]
            .into_iter()
            .chain(SUMMARY.iter().map(Figure::name))
    }

    fn cells(columns: &AllocationColumns<'_>, row: usize, cells: &mut Cells) {
        let row = columns.row(row);
        cells.text(row.name);
        figure_cells(&row, &SUMMARY, cells);
    }
}

fn figure_cells(row: &AllocationRow<'_>, all: &[Figure], cells: &mut Cells) {
    cells.time(row.start);
    cells.time(row.end);
    let figures = Figures::of(row);
    for figure in all {
        cells.number((figure.value)(&figures), five_decimals);
    }
}

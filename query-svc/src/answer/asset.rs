//! Assets.

use arrow::array::RecordBatch;
use datafusion::error::Result;
use fedcost_proto::query::v1::{Asset, AssetProperties, AssetType, Breakdown, Disk, LoadBalancer, Node, NodeOverhead};
use lake::schema::assets as schema;

use super::{Row, columns::Columns, timestamp};
use crate::plan::{KEY, SET};

/// The assets of a batch.
pub(crate) fn assets(batch: &RecordBatch) -> Result<Vec<Row<Asset>>> {
    let columns = Columns::new(batch);
    (0..batch.num_rows())
        .map(|row| {
            Ok(Row {
                set: usize::try_from(columns.count(SET, row)?).unwrap_or(usize::MAX),
                window: columns.window(row)?,
                item: asset(&columns, row)?,
            })
        })
        .collect()
}

fn kind(name: &str) -> AssetType {
    match name {
        "Any" => AssetType::Any,
        "Cloud" => AssetType::Cloud,
        "ClusterManagement" => AssetType::ClusterManagement,
        "Disk" => AssetType::Disk,
        "LoadBalancer" => AssetType::LoadBalancer,
        "Network" => AssetType::Network,
        "Node" => AssetType::Node,
        "Shared" => AssetType::Shared,
        // Members of several kinds do not agree on one.
        _ => AssetType::Unspecified,
    }
}

fn asset(columns: &Columns<'_>, row: usize) -> Result<Asset> {
    let string = |name| columns.string(name, row);
    let number = |name| columns.number(name, row);
    let kind = kind(&string(schema::TYPE)?);
    Ok(Asset {
        name: string(KEY)?,
        r#type: kind.into(),
        properties: Some(AssetProperties {
            category: string("category")?,
            provider: string("provider")?,
            account: string("account")?,
            project: string("project")?,
            service: string("service")?,
            cluster: string("cluster")?,
            name: string("name")?,
            provider_id: string("provider_id")?,
        }),
        labels: columns.map(schema::LABELS, row)?,
        window: None,
        start: Some(timestamp(columns.time(schema::START, row)?)),
        end: Some(timestamp(columns.time(schema::END, row)?)),
        total_cost: number("total_cost")?,
        adjustment: number("adjustment")?,
        credit: number("credit")?,
        node: (kind == AssetType::Node).then(|| node(columns, row)).transpose()?,
        disk: (kind == AssetType::Disk).then(|| disk(columns, row)).transpose()?,
        // Several balancers have no one address.
        load_balancer: (kind == AssetType::LoadBalancer && columns.count("members", row)? == 1)
            .then(|| {
                Ok::<_, datafusion::error::DataFusionError>(LoadBalancer {
                    private: columns.flag("private", row)?,
                    ip: string("ip")?,
                })
            })
            .transpose()?,
    })
}

fn breakdown([idle, other, system, user]: [f64; 4]) -> Breakdown {
    Breakdown {
        idle,
        other,
        system,
        user,
    }
}

fn node(columns: &Columns<'_>, row: usize) -> Result<Node> {
    let number = |name| columns.number(name, row);
    Ok(Node {
        node_type: columns.string("node_type", row)?,
        cpu_core_hours: number("cpu_core_hours")?,
        ram_byte_hours: number("ram_byte_hours")?,
        gpu_hours: number("gpu_hours")?,
        gpu_count: number("gpu_count")?,
        cpu_breakdown: columns.all_known(schema::CPU_BREAKDOWN, row)?.map(breakdown),
        ram_breakdown: columns.all_known(schema::RAM_BREAKDOWN, row)?.map(breakdown),
        cpu_cost: number("cpu_cost")?,
        gpu_cost: number("gpu_cost")?,
        ram_cost: number("ram_cost")?,
        discount: number("discount")?,
        preemptible: number("preemptible")?,
        overhead: overhead(columns, row)?,
    })
}

/// The overhead's part of the cost is a single node's own figure; of several it follows from the other two.
fn overhead(columns: &Columns<'_>, row: usize) -> Result<Option<NodeOverhead>> {
    let [cpu, ram, cost] = schema::OVERHEAD;
    let Some([cpu_overhead_fraction, ram_overhead_fraction]) = columns.all_known([cpu, ram], row)? else {
        return Ok(None);
    };
    let [cpu_cost, ram_cost, total_cost] = columns.numbers(["cpu_cost", "ram_cost", "total_cost"], row)?;
    let overhead_cost_fraction = match columns.optional_number(cost, row)? {
        Some(fraction) => fraction,
        None if total_cost == 0.0 => 0.0,
        None => (cpu_overhead_fraction * cpu_cost + ram_overhead_fraction * ram_cost) / total_cost,
    };
    Ok(Some(NodeOverhead {
        cpu_overhead_fraction,
        ram_overhead_fraction,
        overhead_cost_fraction,
    }))
}

fn disk(columns: &Columns<'_>, row: usize) -> Result<Disk> {
    let string = |name| columns.string(name, row);
    Ok(Disk {
        byte_hours: columns.number("byte_hours", row)?,
        byte_hours_used: columns.optional_number("byte_hours_used", row)?,
        byte_usage_max: columns.optional_number("byte_usage_max", row)?,
        breakdown: columns.all_known(schema::DISK_BREAKDOWN, row)?.map(breakdown),
        storage_class: string("storage_class")?,
        volume_name: string("volume_name")?,
        claim_name: string("claim_name")?,
        claim_namespace: string("claim_namespace")?,
        local: columns.number("local", row)?,
    })
}

//! Allocations.

use arrow::array::{AsArray as _, RecordBatch};
use datafusion::error::Result;
use fedcost_proto::query::v1::{
    Allocation, AllocationProperties, LoadBalancerAllocation, RawAllocation, VolumeAllocation,
};
use lake::schema::allocations as schema;

use super::{Row, columns::Columns, timestamp};
use crate::plan::{NAME, SET};

/// The allocations of a batch.
pub(crate) fn allocations(batch: &RecordBatch) -> Result<Vec<Row<Allocation>>> {
    let columns = Columns::new(batch);
    (0..batch.num_rows())
        .map(|row| {
            Ok(Row {
                set: usize::try_from(columns.count(SET, row)?).unwrap_or(usize::MAX),
                window: columns.window(row)?,
                item: allocation(&columns, row)?,
            })
        })
        .collect()
}

fn allocation(columns: &Columns<'_>, row: usize) -> Result<Allocation> {
    let number = |name| columns.number(name, row);
    Ok(Allocation {
        name: columns.string(NAME, row)?,
        properties: Some(properties(columns, row)?),
        window: None,
        start: Some(timestamp(columns.time(schema::START, row)?)),
        end: Some(timestamp(columns.time(schema::END, row)?)),
        cpu_core_hours: number("cpu_core_hours")?,
        cpu_core_request_average: number("cpu_core_request_average")?,
        cpu_core_usage_average: number("cpu_core_usage_average")?,
        cpu_cost: number("cpu_cost")?,
        cpu_cost_adjustment: number("cpu_cost_adjustment")?,
        gpu_hours: number("gpu_hours")?,
        gpu_request_average: number("gpu_request_average")?,
        gpu_usage_average: number("gpu_usage_average")?,
        gpu_cost: number("gpu_cost")?,
        gpu_cost_adjustment: number("gpu_cost_adjustment")?,
        network_transfer_bytes: number("network_transfer_bytes")?,
        network_receive_bytes: number("network_receive_bytes")?,
        network_cost: number("network_cost")?,
        network_cross_zone_cost: number("network_cross_zone_cost")?,
        network_cross_region_cost: number("network_cross_region_cost")?,
        network_internet_cost: number("network_internet_cost")?,
        network_cost_adjustment: number("network_cost_adjustment")?,
        load_balancer_cost: number("load_balancer_cost")?,
        load_balancer_cost_adjustment: number("load_balancer_cost_adjustment")?,
        volumes: volumes(columns, row)?,
        pv_cost_adjustment: number("pv_cost_adjustment")?,
        ram_byte_hours: number("ram_byte_hours")?,
        ram_byte_request_average: number("ram_byte_request_average")?,
        ram_byte_usage_average: number("ram_byte_usage_average")?,
        ram_cost: number("ram_cost")?,
        ram_cost_adjustment: number("ram_cost_adjustment")?,
        shared_cost: number("shared_cost")?,
        external_cost: number("external_cost")?,
        raw: columns
            .all_known(schema::MAXIMA, row)?
            .map(|[cpu_core_usage_max, ram_byte_usage_max]| RawAllocation {
                cpu_core_usage_max,
                ram_byte_usage_max,
            }),
        load_balancers: load_balancers(columns, row)?,
    })
}

fn properties(columns: &Columns<'_>, row: usize) -> Result<AllocationProperties> {
    let string = |name| columns.string(name, row);
    let namespace = string("namespace")?;
    let [labels, annotations] = schema::MEMBER_MAPS;
    let [namespace_labels, namespace_annotations] = schema::NAMESPACE_MAPS;
    // What members of several namespaces say of theirs says nothing of the aggregate.
    let of_namespace = |name| match namespace.as_str() {
        "" => Ok(Default::default()),
        _ => columns.map(name, row),
    };
    Ok(AllocationProperties {
        cluster: string("cluster")?,
        node: string("node")?,
        container: string("container")?,
        controller: string("controller")?,
        controller_kind: string("controller_kind")?,
        pod: string("pod")?,
        services: services(columns, row)?,
        provider_id: string("provider_id")?,
        labels: columns.map(labels, row)?,
        annotations: columns.map(annotations, row)?,
        namespace_labels: of_namespace(namespace_labels)?,
        namespace_annotations: of_namespace(namespace_annotations)?,
        namespace,
    })
}

fn services(columns: &Columns<'_>, row: usize) -> Result<Vec<String>> {
    let items = columns.list(schema::SERVICES, row)?;
    let names = items.as_ref().and_then(|items| items.as_string_view_opt());
    Ok(names
        .into_iter()
        .flat_map(|names| names.iter().flatten())
        .map(str::to_owned)
        .collect())
}

fn volumes(columns: &Columns<'_>, row: usize) -> Result<Vec<VolumeAllocation>> {
    let entries = columns.structs(schema::VOLUMES, row)?;
    let entry = Columns::new(&entries);
    (0..entries.num_rows())
        .map(|at| {
            Ok(VolumeAllocation {
                cluster: entry.string("cluster", at)?,
                name: entry.string("name", at)?,
                byte_hours: entry.number("byte_hours", at)?,
                cost: entry.number("cost", at)?,
                provider_id: entry.string("provider_id", at)?,
            })
        })
        .collect()
}

fn load_balancers(columns: &Columns<'_>, row: usize) -> Result<Vec<LoadBalancerAllocation>> {
    let entries = columns.structs(schema::LOAD_BALANCERS, row)?;
    let entry = Columns::new(&entries);
    (0..entries.num_rows())
        .map(|at| {
            Ok(LoadBalancerAllocation {
                key: entry.string("key", at)?,
                service: entry.string("service", at)?,
                cost: entry.number("cost", at)?,
                private: entry.flag("private", at)?,
                ip: entry.string("ip", at)?,
                hours: entry.number("hours", at)?,
            })
        })
        .collect()
}

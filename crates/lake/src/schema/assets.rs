//! Assets: what a node, disk, load balancer or other resource cost in one window.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub use super::allocations::{END, FEDERATED_CLUSTER, START, WINDOW_END, WINDOW_START};
use super::{number, optional_number, string, string_map, time};

/// Kind of the asset: `Any`, `Cloud`, `ClusterManagement`, `Disk`, `LoadBalancer`, `Network`, `Node` or `Shared`.
pub const TYPE: &str = "type";

/// Properties that an aggregate has only if all its members agree on them. Empty when unknown or not agreed.
pub const PROPERTIES: [&str; 8] = [
    "category",
    "provider",
    "account",
    "project",
    "service",
    "cluster",
    "name",
    "provider_id",
];

/// Labels of the resource.
pub const LABELS: &str = "labels";

/// Figures of every kind that add up. `total_cost` is after discount, adjustment and credit.
pub const SUMS: [&str; 3] = ["total_cost", "adjustment", "credit"];

/// Figures of nodes that add up; zero for other kinds. CPU and RAM cost are before discount and adjustment, the total
/// costs after both: what of a node's cost is its CPU's, GPUs' and memory's.
pub const NODE_SUMS: [&str; 9] = [
    "cpu_core_hours",
    "ram_byte_hours",
    "gpu_hours",
    "cpu_cost",
    "gpu_cost",
    "ram_cost",
    "cpu_total_cost",
    "gpu_total_cost",
    "ram_total_cost",
];

/// How a node's CPU was used, as fractions. Weighted by `cpu_cost`; null when not known.
pub const CPU_BREAKDOWN: [&str; 4] = ["cpu_idle", "cpu_other", "cpu_system", "cpu_user"];
/// How a node's memory was used, as fractions. Weighted by `ram_cost`; null when not known.
pub const RAM_BREAKDOWN: [&str; 4] = ["ram_idle", "ram_other", "ram_system", "ram_user"];
/// What a node itself needs, as fractions of its CPU, memory and cost. Null when not known.
pub const OVERHEAD: [&str; 3] = ["overhead_cpu", "overhead_ram", "overhead_cost"];

/// Figures of disks that add up; zero for other kinds. Attached cost is the total cost of a disk that is a node's own,
/// which is told by their names.
pub const DISK_SUMS: [&str; 2] = ["byte_hours", "attached_cost"];
/// How a disk was used, as fractions. Weighted by cost; null when not known.
pub const DISK_BREAKDOWN: [&str; 4] = ["disk_idle", "disk_other", "disk_system", "disk_user"];

/// Words of one kind of asset that an aggregate has only if all its members agree on them.
pub const DETAILS: [&str; 6] = [
    "node_type",
    "storage_class",
    "volume_name",
    "claim_name",
    "claim_namespace",
    "ip",
];

/// All columns.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = vec![
            string(FEDERATED_CLUSTER),
            time(WINDOW_START),
            time(WINDOW_END),
            string(TYPE),
        ];
        fields.extend(PROPERTIES.map(string));
        fields.push(Field::new(LABELS, string_map(), false));
        fields.extend([time(START), time(END), Field::new("members", DataType::Int64, false)]);
        fields.extend(SUMS.map(number));
        fields.extend(NODE_SUMS.map(number));
        fields.extend(["gpu_count", "discount", "preemptible"].map(number));
        fields.extend(CPU_BREAKDOWN.map(optional_number));
        fields.extend(RAM_BREAKDOWN.map(optional_number));
        fields.extend(OVERHEAD.map(optional_number));
        fields.extend(DISK_SUMS.map(number));
        fields.push(number("local"));
        fields.extend(DISK_BREAKDOWN.map(optional_number));
        fields.extend(["byte_hours_used", "byte_usage_max"].map(optional_number));
        fields.extend(DETAILS.map(string));
        fields.push(Field::new("private", DataType::Boolean, false));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

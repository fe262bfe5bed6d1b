//! Allocations: what a container, or an aggregate of containers, was allocated in one window.
//!
//! A derived table has the same columns as the base table, so that the same plan adds up either.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::{list_of, number, optional_number, string, string_map, time};

/// Id of the federated cluster whose folder the row comes from. Rows are replaced by this and `window_start`.
pub const FEDERATED_CLUSTER: &str = "federated_cluster";
/// First instant of the window.
pub const WINDOW_START: &str = "window_start";
/// One past the last instant of the window.
pub const WINDOW_END: &str = "window_end";
/// When the first member started.
pub const START: &str = "start";
/// When the last member ended.
pub const END: &str = "end";
/// How many containers were added up: 1 in the base table.
pub const MEMBERS: &str = "members";

/// Properties that an aggregate has only if all its members agree on them. Empty when unknown or not agreed.
pub const PROPERTIES: [&str; 8] = [
    "cluster",
    "node",
    "namespace",
    "controller_kind",
    "controller",
    "pod",
    "container",
    "provider_id",
];

/// Whether it is a volume or load balancer of no pod. Derived tables keep the two apart.
pub const UNMOUNTED: &str = "unmounted";

/// Services that select the pod, in the agent's order. Null unless there is a single member.
pub const SERVICES: &str = "services";
/// Maps of the pod. Null unless there is a single member.
pub const MEMBER_MAPS: [&str; 2] = ["labels", "annotations"];
/// Maps that belong to the namespace, so that any member's will do.
pub const NAMESPACE_MAPS: [&str; 2] = ["namespace_labels", "namespace_annotations"];

/// Figures that add up: hours, bytes and costs. The cost of volumes is that of [`VOLUMES`] together.
pub const SUMS: [&str; 22] = [
    "cpu_core_hours",
    "cpu_cost",
    "cpu_cost_adjustment",
    "gpu_hours",
    "gpu_cost",
    "gpu_cost_adjustment",
    "network_transfer_bytes",
    "network_receive_bytes",
    "network_cost",
    "network_cross_zone_cost",
    "network_cross_region_cost",
    "network_internet_cost",
    "network_cost_adjustment",
    "load_balancer_cost",
    "load_balancer_cost_adjustment",
    "pv_cost",
    "pv_cost_adjustment",
    "ram_byte_hours",
    "ram_cost",
    "ram_cost_adjustment",
    "shared_cost",
    "external_cost",
];

/// Averages over the minutes between `start` and `end`, in cores, GPUs and bytes.
pub const AVERAGES: [&str; 6] = [
    "cpu_core_request_average",
    "cpu_core_usage_average",
    "gpu_request_average",
    "gpu_usage_average",
    "ram_byte_request_average",
    "ram_byte_usage_average",
];

/// Maxima, in cores and bytes. Null unless there is a single member, and the agent knew them.
pub const MAXIMA: [&str; 2] = ["cpu_core_usage_max", "ram_byte_usage_max"];

/// Persistent volumes, one entry per cluster and name.
pub const VOLUMES: &str = "volumes";
/// Load balancers, one entry per key (cluster, namespace and service joined by `/`).
pub const LOAD_BALANCERS: &str = "load_balancers";

/// Fields of an entry of [`VOLUMES`].
pub fn volume_fields() -> Fields {
    Fields::from(vec![
        string("cluster"),
        string("name"),
        number("byte_hours"),
        number("cost"),
        string("provider_id"),
    ])
}

/// Fields of an entry of [`LOAD_BALANCERS`].
pub fn load_balancer_fields() -> Fields {
    Fields::from(vec![
        string("key"),
        string("service"),
        number("cost"),
        Field::new("private", DataType::Boolean, false),
        string("ip"),
        number("hours"),
    ])
}

/// All columns.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = vec![string(FEDERATED_CLUSTER), time(WINDOW_START), time(WINDOW_END)];
        fields.extend(PROPERTIES.map(string));
        fields.push(Field::new(UNMOUNTED, DataType::Boolean, false));
        fields.push(Field::new(SERVICES, list_of(DataType::Utf8View), true));
        fields.extend(MEMBER_MAPS.map(|name| Field::new(name, string_map(), true)));
        fields.extend(NAMESPACE_MAPS.map(|name| Field::new(name, string_map(), false)));
        fields.extend([time(START), time(END), Field::new(MEMBERS, DataType::Int64, false)]);
        fields.extend(SUMS.map(number));
        fields.extend(AVERAGES.map(number));
        fields.extend(MAXIMA.map(optional_number));
        fields.extend([
            Field::new(VOLUMES, list_of(DataType::Struct(volume_fields())), false),
            Field::new(LOAD_BALANCERS, list_of(DataType::Struct(load_balancer_fields())), false),
        ]);
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

//! Adding an allocation of a later step to one of earlier steps (rules: OpenCost's `Allocation.add`).

use std::{cmp::Ordering, collections::HashMap};

use fedcost_proto::query::v1::{Allocation, AllocationProperties, LoadBalancerAllocation, VolumeAllocation};
use prost_types::Timestamp;

/// Adds `later` to `sum`, which is of the same name.
pub(super) fn add(sum: &mut Allocation, later: Allocation) {
    let (before, added) = (minutes(sum), minutes(&later));
    sum.start = earliest(sum.start, later.start);
    sum.end = latest(sum.end, later.end);
    let together = minutes(sum);
    let mean = |earlier: &mut f64, later: f64| {
        *earlier = if together > 0.0 {
            (*earlier * before + later * added) / together
        } else {
            0.0
        };
    };
    mean(&mut sum.cpu_core_request_average, later.cpu_core_request_average);
    mean(&mut sum.cpu_core_usage_average, later.cpu_core_usage_average);
    mean(&mut sum.gpu_request_average, later.gpu_request_average);
    mean(&mut sum.gpu_usage_average, later.gpu_usage_average);
    mean(&mut sum.ram_byte_request_average, later.ram_byte_request_average);
    mean(&mut sum.ram_byte_usage_average, later.ram_byte_usage_average);

    sum.cpu_core_hours += later.cpu_core_hours;
    sum.cpu_cost += later.cpu_cost;
    sum.cpu_cost_adjustment += later.cpu_cost_adjustment;
    sum.gpu_hours += later.gpu_hours;
    sum.gpu_cost += later.gpu_cost;
    sum.gpu_cost_adjustment += later.gpu_cost_adjustment;
    sum.network_transfer_bytes += later.network_transfer_bytes;
    sum.network_receive_bytes += later.network_receive_bytes;
    sum.network_cost += later.network_cost;
    sum.network_cross_zone_cost += later.network_cross_zone_cost;
    sum.network_cross_region_cost += later.network_cross_region_cost;
    sum.network_internet_cost += later.network_internet_cost;
    sum.network_cost_adjustment += later.network_cost_adjustment;
    sum.load_balancer_cost += later.load_balancer_cost;
    sum.load_balancer_cost_adjustment += later.load_balancer_cost_adjustment;
    sum.pv_cost_adjustment += later.pv_cost_adjustment;
    sum.ram_byte_hours += later.ram_byte_hours;
    sum.ram_cost += later.ram_cost;
    sum.ram_cost_adjustment += later.ram_cost_adjustment;
    sum.shared_cost += later.shared_cost;
    sum.external_cost += later.external_cost;

    sum.volumes = merge(
        std::mem::take(&mut sum.volumes),
        later.volumes,
        |a, b| (&a.cluster, &a.name).cmp(&(&b.cluster, &b.name)),
        add_volume,
    );
    sum.load_balancers = merge(
        std::mem::take(&mut sum.load_balancers),
        later.load_balancers,
        |a, b| a.key.cmp(&b.key),
        add_load_balancer,
    );
    // A peak of two windows is of neither.
    sum.raw = None;
    let properties = sum.properties.take().unwrap_or_default();
    sum.properties = Some(intersection(properties, later.properties.unwrap_or_default()));
}

fn minutes(allocation: &Allocation) -> f64 {
    let seconds = |time: Option<Timestamp>| time.map_or(0.0, |time| time.seconds as f64 + f64::from(time.nanos) / 1e9);
    (seconds(allocation.end) - seconds(allocation.start)) / 60.0
}

fn order(a: &Timestamp, b: &Timestamp) -> Ordering {
    (a.seconds, a.nanos).cmp(&(b.seconds, b.nanos))
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min_by(order)
}

fn latest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).max_by(order)
}

fn add_volume(sum: &mut VolumeAllocation, later: VolumeAllocation) {
    sum.byte_hours += later.byte_hours;
    sum.cost += later.cost;
}

fn add_load_balancer(sum: &mut LoadBalancerAllocation, later: LoadBalancerAllocation) {
    sum.cost += later.cost;
    sum.hours += later.hours;
}

/// Merges two lists that are in order of their keys, adding up entries of one key.
fn merge<T>(earlier: Vec<T>, later: Vec<T>, compare: impl Fn(&T, &T) -> Ordering, add: impl Fn(&mut T, T)) -> Vec<T> {
    let mut merged: Vec<T> = Vec::with_capacity(earlier.len().max(later.len()));
    let mut later = later.into_iter().peekable();
    for entry in earlier {
        while let Some(before) = later.next_if(|other| compare(other, &entry) == Ordering::Less) {
            merged.push(before);
        }
        merged.push(entry);
        if let Some(sum) = merged.last_mut()
            && let Some(same) = later.next_if(|other| compare(other, sum) == Ordering::Equal)
        {
            add(sum, same);
        }
    }
    merged.extend(later);
    merged
}

/// The properties that both agree on. What only a single container has is gone.
fn intersection(earlier: AllocationProperties, later: AllocationProperties) -> AllocationProperties {
    let same_place = place(&earlier) == place(&later);
    let same_namespace = earlier.namespace == later.namespace;
    let of_namespace = |earlier: HashMap<String, String>, later: HashMap<String, String>| {
        if !same_namespace {
            HashMap::new()
        } else if earlier.is_empty() {
            later
        } else {
            earlier
        }
    };
    AllocationProperties {
        cluster: agreed(earlier.cluster, &later.cluster),
        node: agreed(earlier.node, &later.node),
        container: agreed(earlier.container, &later.container),
        // In one and the same place, a controller that was unknown for a time was there all the same.
        controller: if same_place && earlier.controller.is_empty() {
            later.controller
        } else if same_place {
            earlier.controller
        } else {
            agreed(earlier.controller, &later.controller)
        },
        controller_kind: agreed(earlier.controller_kind, &later.controller_kind),
        namespace: agreed(earlier.namespace, &later.namespace),
        pod: agreed(earlier.pod, &later.pod),
        services: Vec::new(),
        provider_id: agreed(earlier.provider_id, &later.provider_id),
        labels: HashMap::new(),
        annotations: HashMap::new(),
        namespace_labels: of_namespace(earlier.namespace_labels, later.namespace_labels),
        namespace_annotations: of_namespace(earlier.namespace_annotations, later.namespace_annotations),
    }
}

/// What names a container.
fn place(properties: &AllocationProperties) -> [&str; 5] {
    [
        &properties.cluster,
        &properties.node,
        &properties.namespace,
        &properties.pod,
        &properties.container,
    ]
}

fn agreed(earlier: String, later: &str) -> String {
    if earlier == later { earlier } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Option<Timestamp> {
        Some(Timestamp {
            seconds: hours * 3600,
            nanos: 0,
        })
    }

    fn properties(cluster: &str, controller: &str) -> Option<AllocationProperties> {
        Some(AllocationProperties {
            cluster: cluster.to_owned(),
            controller: controller.to_owned(),
            services: vec!["service".to_owned()],
            labels: HashMap::from([("app".to_owned(), "web".to_owned())]),
            ..AllocationProperties::default()
        })
    }

    #[test]
    fn averages_are_weighted_by_minutes_over_the_whole_span() {
        let mut sum = Allocation {
            start: at(0),
            end: at(6),
            cpu_core_request_average: 2.0,
            ..Allocation::default()
        };
        let later = Allocation {
            start: at(24),
            end: at(48),
            cpu_core_request_average: 1.0,
            ..Allocation::default()
        };
        add(&mut sum, later);
        assert_eq!((sum.start, sum.end), (at(0), at(48)));
        assert_eq!(sum.cpu_core_request_average, (2.0 * 6.0 + 1.0 * 24.0) / 48.0);
    }

    #[test]
    fn entries_of_one_key_are_added_up() {
        let volume = |name: &str, cost| VolumeAllocation {
            name: name.to_owned(),
            cost,
            ..VolumeAllocation::default()
        };
        let mut sum = Allocation {
            volumes: vec![volume("b", 1.0), volume("d", 2.0)],
            ..Allocation::default()
        };
        let later = Allocation {
            volumes: vec![volume("a", 4.0), volume("b", 8.0), volume("c", 16.0), volume("e", 32.0)],
            ..Allocation::default()
        };
        add(&mut sum, later);
        let expected = [("a", 4.0), ("b", 9.0), ("c", 16.0), ("d", 2.0), ("e", 32.0)];
        assert_eq!(sum.volumes, expected.map(|(name, cost)| volume(name, cost)));
    }

    #[test]
    fn a_controller_is_remembered_in_one_place_only() {
        // Earlier and later cluster and controller, and what is left of them.
        for (earlier, later, expected) in [
            (("a", "web"), ("a", "web"), ("a", "web")),
            (("a", ""), ("a", "web"), ("a", "web")),
            (("a", "web"), ("a", ""), ("a", "web")),
            (("a", "web"), ("a", "api"), ("a", "web")),
            (("a", ""), ("b", "web"), ("", "")),
            (("a", "web"), ("b", "web"), ("", "web")),
        ] {
            let mut sum = Allocation {
                properties: properties(earlier.0, earlier.1),
                ..Allocation::default()
            };
            let later = Allocation {
                properties: properties(later.0, later.1),
                ..Allocation::default()
            };
            add(&mut sum, later);
            let left = sum.properties.unwrap();
            assert_eq!((left.cluster.as_str(), left.controller.as_str()), expected);
            assert!(left.services.is_empty() && left.labels.is_empty());
        }
    }
}

//! Made-up sets of any values that the format can hold.

use std::collections::BTreeMap;

use bingen::{
    Allocation, AllocationAmounts, AllocationProperties, AllocationSet, Asset, AssetDetails, AssetKind,
    AssetProperties, AssetSet, Breakdown, CloudCost, CloudCostProperties, CloudCostSet, CostMetric, DiskDetails,
    GpuAllocation, LbAllocation, LoadBalancerDetails, NodeDetails, NodeOverhead, PvAllocation, PvKey,
    RawAllocationOnly, Timestamp, Window,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(vec!["", "app", "team", "prod-us", "node-1", "BGST", "été", "名前"]).prop_map(String::from),
        1 => proptest::collection::vec(any::<char>(), 0..12).prop_map(|characters| characters.into_iter().collect()),
    ]
}

fn strings<const N: usize>() -> impl Strategy<Value = [String; N]> {
    vec(string(), N).prop_map(|strings| strings.try_into().unwrap())
}

fn string_map() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(string(), string(), 0..4)
}

fn float() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{INFINITE, NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO | INFINITE
}

fn floats<const N: usize>() -> impl Strategy<Value = [f64; N]> {
    vec(float(), N).prop_map(|floats| floats.try_into().unwrap())
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    // Beyond this the seconds since year 1 no longer fit the format.
    let latest = i64::MAX - 62_135_596_800;
    prop_oneof![
        Just(Timestamp::UNSET),
        (1_700_000_000_i64..1_800_000_000).prop_map(Timestamp::from_unix_seconds),
        (i64::MIN / 2..latest, 0_u32..1_000_000_000)
            .prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos).unwrap()),
    ]
}

fn window() -> impl Strategy<Value = Window> {
    (option::of(timestamp()), option::of(timestamp())).prop_map(|(start, end)| Window { start, end })
}

fn amounts() -> impl Strategy<Value = AllocationAmounts> {
    floats::<29>().prop_map(|f| AllocationAmounts {
        cpu_core_hours: f[0],
        cpu_core_request_average: f[1],
        cpu_core_usage_average: f[2],
        cpu_cost: f[3],
        cpu_cost_adjustment: f[4],
        gpu_hours: f[5],
        gpu_cost: f[6],
        gpu_cost_adjustment: f[7],
        network_transfer_bytes: f[8],
        network_receive_bytes: f[9],
        network_cost: f[10],
        network_cross_zone_cost: f[11],
        network_cross_region_cost: f[12],
        network_internet_cost: f[13],
        network_cost_adjustment: f[14],
        load_balancer_cost: f[15],
        load_balancer_cost_adjustment: f[16],
        pv_cost_adjustment: f[17],
        ram_byte_hours: f[18],
        ram_bytes_request_average: f[19],
        ram_bytes_usage_average: f[20],
        ram_cost: f[21],
        ram_cost_adjustment: f[22],
        shared_cost: f[23],
        external_cost: f[24],
        cpu_core_limit_average: f[25],
        ram_bytes_limit_average: f[26],
        network_nat_gateway_egress_cost: f[27],
        network_nat_gateway_ingress_cost: f[28],
    })
}

fn allocation_properties() -> impl Strategy<Value = AllocationProperties> {
    (
        strings::<8>(),
        vec(string(), 0..3),
        string_map(),
        string_map(),
        string_map(),
        string_map(),
    )
        .prop_map(
            |(names, services, labels, annotations, namespace_labels, namespace_annotations)| {
                let [
                    cluster,
                    node,
                    container,
                    controller,
                    controller_kind,
                    namespace,
                    pod,
                    provider_id,
                ] = names;
                AllocationProperties {
                    cluster,
                    node,
                    container,
                    controller,
                    controller_kind,
                    namespace,
                    pod,
                    services,
                    provider_id,
                    labels,
                    annotations,
                    namespace_labels,
                    namespace_annotations,
                }
            },
        )
}

fn pvs() -> impl Strategy<Value = BTreeMap<PvKey, PvAllocation>> {
    let key = strings::<2>().prop_map(|[cluster, name]| PvKey { cluster, name });
    let pv = (floats::<2>(), string()).prop_map(|([byte_hours, cost], provider_id)| PvAllocation {
        byte_hours,
        cost,
        provider_id,
    });
    btree_map(key, pv, 0..3)
}

fn load_balancers() -> impl Strategy<Value = BTreeMap<String, LbAllocation>> {
    let load_balancer =
        (strings::<2>(), floats::<2>(), any::<bool>()).prop_map(|([service, ip], [cost, hours], private)| {
            LbAllocation {
                service,
                cost,
                private,
                ip,
                hours,
            }
        });
    btree_map(string(), load_balancer, 0..3)
}

fn gpu_allocation() -> impl Strategy<Value = GpuAllocation> {
    let average = || option::of(float());
    (strings::<3>(), option::of(any::<bool>()), average(), average()).prop_map(
        |([device, model, uuid], is_shared, usage_average, request_average)| GpuAllocation {
            device,
            model,
            uuid,
            is_shared,
            usage_average,
            request_average,
        },
    )
}

fn allocation() -> impl Strategy<Value = Allocation> {
    let raw =
        (floats::<2>(), option::of(float())).prop_map(|([cpu_core_usage_max, ram_bytes_usage_max], gpu_usage_max)| {
            RawAllocationOnly {
                cpu_core_usage_max,
                ram_bytes_usage_max,
                gpu_usage_max,
            }
        });
    (
        string(),
        option::of(allocation_properties()),
        window(),
        [timestamp(), timestamp()],
        amounts(),
        pvs(),
        option::of(raw),
        load_balancers(),
        option::of(gpu_allocation()),
    )
        .prop_map(
            |(name, properties, window, [start, end], amounts, pvs, raw_allocation_only, load_balancers, gpu)| {
                Allocation {
                    name,
                    properties,
                    window,
                    start,
                    end,
                    amounts,
                    pvs,
                    raw_allocation_only,
                    load_balancers,
                    gpu_allocation: gpu,
                }
            },
        )
}

/// A set of allocations that version `version` can hold.
pub(crate) fn allocation_set(version: u8) -> impl Strategy<Value = AllocationSet> {
    let flags = || btree_map(string(), any::<bool>(), 0..3);
    (
        btree_map(string(), allocation(), 0..6),
        flags(),
        flags(),
        string(),
        window(),
        vec(string(), 0..3),
        vec(string(), 0..3),
    )
        .prop_map(
            move |(mut allocations, external_keys, idle_keys, from_source, window, warnings, errors)| {
                allocations
                    .values_mut()
                    .for_each(|allocation| forget_newer_fields(allocation, version));
                AllocationSet {
                    allocations,
                    external_keys,
                    idle_keys,
                    from_source,
                    window,
                    warnings,
                    errors,
                }
            },
        )
}

fn forget_newer_fields(allocation: &mut Allocation, version: u8) {
    let amounts = &mut allocation.amounts;
    if version < 16 {
        amounts.network_cross_zone_cost = 0.0;
        amounts.network_cross_region_cost = 0.0;
        amounts.network_internet_cost = 0.0;
    }
    if let (true, Some(properties)) = (version < 17, &mut allocation.properties) {
        properties.namespace_labels.clear();
        properties.namespace_annotations.clear();
    }
    if version < 18 {
        allocation.load_balancers.clear();
    }
    for load_balancer in allocation.load_balancers.values_mut() {
        if version < 19 {
            load_balancer.ip.clear();
        }
        if version < 21 {
            load_balancer.hours = 0.0;
        }
    }
    if version < 20 {
        allocation.pvs.values_mut().for_each(|pv| pv.provider_id.clear());
    }
    if version < 25 {
        amounts.network_nat_gateway_egress_cost = 0.0;
        amounts.network_nat_gateway_ingress_cost = 0.0;
    }
    if version < 24 {
        amounts.cpu_core_limit_average = 0.0;
        amounts.ram_bytes_limit_average = 0.0;
    }
    if version < 23 {
        // Version 22 keeps the averages of GPUs, and has them for every allocation; older ones have none.
        let average = |of: fn(&GpuAllocation) -> Option<f64>| allocation.gpu_allocation.as_ref().and_then(of);
        let averages = GpuAllocation {
            usage_average: Some(average(|gpu| gpu.usage_average).unwrap_or(0.0)),
            request_average: Some(average(|gpu| gpu.request_average).unwrap_or(0.0)),
            ..GpuAllocation::default()
        };
        allocation.gpu_allocation = (version == 22).then_some(averages);
        if let Some(raw) = &mut allocation.raw_allocation_only {
            raw.gpu_usage_max = None;
        }
    }
}

fn breakdown() -> impl Strategy<Value = Option<Breakdown>> {
    option::of(floats::<4>().prop_map(|[idle, other, system, user]| Breakdown {
        idle,
        other,
        system,
        user,
    }))
}

fn details() -> impl Strategy<Value = AssetDetails<String>> {
    let disk = (
        floats::<2>(),
        breakdown(),
        strings::<4>(),
        option::of(float()),
        option::of(float()),
    )
        .prop_map(
            |([byte_hours, local], breakdown, names, byte_hours_used, byte_usage_max)| {
                let [storage_class, volume_name, claim_name, claim_namespace] = names;
                AssetDetails::Disk(DiskDetails {
                    byte_hours,
                    local,
                    breakdown,
                    storage_class,
                    byte_hours_used,
                    byte_usage_max,
                    volume_name,
                    claim_name,
                    claim_namespace,
                })
            },
        );
    let overhead = floats::<3>().prop_map(|[cpu, ram, cost]| NodeOverhead {
        cpu_overhead_fraction: cpu,
        ram_overhead_fraction: ram,
        overhead_cost_fraction: cost,
    });
    let node = (string(), floats::<9>(), breakdown(), breakdown(), option::of(overhead)).prop_map(
        |(node_type, f, cpu_breakdown, ram_breakdown, overhead)| {
            AssetDetails::Node(NodeDetails {
                node_type,
                cpu_core_hours: f[0],
                ram_byte_hours: f[1],
                gpu_hours: f[2],
                cpu_breakdown,
                ram_breakdown,
                cpu_cost: f[3],
                gpu_cost: f[4],
                gpu_count: f[5],
                ram_cost: f[6],
                discount: f[7],
                preemptible: f[8],
                overhead,
            })
        },
    );
    prop_oneof![
        Just(AssetDetails::Any),
        float().prop_map(|credit| AssetDetails::Cloud { credit }),
        Just(AssetDetails::ClusterManagement),
        disk,
        (any::<bool>(), string())
            .prop_map(|(private, ip)| AssetDetails::LoadBalancer(LoadBalancerDetails { private, ip })),
        Just(AssetDetails::Network),
        node,
        Just(AssetDetails::SharedAsset),
    ]
}

fn asset() -> impl Strategy<Value = Asset> {
    let properties = strings::<8>().prop_map(
        |[
            category,
            provider,
            account,
            project,
            service,
            cluster,
            name,
            provider_id,
        ]| AssetProperties {
            category,
            provider,
            account,
            project,
            service,
            cluster,
            name,
            provider_id,
        },
    );
    (
        option::of(properties),
        string_map(),
        [timestamp(), timestamp()],
        window(),
        floats::<2>(),
        details(),
    )
        .prop_map(
            |(properties, labels, [start, end], window, [adjustment, cost], details)| Asset {
                properties,
                labels,
                start,
                end,
                window,
                adjustment,
                cost,
                details,
            },
        )
}

/// A set of assets that version `version` can hold.
pub(crate) fn asset_set(version: u8) -> impl Strategy<Value = AssetSet> {
    (
        vec(string(), 0..3),
        btree_map(string(), asset(), 0..8),
        string(),
        window(),
        vec(string(), 0..3),
        vec(string(), 0..3),
    )
        .prop_map(
            move |(aggregation_keys, mut assets, from_source, window, warnings, errors)| {
                assets
                    .values_mut()
                    .for_each(|asset| forget_foreign_fields(asset, version));
                AssetSet {
                    aggregation_keys,
                    assets,
                    from_source,
                    window,
                    warnings,
                    errors,
                }
            },
        )
}

/// Takes away what the asset's kind or the version does not have.
fn forget_foreign_fields(asset: &mut Asset, version: u8) {
    let kind = asset.kind();
    if matches!(kind, AssetKind::ClusterManagement | AssetKind::SharedAsset) {
        (asset.start, asset.end) = (Timestamp::UNSET, Timestamp::UNSET);
    }
    if kind == AssetKind::SharedAsset || (kind == AssetKind::ClusterManagement && version < 16) {
        asset.adjustment = 0.0;
    }
    if kind == AssetKind::Node {
        asset.cost = 0.0;
    }
    match &mut asset.details {
        AssetDetails::Disk(disk) => {
            if version < 17 {
                disk.storage_class.clear();
            }
            if version < 18 {
                (disk.byte_hours_used, disk.byte_usage_max) = (None, None);
                disk.volume_name.clear();
                disk.claim_name.clear();
                disk.claim_namespace.clear();
            }
        }
        AssetDetails::LoadBalancer(load_balancer) => {
            load_balancer.private &= version >= 20;
            if version < 21 {
                load_balancer.ip.clear();
            }
        }
        AssetDetails::Node(node) if version < 19 => node.overhead = None,
        _ => {}
    }
}

fn cloud_cost(version: u8) -> impl Strategy<Value = CloudCost> {
    let metrics = floats::<10>().prop_map(|f| {
        let metric = |place: usize| CostMetric {
            cost: f[2 * place],
            kubernetes_percent: f[2 * place + 1],
        };
        [metric(0), metric(1), metric(2), metric(3), metric(4)]
    });
    (option::of((strings::<10>(), string_map())), window(), metrics).prop_map(move |(named, window, metrics)| {
        let (properties, labels) = named.unzip();
        let [list_cost, net_cost, amortized_net_cost, invoiced_cost, amortized_cost] = metrics;
        CloudCost {
            properties: properties.map(|names| cloud_cost_properties(names, version)),
            labels: labels.unwrap_or_default(),
            window,
            list_cost,
            net_cost,
            amortized_net_cost,
            invoiced_cost,
            amortized_cost,
        }
    })
}

fn cloud_cost_properties(names: [String; 10], version: u8) -> CloudCostProperties<String> {
    let [
        provider_id,
        provider,
        account_id,
        invoice_entity_id,
        service,
        category,
        newer @ ..,
    ] = names;
    let [account_name, invoice_entity_name, region_id, availability_zone] =
        if version >= 3 { newer } else { Default::default() };
    CloudCostProperties {
        provider_id,
        provider,
        account_id,
        account_name,
        invoice_entity_id,
        invoice_entity_name,
        region_id,
        availability_zone,
        service,
        category,
    }
}

/// A set of cloud costs that version `version` can hold.
pub(crate) fn cloud_cost_set(version: u8) -> impl Strategy<Value = CloudCostSet> {
    (
        btree_map(string(), cloud_cost(version), 0..6),
        window(),
        string(),
        vec(string(), 0..3),
    )
        .prop_map(
            |(cloud_costs, window, integration, aggregation_properties)| CloudCostSet {
                cloud_costs,
                window,
                integration,
                aggregation_properties,
            },
        )
}

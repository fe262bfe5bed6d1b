//! What each version of an allocation holds, and how older ones are migrated.

use bingen::{
    ALLOCATION_VERSIONS, Allocation, AllocationAmounts, AllocationSet, EncodeOptions, GpuAllocation, RawAllocationOnly,
    Window,
};

fn set() -> AllocationSet {
    let allocation = Allocation {
        amounts: AllocationAmounts {
            cpu_core_limit_average: 4.0,
            ram_bytes_limit_average: 8e9,
            network_cost: 3.0,
            network_nat_gateway_egress_cost: 0.5,
            network_nat_gateway_ingress_cost: 0.25,
            ..AllocationAmounts::default()
        },
        raw_allocation_only: Some(RawAllocationOnly {
            gpu_usage_max: Some(0.9),
            ..RawAllocationOnly::default()
        }),
        gpu_allocation: Some(GpuAllocation {
            device: "nvidia0".into(),
            model: "NVIDIA L4".into(),
            uuid: "GPU-1".into(),
            is_shared: Some(true),
            usage_average: None,
            request_average: Some(0.5),
        }),
        ..Allocation::default()
    };
    AllocationSet {
        allocations: [("a".into(), allocation)].into(),
        window: Window::default(),
        ..AllocationSet::default()
    }
}

fn in_version(version: u8) -> Vec<u8> {
    let options = EncodeOptions {
        version: Some(version),
        string_table: false,
    };
    set().encode_with(options).unwrap()
}

#[test]
fn each_version_keeps_what_it_has_room_for() {
    for version in ALLOCATION_VERSIONS {
        let read = AllocationSet::decode(&in_version(version)).unwrap();
        let allocation = &read.allocations["a"];
        let amounts = &allocation.amounts;
        let nat = [
            amounts.network_nat_gateway_egress_cost,
            amounts.network_nat_gateway_ingress_cost,
        ];
        assert_eq!(nat, if version >= 25 { [0.5, 0.25] } else { [0.0; 2] }, "{version}");
        let limits = [amounts.cpu_core_limit_average, amounts.ram_bytes_limit_average];
        assert_eq!(limits, if version >= 24 { [4.0, 8e9] } else { [0.0; 2] }, "{version}");
        let raw = allocation.raw_allocation_only.unwrap();
        assert_eq!(raw.gpu_usage_max, (version >= 23).then_some(0.9), "{version}");
        let whole = &set().allocations["a"].gpu_allocation;
        let averages = Some(GpuAllocation {
            usage_average: Some(0.0),
            request_average: Some(0.5),
            ..GpuAllocation::default()
        });
        let expected = match version {
            23.. => whole,
            22 => &averages,
            _ => &None,
        };
        assert_eq!(&allocation.gpu_allocation, expected, "{version}");
    }
}

/// A reader that knows version 22 knows no window above 17.
#[test]
fn older_sets_hold_windows_that_their_readers_know() {
    // Without a string table the allocation's window stands behind its key, head, name and properties.
    let window_version = |version| in_version(version)[22];
    assert_eq!(window_version(25), 18);
    assert_eq!(window_version(24), 17);
    assert_eq!(window_version(22), 17);
}

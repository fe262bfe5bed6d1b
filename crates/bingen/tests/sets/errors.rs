//! Each way a file can be wrong has its own error, which says where and what.

use bingen::{
    Allocation, AllocationSet, AllocationSetDecoder, Asset, AssetDetails, AssetSet, DecodeError, EncodeOptions,
};

const IN_PLACE: EncodeOptions = EncodeOptions {
    version: None,
    string_table: false,
};

/// An allocation named `a` without properties. In place, its key stands at byte 6, its presence at 9, its head at 10,
/// its name at 15, the presence of its properties at 18, its window at 19, and its start at 26.
fn allocation_file() -> Vec<u8> {
    let allocation = Allocation {
        name: "a".into(),
        ..Allocation::default()
    };
    let set = AllocationSet {
        allocations: [("a".into(), allocation)].into(),
        ..AllocationSet::default()
    };
    set.encode_with(IN_PLACE).unwrap()
}

fn allocation_error(change: impl FnOnce(&mut Vec<u8>)) -> DecodeError {
    let mut bytes = allocation_file();
    AllocationSet::decode(&bytes).unwrap();
    change(&mut bytes);
    AllocationSet::decode(&bytes).unwrap_err()
}

#[test]
fn an_end_inside_a_value() {
    let error = allocation_error(|bytes| bytes.truncate(30));
    let expected = DecodeError::UnexpectedEnd {
        offset: 30,
        field: "Allocation.start",
        needed: 15,
        remaining: 0,
    };
    assert_eq!(error, expected);
    assert_eq!(
        error.to_string(),
        "Allocation.start at byte 30 needs 15 bytes, but only 0 remain; the file is cut short"
    );
    assert!(matches!(
        AllocationSet::decode(&[]).unwrap_err(),
        DecodeError::UnexpectedEnd { offset: 0, .. }
    ));
}

#[test]
fn a_version_above_the_newest_or_below_the_oldest() {
    let error = allocation_error(|bytes| bytes[0] = 26);
    let expected = DecodeError::UnsupportedVersion {
        offset: 0,
        type_name: "AllocationSet",
        found: 26,
        oldest: 15,
        newest: 25,
    };
    assert_eq!(error, expected);
    assert_eq!(
        error.to_string(),
        "AllocationSet at byte 0 has version 26, but versions 15 to 25 are supported; a newer FedCost may read it"
    );
    let below = allocation_error(|bytes| bytes[0] = 14);
    assert!(matches!(below, DecodeError::UnsupportedVersion { found: 14, .. }));
    let nested = allocation_error(|bytes| bytes[14] = 26);
    assert!(matches!(
        nested,
        DecodeError::UnsupportedVersion {
            offset: 14,
            type_name: "Allocation",
            found: 26,
            ..
        }
    ));
    let window = allocation_error(|bytes| bytes[23] = 19);
    assert!(matches!(
        window,
        DecodeError::UnsupportedVersion {
            offset: 23,
            type_name: "Window",
            newest: 18,
            ..
        }
    ));
}

#[test]
fn nested_values_are_read_in_their_own_version() {
    let mut bytes = allocation_file();
    // Version 15 of the allocation lacks three floats, the load balancers, two floats, the GPUs, and four more floats.
    bytes[14] = 15;
    let before_network = 26 + 2 * 19 + 11 * 8;
    bytes.drain(before_network..before_network + 3 * 8);
    let before_load_balancers = before_network + 3 * 8 + 1 + 8 * 8 + 1;
    bytes.drain(before_load_balancers..before_load_balancers + 1 + 2 * 8 + 1 + 4 * 8);
    assert_eq!(AllocationSet::decode(&bytes).unwrap().allocations["a"].name, "a");
}

#[test]
fn a_count_below_zero() {
    let error = allocation_error(|bytes| bytes[2..6].copy_from_slice(&(-2_i32).to_le_bytes()));
    let expected = DecodeError::NegativeCount {
        offset: 2,
        field: "AllocationSet.allocations",
        count: -2,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_count_beyond_the_end_of_the_file() {
    let remaining = allocation_file().len() - 6;
    let error = allocation_error(|bytes| bytes[2..6].copy_from_slice(&i32::MAX.to_le_bytes()));
    let expected = DecodeError::CountTooLarge {
        offset: 2,
        field: "AllocationSet.allocations",
        count: 2_147_483_647,
        minimum: 3,
        remaining,
    };
    assert_eq!(error, expected);
    let table = AllocationSet::decode(b"BGST\xff\xff\xff\x7f").unwrap_err();
    assert!(matches!(
        table,
        DecodeError::CountTooLarge {
            offset: 4,
            field: "string table",
            ..
        }
    ));
}

#[test]
fn a_flag_that_is_neither_0_nor_1() {
    let error = allocation_error(|bytes| bytes[9] = 2);
    assert_eq!(
        error,
        DecodeError::InvalidFlag {
            offset: 9,
            field: "AllocationSet.allocations",
            found: 2
        }
    );
    let properties = allocation_error(|bytes| bytes[18] = 7);
    assert_eq!(
        properties,
        DecodeError::InvalidFlag {
            offset: 18,
            field: "Allocation.properties",
            found: 7
        }
    );
}

#[test]
fn a_string_outside_the_table() {
    let set = AllocationSet {
        from_source: "agent".into(),
        ..AllocationSet::default()
    };
    let mut bytes = set.encode().unwrap();
    // The magic, the count, two strings, the version, and three empty maps stand before the source.
    let source = 4 + 4 + 2 + 7 + 1 + 5 + 1 + 1;
    assert_eq!(bytes[source..source + 4], [1, 0, 0, 0]);
    for index in [2, -1] {
        bytes[source..source + 4].copy_from_slice(&i32::to_le_bytes(index));
        let error = AllocationSet::decode(&bytes).unwrap_err();
        let field = "AllocationSet.fromSource";
        assert_eq!(
            error,
            DecodeError::UnknownString {
                offset: source,
                field,
                index,
                entries: 2
            }
        );
    }
}

#[test]
fn a_time_that_is_none() {
    let cases: [(usize, &[u8], &str); 4] = [
        (26, &[14, 0, 0, 0], "its length is neither 15 nor 16 bytes"),
        (30, &[2], "its version does not match its length"),
        (31, &[0x80, 0, 0, 0, 0, 0, 0, 0], "its seconds are too far in the past"),
        (39, &[0x3b, 0x9a, 0xca, 0x00], "its nanoseconds are a second or more"),
    ];
    for (place, patch, reason) in cases {
        let error = allocation_error(|bytes| bytes[place..place + patch.len()].copy_from_slice(patch));
        assert_eq!(
            error,
            DecodeError::InvalidTime {
                offset: 26,
                field: "Allocation.start",
                reason
            }
        );
    }
}

#[test]
fn a_time_with_seconds_in_its_zone_is_the_same_moment() {
    let mut bytes = allocation_file();
    bytes[26] = 16;
    bytes[30] = 2;
    bytes.insert(45, 30);
    assert!(AllocationSet::decode(&bytes).unwrap().allocations["a"].start.is_unset());
}

#[test]
fn an_asset_of_an_unknown_type() {
    let asset = Asset {
        details: AssetDetails::Network,
        ..Asset::default()
    };
    let set = AssetSet {
        assets: [("n".into(), asset)].into(),
        ..AssetSet::default()
    };
    let mut bytes = set.encode_with(IN_PLACE).unwrap();
    let place = bytes.windows(7).position(|part| part == b"Network").unwrap();
    bytes[place] = b'n';
    let name = "*github.com/opencost/opencost/core/pkg/opencost.network".to_owned();
    // The version, no aggregation keys, the count, the key and its presence stand before the type name.
    assert_eq!(
        AssetSet::decode(&bytes).unwrap_err(),
        DecodeError::UnknownAssetType { offset: 11, name }
    );
}

#[test]
fn bytes_after_the_end() {
    let length = allocation_file().len();
    let error = allocation_error(|bytes| bytes.extend([0, 0]));
    assert_eq!(
        error,
        DecodeError::TrailingBytes {
            offset: length,
            remaining: 2
        }
    );
}

#[test]
fn null_entries_are_passed_over() {
    let mut bytes = allocation_file();
    bytes[2] = 3;
    bytes.splice(6..6, [1, 0, b'x', 0, 0, 0, 0]);
    let mut decoder = AllocationSetDecoder::new(&bytes).unwrap();
    assert_eq!(decoder.expected_len(), 3);
    assert!(decoder.capacity_hint() <= 3);
    assert!(decoder.next().unwrap().is_some());
    assert!(decoder.next().unwrap().is_none());
    assert_eq!(AllocationSet::decode(&bytes).unwrap().allocations.len(), 1);
}

#[test]
fn an_empty_table_means_strings_in_place() {
    let mut bytes = b"BGST\0\0\0\0".to_vec();
    bytes.extend(allocation_file());
    assert_eq!(AllocationSet::decode(&bytes).unwrap().allocations["a"].name, "a");
}

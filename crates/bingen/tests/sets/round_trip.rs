//! What is written is read again as it was, in every version, with and without a string table.

use bingen::{
    ALLOCATION_VERSIONS, ASSET_VERSIONS, Allocation, AllocationRecord, AllocationSet, AllocationSetDecoder,
    AllocationSetEncoder, AllocationSetEnvelope, AssetSet, AssetSetDecoder, CLOUD_COST_VERSIONS, CloudCostSet,
    CloudCostSetDecoder, EncodeError, EncodeOptions, StringTable, Symbol, Timestamp,
};
use proptest::prelude::*;

use crate::generate::{allocation_set, asset_set, cloud_cost_set};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn allocation_sets(
        (version, set) in ALLOCATION_VERSIONS.prop_flat_map(|version| (Just(version), allocation_set(version))),
        string_table: bool,
    ) {
        let bytes = set.encode_with(EncodeOptions { version: Some(version), string_table }).unwrap();
        prop_assert_eq!(AllocationSetDecoder::new(&bytes).unwrap().version(), version);
        prop_assert_eq!(AllocationSet::decode(&bytes).unwrap(), set);
    }

    #[test]
    fn asset_sets(
        (version, set) in ASSET_VERSIONS.prop_flat_map(|version| (Just(version), asset_set(version))),
        string_table: bool,
    ) {
        let bytes = set.encode_with(EncodeOptions { version: Some(version), string_table }).unwrap();
        prop_assert_eq!(AssetSetDecoder::new(&bytes).unwrap().version(), version);
        prop_assert_eq!(AssetSet::decode(&bytes).unwrap(), set);
    }

    #[test]
    fn cloud_cost_sets(
        (version, set) in CLOUD_COST_VERSIONS.prop_flat_map(|version| (Just(version), cloud_cost_set(version))),
        string_table: bool,
    ) {
        let bytes = set.encode_with(EncodeOptions { version: Some(version), string_table }).unwrap();
        prop_assert_eq!(CloudCostSetDecoder::new(&bytes).unwrap().version(), version);
        prop_assert_eq!(CloudCostSet::decode(&bytes).unwrap(), set);
    }

    #[test]
    fn both_forms_of_strings_lend_the_same_records(set in allocation_set(*ALLOCATION_VERSIONS.end())) {
        let encode = |string_table| set.encode_with(EncodeOptions { version: None, string_table }).unwrap();
        let (with_table, in_place) = (encode(true), encode(false));
        let mut first = AllocationSetDecoder::new(&with_table).unwrap();
        let mut second = AllocationSetDecoder::new(&in_place).unwrap();
        prop_assert_eq!(first.expected_len(), set.allocations.len());
        prop_assert_eq!(second.capacity_hint(), set.allocations.len());
        while first.next().unwrap().is_some() {
            prop_assert!(second.next().unwrap().is_some());
            let key = first.strings().resolve(first.record().key);
            prop_assert_eq!(second.strings().resolve(second.record().key), key);
            prop_assert_eq!(second.record().amounts, first.record().amounts);
        }
        prop_assert!(second.next().unwrap().is_none());
        // In place, each string is one symbol however often it stands in the file.
        let strings = second.finish().unwrap().strings;
        let distinct: std::collections::HashSet<_> = strings.strings().iter().collect();
        prop_assert_eq!(distinct.len(), strings.strings().len());
    }
}

#[test]
fn long_strings_are_cut_where_the_reference_cuts_them() {
    let long = format!("{}é and more", "a".repeat(65_534));
    let cut = format!("{}\u{fffd}", "a".repeat(65_534));
    let set = AllocationSet {
        from_source: long,
        ..AllocationSet::default()
    };
    for string_table in [true, false] {
        let bytes = set
            .encode_with(EncodeOptions {
                version: None,
                string_table,
            })
            .unwrap();
        assert_eq!(AllocationSet::decode(&bytes).unwrap().from_source, cut);
    }
}

#[test]
fn finish_passes_over_what_was_not_read() {
    let allocation = |name: &str| {
        (
            name.to_owned(),
            Allocation {
                name: name.to_owned(),
                ..Allocation::default()
            },
        )
    };
    let set = AllocationSet {
        allocations: [allocation("a"), allocation("b"), allocation("c")].into(),
        from_source: "agent".into(),
        ..AllocationSet::default()
    };
    let bytes = set.encode().unwrap();
    let mut decoder = AllocationSetDecoder::new(&bytes).unwrap();
    decoder.next().unwrap();
    let finished = decoder.finish().unwrap();
    assert_eq!(finished.strings.resolve(finished.envelope.from_source), "agent");
}

#[test]
fn the_encoder_names_what_it_cannot_write() {
    let options = EncodeOptions {
        version: Some(26),
        string_table: true,
    };
    assert!(matches!(
        AllocationSet::default().encode_with(options),
        Err(EncodeError::UnsupportedVersion {
            asked: 26,
            newest: 25,
            ..
        })
    ));
    let mut elsewhere = StringTable::new();
    let symbol = elsewhere.intern("elsewhere");
    for string_table in [true, false] {
        let options = EncodeOptions {
            version: None,
            string_table,
        };
        let mut encoder = AllocationSetEncoder::new(options).unwrap();
        assert!(encoder.is_empty());
        let record = AllocationRecord {
            name: symbol,
            ..AllocationRecord::default()
        };
        assert_eq!(encoder.push(&record), Err(EncodeError::UnknownSymbol { symbol }));
        let encoder = AllocationSetEncoder::new(options).unwrap();
        let envelope = AllocationSetEnvelope {
            from_source: symbol,
            ..AllocationSetEnvelope::default()
        };
        assert_eq!(encoder.finish(&envelope), Err(EncodeError::UnknownSymbol { symbol }));
    }
    let mut encoder = AllocationSetEncoder::new(EncodeOptions::default()).unwrap();
    let record = AllocationRecord {
        start: Timestamp::from_unix_seconds(i64::MAX),
        ..AllocationRecord::default()
    };
    assert_eq!(
        encoder.push(&record),
        Err(EncodeError::TimeOutOfRange { seconds: i64::MAX })
    );
}

#[test]
fn a_set_of_nothing_is_read_in_every_version() {
    for version in ALLOCATION_VERSIONS {
        let options = EncodeOptions {
            version: Some(version),
            string_table: true,
        };
        let bytes = AllocationSet::default().encode_with(options).unwrap();
        let finished = AllocationSetDecoder::new(&bytes).unwrap().finish().unwrap();
        assert_eq!(finished.version, version);
        assert_eq!(finished.envelope.from_source, Symbol::EMPTY);
    }
}

//! Damaged files are read or refused, without a panic and without more memory than they are worth.

use bingen::{AllocationSet, AssetSet, CloudCost, CloudCostSet, DecodeError, EncodeOptions, Pipeline, Resolution};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::MEMORY;
use crate::golden::golden_files;

/// Generous for files of some 30 kB, and for what the other tests hold meanwhile; far below what a count of four
/// bytes could ask for.
const MEMORY_BOUND: usize = 256 << 20;

fn decode(pipeline: Pipeline, bytes: &[u8]) -> Result<(), DecodeError> {
    match pipeline {
        Pipeline::Allocations => AllocationSet::decode(bytes).map(drop),
        Pipeline::Assets => AssetSet::decode(bytes).map(drop),
        Pipeline::CloudCosts => CloudCostSet::decode(bytes).map(drop),
    }
}

/// One allocation and one asset file of the reference, and of each kind a file of ours without a string table.
fn samples() -> Vec<(Pipeline, Vec<u8>)> {
    let in_place = EncodeOptions {
        version: None,
        string_table: false,
    };
    let mut samples = Vec::new();
    for pipeline in [Pipeline::Allocations, Pipeline::Assets] {
        let files = golden_files();
        let smallest = files
            .into_iter()
            .filter(|file| file.path.pipeline == pipeline && file.path.resolution == Resolution::Daily)
            .min_by_key(|file| file.bytes.len())
            .unwrap();
        let bytes = match pipeline {
            Pipeline::Allocations => AllocationSet::decode(&smallest.bytes).unwrap().encode_with(in_place),
            Pipeline::Assets | Pipeline::CloudCosts => AssetSet::decode(&smallest.bytes).unwrap().encode_with(in_place),
        };
        samples.push((pipeline, bytes.unwrap()));
        samples.push((pipeline, smallest.bytes));
    }
    let mut cloud_costs = CloudCostSet {
        integration: "bill".into(),
        ..CloudCostSet::default()
    };
    for number in 0..4 {
        let cloud_cost = CloudCost {
            properties: Some(Default::default()),
            labels: [("team".to_owned(), number.to_string())].into(),
            ..CloudCost::default()
        };
        cloud_costs.cloud_costs.insert(format!("resource-{number}"), cloud_cost);
    }
    samples.push((Pipeline::CloudCosts, cloud_costs.encode().unwrap()));
    samples.push((Pipeline::CloudCosts, cloud_costs.encode_with(in_place).unwrap()));
    samples
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    for (pipeline, bytes) in samples() {
        for length in 0..bytes.len() {
            assert!(
                decode(pipeline, &bytes[..length]).is_err(),
                "{pipeline} cut to {length} bytes"
            );
        }
    }
}

#[test]
fn a_file_damaged_in_any_way_neither_panics_nor_takes_much_memory() {
    const ROUNDS: usize = 4_000;
    let mut random = SmallRng::seed_from_u64(22);
    for (pipeline, bytes) in samples() {
        for round in 0..ROUNDS {
            let mut damaged = bytes.clone();
            for _ in 0..random.random_range(1..4) {
                damage(&mut damaged, &mut random);
            }
            MEMORY.reset_peak_usage();
            let outcome = decode(pipeline, &damaged);
            let peak = MEMORY.peak_usage();
            assert!(
                peak < MEMORY_BOUND,
                "{pipeline} round {round}: {peak} bytes of memory, {outcome:?}"
            );
        }
    }
}

fn damage(bytes: &mut Vec<u8>, random: &mut SmallRng) {
    if bytes.is_empty() {
        return;
    }
    let start = random.random_range(0..bytes.len());
    let end = bytes.len().min(start + random.random_range(1..16));
    match random.random_range(0..5) {
        0 => bytes[start] ^= 1 << random.random_range(0..8),
        1 => bytes[start] = random.random(),
        2 => {
            bytes.drain(start..end);
        }
        3 => {
            let copy = bytes[start..end].to_vec();
            bytes.splice(start..start, copy);
        }
        _ => bytes[start..end].fill(0xff),
    }
}

#[test]
fn any_bytes_of_any_kind_are_read_or_refused() {
    let mut random = SmallRng::seed_from_u64(15);
    for _ in 0..20_000 {
        let mut bytes = vec![0; random.random_range(0..200)];
        // Small numbers pass for flags, counts and versions, and so lead deeper into the format.
        bytes.fill_with(|| {
            if random.random_bool(0.8) {
                random.random_range(0..24)
            } else {
                random.random()
            }
        });
        if random.random_bool(0.5) {
            bytes.splice(0..0, *b"BGST");
        }
        for pipeline in Pipeline::ALL {
            let _ = decode(pipeline, &bytes);
        }
    }
}

#[test]
fn an_error_stays() {
    let (pipeline, bytes) = samples().swap_remove(0);
    assert_eq!(pipeline, Pipeline::Allocations);
    let mut decoder = bingen::AllocationSetDecoder::new(&bytes[..bytes.len() / 2]).unwrap();
    let first = loop {
        match decoder.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("half a file was read to its end"),
            Err(error) => break error,
        }
    };
    assert_eq!(decoder.next().unwrap_err(), first);
    assert_eq!(decoder.finish().unwrap_err(), first);
}

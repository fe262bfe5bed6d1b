//! Any text is read or refused as a filter, and a filter that is read stays the same when it is written and read again.
#![no_main]

use cost_model::{
    Filter,
    filter::{AllocationField, AssetField, FilterField, Leniency},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for leniency in [Leniency::Strict, Leniency::Lenient] {
        check::<AllocationField>(text, leniency);
        check::<AssetField>(text, leniency);
    }
});

fn check<F: FilterField + std::fmt::Debug>(text: &str, leniency: Leniency) {
    if let Ok(filter) = Filter::<F>::parse(text, leniency) {
        let again = Filter::parse(&filter.to_string(), Leniency::Strict).expect("what this crate wrote is readable");
        assert_eq!(filter, again);
    }
}

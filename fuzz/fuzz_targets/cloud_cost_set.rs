//! Any bytes are read or refused as a cloud-cost set; what is read stays the same when it is written and read again.
#![no_main]

use bingen::CloudCostSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(set) = CloudCostSet::decode(bytes) else { return };
    // Times in the far future can be read but not told apart from an overflow when written.
    let Ok(written) = set.encode() else { return };
    let again = CloudCostSet::decode(&written).expect("what this crate wrote is readable");
    // The text form makes NaN equal to itself.
    assert_eq!(format!("{again:?}"), format!("{set:?}"));
});

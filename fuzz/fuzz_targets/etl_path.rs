//! Any text is read or refused as a path, and a path that is read is printed as it was.
#![no_main]

use bingen::EtlPath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(path) = text.parse::<EtlPath>() {
        assert_eq!(path.to_string(), text);
    }
});

//! Any text is read or refused as a window, and a window that is read ends after it starts.
#![no_main]

use chrono::DateTime;
use cost_model::{Calendar, window};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, &str)| {
    let (seconds, text) = input;
    let now = DateTime::from_timestamp(seconds.into(), 0).expect("32 bits of seconds are a time");
    if let Ok(window) = window::parse(text, now, Calendar::utc()) {
        assert!(window.start() < window.end());
    }
});

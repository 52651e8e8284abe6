//! Any bytes as an envelope. See `ironbark_fuzz::envelope`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ironbark_fuzz::envelope(data));

//! Any bytes as a message that somebody signed. See `ironbark_fuzz::verifier`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ironbark_fuzz::verifier(data));

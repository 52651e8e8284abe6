//! Any bytes as a message of a cluster's contracts. See `ironbark_fuzz::cc_messages`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ironbark_fuzz::cc_messages(data));

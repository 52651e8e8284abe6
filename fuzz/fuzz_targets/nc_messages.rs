//! Any bytes as a message of a node's contracts. See `ironbark_fuzz::nc_messages`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ironbark_fuzz::nc_messages(data));

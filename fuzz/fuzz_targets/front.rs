//! Any bytes as a request at the EC2 API's door. See `ironbark_fuzz::front`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ironbark_fuzz::front(data));

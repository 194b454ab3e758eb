//! The fuzz target `log_bytes`; what it does is in src/log_bytes.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synod_fuzz::log_bytes::run(data));

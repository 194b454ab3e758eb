//! The fuzz target `log_differential`; what it does is in src/log_differential.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synod_fuzz::log_differential::run(data));

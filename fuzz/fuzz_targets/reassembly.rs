//! The fuzz target `reassembly`; what it does is in src/reassembly.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synod_fuzz::reassembly::run(data));

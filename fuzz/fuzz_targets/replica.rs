//! The fuzz target `replica`; what it does is in src/replica/mod.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synod_fuzz::replica::run(data));

//! The fuzz target `resp`; what it does is in src/resp/mod.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synod_fuzz::resp::run(data));

//! The fuzz target `frame`; what it does is in src/frame.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synod_fuzz::frame::run(data));

//! What the fuzz targets do, each a function from bytes that panics on a finding.
//!
//! Nothing here needs a fuzzing engine: `fuzz_targets` hands these functions to one, and
//! `tests/fuzz_seeds.rs` calls them with every seed that is kept in `seeds`. So modules name one
//! another by `super`.

pub mod allocation;
pub mod choices;
pub mod frame;
pub mod frames;
pub mod log_bytes;
pub mod log_differential;
mod log_forgery;
mod log_kept;
#[path = "../../tests/log/model.rs"]
mod model;
pub mod reassembly;
pub mod replica;
pub mod resp;

//! The seeds of the fuzz targets, each as it is kept and with some changes: so what fuzzing found
//! once is looked at in every test run, without a fuzzing engine. `tools/fuzz.sh` runs the targets
//! themselves.
//!
//! `REWRITE=1 cargo test --test fuzz_seeds` writes anew those seeds that are made from golden files
//! or have a name that says what they do.

#[path = "fuzz/named.rs"]
mod named;
#[expect(unreachable_pub, reason = "the targets are a crate of their own as well")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::{Path, PathBuf};
use std::{env, fs};

use oorandom::Rand64;

/// How many bytes of changed seeds each target is given.
const CHANGED_BYTES: usize = 40_000;
/// How often a seed is changed at the most; and how many seeds a target has at the most.
const CHANGES_MAX: usize = 12;
const SEEDS_MAX: usize = 120;
/// The longest seed, in bytes.
const SEED_BYTES_MAX: usize = 1500;

fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

/// The seeds of a target, with their names, in the order of these.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory(target)).expect("each target has a directory of seeds");
    let mut seeds: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.expect("its entries are readable").path();
            let name = path.file_name().expect("they have names").to_string_lossy().into_owned();
            (name, fs::read(path).expect("so are its files"))
        })
        .collect();
    seeds.sort();
    seeds
}

/// Changes a few bytes: flips, sets, takes out, repeats, or joins with a part of another seed.
fn changed(seed: &[u8], other: &[u8], random: &mut Rand64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.rand_range(1..5) {
        let length = bytes.len() as u64;
        let at = if length == 0 { 0 } else { random.rand_range(0..length) as usize };
        let end = bytes.len().min(at + 1 + random.rand_range(0..8) as usize);
        match random.rand_range(0..6) {
            0 if length > 0 => bytes[at] ^= 1 << random.rand_range(0..8),
            1 if length > 0 => bytes[at] = random.rand_u64() as u8,
            2 if length > 0 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => {
                let from = random.rand_range(0..other.len() as u64 + 1) as usize;
                let part = other[from..].iter().take(32).copied().collect::<Vec<_>>();
                bytes.splice(at..at, part);
            }
            _ => bytes.insert(at, random.rand_u64() as u8),
        }
    }
    bytes
}

/// Runs a target on its seeds. Should one make it panic, the test's output names it before.
fn replay(target: &str, run: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(!seeds.is_empty() && seeds.len() <= SEEDS_MAX, "{} seeds", seeds.len());
    for (name, bytes) in &seeds {
        assert!(bytes.len() <= SEED_BYTES_MAX, "{name} has {} bytes", bytes.len());
        println!("{target}/{name}");
        run(bytes);
    }
    let mut random = Rand64::new(23);
    let mut left = CHANGED_BYTES;
    for change in 0..CHANGES_MAX {
        for (at, (name, bytes)) in seeds.iter().enumerate() {
            let other = &seeds[(at + 1 + change) % seeds.len()].1;
            let bytes = changed(bytes, other, &mut random);
            let Some(rest) = left.checked_sub(bytes.len().max(8)) else { return };
            left = rest;
            println!("{target}/{name} changed: {bytes:?}");
            run(&bytes);
        }
    }
}

#[test]
fn frame() {
    replay("frame", targets::frame::run);
}

#[test]
fn reassembly() {
    replay("reassembly", targets::reassembly::run);
}

#[test]
fn replica() {
    replay("replica", targets::replica::run);
}

#[test]
fn log_bytes() {
    replay("log_bytes", targets::log_bytes::run);
}

#[test]
fn log_differential() {
    replay("log_differential", targets::log_differential::run);
}

#[test]
fn resp() {
    replay("resp", targets::resp::run);
}

/// The targets that have seeds are those that `fuzz/Cargo.toml` lists, and those that are run here.
#[test]
fn every_target_has_seeds_that_are_replayed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = fs::read_to_string(root.join("fuzz/Cargo.toml")).expect("fuzz/Cargo.toml");
    let mut names: Vec<&str> = listed
        .split("[[bin]]\nname = \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    names.sort_unstable();
    let entries = fs::read_dir(root.join("fuzz/seeds")).expect("fuzz/seeds");
    let mut there: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    there.sort_unstable();
    assert_eq!(names, there);
    let here = include_str!("fuzz_seeds.rs");
    for name in names {
        assert!(here.contains(&format!("replay(\"{name}\", targets::{name}::run)")), "{name}");
        let bin = root.join("fuzz/fuzz_targets").join(format!("{name}.rs"));
        let text = fs::read_to_string(bin).expect("each target has its program");
        assert!(text.contains(&format!("synod_fuzz::{name}::run(data)")), "{name}");
    }
}

#[test]
fn the_named_seeds_are_what_their_names_say() {
    for (target, name, bytes) in named::seeds() {
        let path = directory(target).join(&name);
        if env::var_os("REWRITE").is_some() {
            fs::write(&path, &bytes).expect("the seed is written");
        }
        let kept = fs::read(&path).unwrap_or_default();
        assert!(kept == bytes, "{target}/{name} is not what it is made from");
    }
}

//! The built examples, for tests that run them as a person would.
//!
//! The binaries are those that `cargo test` builds beside the test. `cargo test --test` with a name
//! alone does not, so one is built here if it is missing or older than the source.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The example's binary: `target/<profile>/examples/name`, beside `target/<profile>/deps`.
pub(crate) fn example(name: &str) -> PathBuf {
    static LOOKED_AT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/profile/deps");
    let examples = profile.join("examples");
    let mut looked_at = LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner);
    if looked_at.insert(name.to_owned()) {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = newest(&package.join("src")).max(newest(&package.join("examples")));
        let built = fs::metadata(examples.join(name)).and_then(|file| file.modified());
        if built.ok() < source {
            let release = profile.file_name() == Some(OsStr::new("release"));
            let status = Command::new(env!("CARGO"))
                .args(["build", "--example", name])
                .args(release.then_some("--release"))
                .current_dir(package)
                .status()
                .expect("cargo runs");
            assert!(status.success(), "the example cannot be built");
        }
    }
    drop(looked_at);
    examples.join(name)
}

/// When the newest file below this directory was changed.
fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(directory).expect("the source is there");
    let changed = entries.map(|entry| {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() { newest(&path) } else { fs::metadata(&path).ok()?.modified().ok() }
    });
    changed.max().flatten()
}

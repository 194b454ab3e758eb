//! A scratch copy of the repository, in which bugs are planted and taken out again.
//!
//! It stays from run to run, with the target directory beside it, so that a build takes seconds:
//! only files that differ are ever written.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::patch::Patch;

/// A scratch copy.
pub struct Tree {
    root: PathBuf,
    path: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// Brings the scratch copy of this number up to the repository's work tree.
    pub fn make(root: &Path, job: u8) -> Result<Self, String> {
        let base = root.join("target/mutants").join(job.to_string());
        let tree = Self { root: root.into(), path: base.join("tree"), target: base.join("target") };
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .map_err(|error| format!("git ls-files: {error}"))?;
        if !listed.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr)));
        }
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let names: Vec<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
        for name in &names {
            tree.copy(Path::new(name))?;
        }
        tree.remove_others(&tree.path, &names)?;
        Ok(tree)
    }

    /// Removes what is in the copy and not in the repository any more.
    fn remove_others(&self, directory: &Path, names: &[&str]) -> Result<(), String> {
        let fail = |error| format!("{}: {error}", directory.display());
        for entry in fs::read_dir(directory).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.is_dir() {
                self.remove_others(&path, names)?;
            } else if let Ok(name) = path.strip_prefix(&self.path)
                && !names.iter().any(|known| Path::new(known) == name)
            {
                fs::remove_file(&path).map_err(fail)?;
            }
        }
        Ok(())
    }

    /// Copies one file if it differs. One that the repository lost meanwhile goes here, too.
    fn copy(&self, name: &Path) -> Result<(), String> {
        let fail = |error| format!("{}: {error}", name.display());
        let (from, to) = (self.root.join(name), self.path.join(name));
        if !from.exists() {
            return if to.exists() { fs::remove_file(to).map_err(fail) } else { Ok(()) };
        }
        let bytes = fs::read(&from).map_err(fail)?;
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        if let Some(directory) = to.parent() {
            fs::create_dir_all(directory).map_err(fail)?;
        }
        fs::write(&to, bytes).map_err(fail)
    }

    /// Plants the bug.
    pub fn apply(&self, patch: &Patch) -> Result<(), String> {
        // As if there were no repository around it: there `git apply` would take the paths to be
        // its own, find that they are not in this directory, and do nothing without a word.
        let done = self
            .command("git")
            .env("GIT_CEILING_DIRECTORIES", self.path.parent().unwrap_or(&self.path))
            .args(["apply", "--whitespace=nowarn"])
            .arg(&patch.path)
            .output()
            .map_err(|error| format!("git apply: {error}"))?;
        if !done.status.success() {
            let error = String::from_utf8_lossy(&done.stderr);
            return Err(format!("does not apply: {}", error.lines().next().unwrap_or_default()));
        }
        Ok(())
    }

    /// Takes the bug out again.
    pub fn restore(&self, patch: &Patch) -> Result<(), String> {
        patch.files.iter().try_for_each(|file| self.copy(file))
    }

    /// A command in this copy, behind everything else that the machine does.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nice");
        command
            .args(["-n", "10"])
            .arg(program)
            .current_dir(&self.path)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "false");
        command
    }

    /// Where the copy lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a check's output goes.
    pub fn output(&self) -> PathBuf {
        self.path.with_file_name("output")
    }
}

//! Raw results: a file of JSON, one line for each measurement, that only grows.
//!
//! The first line that a run appends says on what machine it ran. A measurement keeps the figure of
//! each run, in order, so that tables and charts can be made from the file alone.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What was measured of one peer in one situation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// `engine`, `durable` or `servers`.
    pub(crate) suite: String,
    /// Who: `synod`, `omnipaxos`, `floor`, ...
    pub(crate) peer: String,
    /// What, with its unit last: `cpu_nanos_per_command`, `commands_per_second`, ...
    pub(crate) metric: String,
    /// How many replicas the cluster had.
    pub(crate) replicas: u64,
    /// How many commands were under way at a time.
    pub(crate) in_flight: u64,
    /// The length of a command.
    pub(crate) value_bytes: u64,
    /// How many commands each run proposed.
    pub(crate) commands: u64,
    /// The figure of each run.
    pub(crate) runs: Vec<f64>,
}

/// What the figures hang on beside the peers, and when they were measured.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) cpus: u64,
    pub(crate) model: String,
    pub(crate) date: String,
    pub(crate) rustc: String,
    pub(crate) commit: String,
}

/// Where results are appended, if anywhere.
pub(crate) struct Results {
    path: Option<PathBuf>,
}

impl Results {
    /// Appends to this file what is on the machine now; without a file nothing is kept.
    ///
    /// # Errors
    ///
    /// Says what hinders writing there.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, String> {
        let results = Self { path: path.map(Path::to_owned) };
        results.line(&machine().to_string())?;
        Ok(results)
    }

    /// Appends one measurement.
    ///
    /// # Errors
    ///
    /// Says what hinders writing there.
    pub(crate) fn append(&self, measurement: &Measurement) -> Result<(), String> {
        self.line(&serde_json::to_string(measurement).map_err(|e| e.to_string())?)
    }

    fn line(&self, line: &str) -> Result<(), String> {
        let Some(path) = &self.path else { return Ok(()) };
        let file = OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        written.map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// All measurements of these files, in order.
///
/// # Errors
///
/// Says which line of which file is none.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Measurement>, String> {
    Ok(lines(paths)?.0)
}

/// The machines of these files, in order: one for each time that something was measured.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn machines(paths: &[PathBuf]) -> Result<Vec<Machine>, String> {
    Ok(lines(paths)?.1)
}

/// What lines tell.
type Lines = (Vec<Measurement>, Vec<Machine>);

fn lines(paths: &[PathBuf]) -> Result<Lines, String> {
    let mut all = Lines::default();
    for path in paths {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let found = parse(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        all.0.extend(found.0);
        all.1.extend(found.1);
    }
    Ok(all)
}

fn parse(text: &str) -> Result<Lines, String> {
    let (mut measurements, mut machines) = Lines::default();
    for (i, line) in text.lines().enumerate() {
        let wrong = |e: &dyn std::fmt::Display| format!("line {}: {e}", i + 1);
        let value: serde_json::Value = serde_json::from_str(line).map_err(|e| wrong(&e))?;
        if value["suite"] == "machine" {
            machines.push(serde_json::from_value(value).map_err(|e| wrong(&e))?);
            continue;
        }
        let it: Measurement = serde_json::from_value(value).map_err(|e| wrong(&e))?;
        if it.runs.is_empty() || it.runs.iter().any(|figure| !figure.is_finite()) {
            return Err(wrong(&"no figures"));
        }
        measurements.push(it);
    }
    Ok((measurements, machines))
}

fn machine() -> serde_json::Value {
    let first = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
    };
    let information = first("/proc/cpuinfo");
    let model = information.lines().find_map(|line| line.strip_prefix("model name"));
    json!({
        "suite": "machine",
        "kernel": first("/proc/sys/kernel/osrelease"),
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "model": model.unwrap_or_default().trim_start_matches(['\t', ' ', ':']),
        "date": Timestamp::now().to_string(),
        "rustc": said("rustc", &["--version"]),
        "commit": said("git", &["describe", "--always", "--dirty"]),
    })
}

#[cfg(test)]
mod tests;

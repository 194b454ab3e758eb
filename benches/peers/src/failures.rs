//! Peers that failed while others are still measured: each is named when it does, and left out from
//! then on.

use std::fmt::Display;

/// Who failed.
#[derive(Default)]
pub(crate) struct Failures(Vec<String>);

impl Failures {
    /// Says so, and remembers it.
    pub(crate) fn note(&mut self, who: &str, why: impl Display) {
        eprintln!("peers: {who} failed, the others go on: {why}");
        self.0.push(who.to_owned());
    }

    /// Whether this one has failed before.
    pub(crate) fn has(&self, who: &str) -> bool {
        self.0.iter().any(|it| it == who)
    }

    /// The end of a suite.
    ///
    /// # Errors
    ///
    /// Names all who failed.
    pub(crate) fn done(self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("failed: {}", self.0.join(", "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_is_known_and_named_at_the_end() {
        assert_eq!(Failures::default().done(), Ok(()));
        let mut failures = Failures::default();
        failures.note("raft", "no disk");
        assert!(failures.has("raft") && !failures.has("raft-async"));
        failures.note("etcd", "no port");
        assert_eq!(failures.done(), Err("failed: raft, etcd".into()));
    }
}

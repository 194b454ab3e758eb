//! What the system says about this process's memory.

use std::fs;

/// Bytes that are in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resident {
    /// The process's own.
    pub(crate) anonymous: u64,
    /// Pages of mapped files: of the program, and of log segments. The system takes these back when
    /// it needs the memory.
    pub(crate) files: u64,
    /// The most that both together ever were.
    pub(crate) peak: u64,
}

/// Reads `/proc/self/status`.
pub(crate) fn resident() -> Result<Resident, String> {
    let text = fs::read_to_string("/proc/self/status");
    parse(&text.map_err(|error| format!("/proc/self/status: {error}"))?)
}

fn parse(text: &str) -> Result<Resident, String> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.map(|kibibytes| kibibytes << 10).ok_or(format!("no {name} in /proc/self/status"))
    };
    Ok(Resident {
        anonymous: bytes("RssAnon")?,
        files: bytes("RssFile")? + bytes("RssShmem")?,
        peak: bytes("VmHWM")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_system_are_read() {
        let text = "VmHWM:\t    300 kB\nRssAnon:\t  100 kB\nRssFile:\t   7 kB\nRssShmem:\t 1 kB\n";
        let resident = Resident { anonymous: 102_400, files: 8192, peak: 307_200 };
        assert_eq!(parse(text), Ok(resident));
        let error = parse(&text.replace("RssAnon", "RssOther")).expect_err("a line is gone");
        assert_eq!(error, "no RssAnon in /proc/self/status");
    }
}

//! The input: where its lines come from, and what is known of them before the start.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The longest line, in bytes, its newline not counted.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// How many lines the default input has.
const DEFAULT_LINES: usize = 100_000;

const README: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));

/// Why there is no input.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The copy of what cannot be read twice cannot be written or read.
    #[error("cannot spool the input: {0}")]
    Spool(io::Error),
    /// A line is too long.
    #[error("line {number} of the input is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong {
        /// Its number, from 1.
        number: u64,
    },
}

/// An input that was read through once, and can be read again.
pub(crate) struct Input {
    file: File,
    /// How many lines it has; the last one may lack its newline.
    pub(crate) lines: u64,
    /// How many bytes.
    pub(crate) bytes: u64,
    /// The SHA-256 of its bytes.
    pub(crate) sha256: [u8; 32],
}

impl Input {
    /// Opens the input that `--input` names. What cannot be read twice is copied first, into a file
    /// without a name in `spool`, which vanishes with the process.
    pub(crate) fn open(path: Option<&Path>, spool: &Path) -> Result<Self, InputError> {
        let in_spool = |copy: &dyn Fn(&mut File) -> io::Result<()>| -> io::Result<File> {
            let mut file = tempfile::tempfile_in(spool)?;
            copy(&mut file)?;
            Ok(file)
        };
        let file = match path {
            None => in_spool(&write_default).map_err(InputError::Spool)?,
            Some(path) if path == Path::new("-") => {
                in_spool(&|file| io::copy(&mut io::stdin().lock(), file).map(drop))
                    .map_err(InputError::Spool)?
            }
            Some(path) => {
                let refuse = |error| InputError::File { path: path.to_owned(), error };
                let file = File::open(path).map_err(refuse)?;
                if file.metadata().map_err(refuse)?.is_file() {
                    file
                } else {
                    in_spool(&|spooled| io::copy(&mut &file, spooled).map(drop)).map_err(refuse)?
                }
            }
        };
        let path = path.unwrap_or(Path::new("the spooled input"));
        Self::survey(file).map_err(|error| match error {
            LineError::TooLong { number } => InputError::LineTooLong { number },
            LineError::Io(error) => InputError::File { path: path.to_owned(), error },
        })
    }

    /// Counts and digests what the file holds.
    fn survey(file: File) -> Result<Self, LineError> {
        let mut input = Self { file, lines: 0, bytes: 0, sha256: [0; 32] };
        let mut digest = Sha256::new();
        let mut lines = input.read()?;
        let mut line = Vec::new();
        while lines.read_into(&mut line)? {
            digest.update(&line);
            input.lines += 1;
            input.bytes += line.len() as u64;
            line.clear();
        }
        input.sha256 = digest.finalize().into();
        Ok(input)
    }

    /// Reads the lines from the first one on. One reader at a time: they share one file.
    pub(crate) fn read(&self) -> io::Result<Lines<BufReader<File>>> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(Lines::new(BufReader::with_capacity(256 << 10, file)))
    }
}

/// The README's text, again and again.
fn write_default(file: &mut File) -> io::Result<()> {
    let mut to = io::BufWriter::new(file);
    let lines: Vec<&[u8]> = README.split_inclusive(|byte| *byte == b'\n').collect();
    for line in lines.iter().cycle().take(DEFAULT_LINES) {
        to.write_all(line)?;
        if !line.ends_with(b"\n") {
            to.write_all(b"\n")?;
        }
    }
    to.flush()
}

/// Why there is no next line.
#[derive(Debug, Error)]
pub(crate) enum LineError {
    /// The line is longer than [`LINE_BYTES_MAX`].
    #[error("line {number} is longer than {LINE_BYTES_MAX} bytes")]
    TooLong {
        /// Its number, from 1.
        number: u64,
    },
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads lines of any bytes, each with its newline, in bounded memory.
pub(crate) struct Lines<R> {
    from: R,
    lines: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, lines: 0 }
    }

    /// Appends the next line to `buffer`; false at the end.
    pub(crate) fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<bool, LineError> {
        let start = buffer.len();
        // One byte more than a line may have tells a line that is too long from one that fits.
        let mut bounded = (&mut self.from).take(LINE_BYTES_MAX as u64 + 1);
        let bytes = bounded.read_until(b'\n', buffer)?;
        if bytes == 0 {
            return Ok(false);
        }
        self.lines += 1;
        if bytes > LINE_BYTES_MAX && buffer[start..].last() != Some(&b'\n') {
            return Err(LineError::TooLong { number: self.lines });
        }
        Ok(true)
    }
}

//! What the parent and a replica's process say to each other over the replica's standard input and
//! output: frames of a length (four bytes, little-endian) and a postcard body.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// The longest frame: a line of 1 MiB in a frame of its own fits with room to spare.
const FRAME_BYTES_MAX: usize = 4 << 20;

/// What the parent tells a replica.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request<'a> {
    /// Propose these lines, one command each.
    Lines {
        /// Counts the times that the parent started again from the first unacknowledged line.
        attempt: u64,
        /// The number of the first of the lines, from 0.
        first: u64,
        /// Each line's length in bytes.
        lengths: Vec<u32>,
        /// The lines' bytes, one after the other.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Tell the digest of what was applied.
    Digest,
}

/// What a replica tells the parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// How things stand; sent when something of it has changed.
    Status(Standing),
    /// Every line before this number is applied here.
    Taken {
        /// The number, from 0, of the first line that is not known to be applied.
        lines: u64,
    },
    /// A line of this attempt was not taken, and all the attempt's others have met their fate too:
    /// start again.
    Broken {
        /// The attempt.
        attempt: u64,
        /// Why, for people.
        why: String,
    },
    /// The answer to [`Request::Digest`].
    Digest(Summary),
}

/// How things stand at a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The round of the ballot at which this replica leads, if it does.
    pub(crate) leads: Option<u64>,
    /// How many lines it has applied.
    pub(crate) lines: u64,
}

/// What a replica has at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// How many lines it has applied.
    pub(crate) lines: u64,
    /// The SHA-256 of their bytes, in the order in which they were applied.
    pub(crate) sha256: [u8; 32],
    /// How many bytes of records its log holds.
    pub(crate) log_bytes: u64,
}

/// The frame of a message.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let bytes = frame.len() - 4;
    if bytes > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {bytes} bytes is too long")));
    }
    let length = u32::try_from(bytes).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Writes a message, and flushes.
pub(crate) fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(message)?)?;
    to.flush()
}

/// Reads the body of the next frame into `buffer`; false at the end of the stream, between frames.
pub(crate) fn read(from: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    let mut have = 0;
    while have < length.len() {
        match from.read(&mut length[have..]) {
            Ok(0) if have == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => have += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let bytes = u32::from_le_bytes(length) as usize;
    if bytes > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {bytes} bytes is too long")));
    }
    buffer.resize(bytes, 0);
    from.read_exact(buffer)?;
    Ok(true)
}

/// The message in a frame's body.
pub(crate) fn decode<'a, M: Deserialize<'a>>(body: &'a [u8]) -> io::Result<M> {
    let (message, rest) = postcard::take_from_bytes(body).map_err(io::Error::other)?;
    if rest.is_empty() { Ok(message) } else { Err(io::Error::other("bytes behind a message")) }
}

//! What a slot holds: a batch of commands, or nothing.
//!
//! A batch is one contiguous buffer, made once: by the leader, or by whoever took its commands in
//! and forwards them, unless the leader joins several to one. It is checksummed once, sliced from
//! the received frame and stored as it lies. All integers are little-endian:
//!
//! ```text
//! runs: u32 | commands: u32
//! runs times:     replica: u32 | incarnation: u64 | sequence: u64 | count: u32
//! the commands' bytes, one after the other
//! commands times: length: u32
//! ```
//!
//! Lengths come last, since their number is known last: a batch of one run, as most are, is written
//! where it stays.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::Hash;
use core::ops::Range;

use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::membership::{Incarnation, ReplicaId};
use crate::slot::Slot;

use self::expected::Expected;

mod expected;
#[cfg(test)]
mod tests;

/// The most bytes that an entry may have, a constant of the cluster: an entry that one replica may
/// propose and another refuses would stall its slot for ever.
pub const ENTRY_BYTES_MAX: usize = 4 << 20;

const HEAD_BYTES: usize = 8;
const RUN_BYTES: usize = 24;
const LENGTH_BYTES: usize = 4;

/// What an entry with one command needs beside the command's own bytes.
pub const COMMAND_OVERHEAD_BYTES: usize = HEAD_BYTES + RUN_BYTES + LENGTH_BYTES;

/// Names a command for good: the replica that took it in, in which of its starts, and a count.
///
/// ```
/// use synod::membership::Incarnation;
/// use synod::{CommandId, ReplicaId};
///
/// let incarnation = Incarnation::default().next(0);
/// let first = CommandId { replica: ReplicaId(1), incarnation, sequence: 0 };
/// assert!(first < CommandId { sequence: 1, ..first });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId {
    /// The replica that took the command in.
    pub replica: ReplicaId,
    /// The start of that replica in which it did.
    pub incarnation: Incarnation,
    /// Counts the commands of that start, from 0.
    pub sequence: u64,
}

/// Where a command ended up in the log: its slot, and its place within that slot's batch.
///
/// ```
/// use synod::{Place, Slot};
///
/// let place = Place { slot: Slot(812), index: 3 };
/// assert_eq!(place.to_string(), "s812[3]");
/// assert!(place < Place { slot: Slot(813), index: 0 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The slot.
    pub slot: Slot,
    /// The index within the slot's batch, from 0.
    pub index: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.slot, self.index)
    }
}

/// Commands that one replica took in one after the other: `first`, and the `count - 1` after it.
///
/// ```
/// use synod::entry::{BatchBuilder, Origin};
/// use synod::membership::Incarnation;
/// use synod::{CommandId, ReplicaId};
///
/// let incarnation = Incarnation::default().next(0);
/// let id = |sequence| CommandId { replica: ReplicaId(1), incarnation, sequence };
/// let mut builder = BatchBuilder::default();
/// builder.push(id(7), b"put a");
/// builder.push(id(8), b"put b");
/// let batch = builder.build().expect("it has commands");
/// assert!(batch.origins().eq([Origin { first: id(7), count: 2 }]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The first command's name.
    pub first: CommandId,
    /// How many commands, at least 1.
    pub count: u32,
}

impl Origin {
    /// Whether the command is the one after these.
    #[inline]
    fn is_followed_by(&self, id: CommandId) -> bool {
        let sequence = self.first.sequence + u64::from(self.count);
        id == CommandId { sequence, ..self.first }
    }
}

/// The content of a slot.
///
/// ```
/// use bytes::Bytes;
/// use synod::Entry;
///
/// assert!(Entry::Noop.is_empty());
/// assert_eq!(Entry::from_payload(Bytes::new()), Ok(Entry::Noop));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Nothing: fills a hole that a deposed leader left.
    Noop,
    /// Commands, in the order in which they are applied.
    Batch(Batch),
}

impl Entry {
    /// How many bytes the entry has on the wire and on disk.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payload().len()
    }

    /// Whether the entry has no bytes: a Noop.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Noop)
    }

    /// The entry's bytes: a batch's buffer; none for a Noop.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Noop => &[],
            Self::Batch(batch) => &batch.bytes,
        }
    }

    /// The entry with these bytes: the reverse of [`Entry::payload`].
    ///
    /// # Errors
    /// If they are no batch.
    pub fn from_payload(bytes: Bytes) -> Result<Self, BatchError> {
        if bytes.is_empty() { Ok(Self::Noop) } else { Batch::parse(bytes).map(Self::Batch) }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noop => write!(f, "noop"),
            Self::Batch(batch) => write!(f, "batch of {} in {}B", batch.count(), batch.bytes.len()),
        }
    }
}

/// Why bytes are no batch.
///
/// ```
/// use bytes::Bytes;
/// use synod::entry::{Batch, BatchError};
///
/// let error = Batch::parse(Bytes::from_static(b"???")).unwrap_err();
/// assert_eq!(error, BatchError::Malformed { bytes: 3, what: "shorter than its head" });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Longer than [`ENTRY_BYTES_MAX`].
    #[error("a batch of {bytes} bytes is longer than {ENTRY_BYTES_MAX}")]
    TooLong {
        /// The length.
        bytes: usize,
    },
    /// Its own counts and lengths do not add up to its bytes.
    #[error("a batch of {bytes} bytes does not add up: {what}")]
    Malformed {
        /// The length.
        bytes: usize,
        /// What does not add up.
        what: &'static str,
    },
}

/// At least one command, in one buffer (see the layout above).
///
/// ```
/// use synod::entry::{Batch, BatchBuilder};
/// use synod::membership::Incarnation;
/// use synod::{CommandId, ReplicaId};
///
/// let incarnation = Incarnation::default().next(0);
/// let id = CommandId { replica: ReplicaId(1), incarnation, sequence: 0 };
/// let mut builder = BatchBuilder::default();
/// builder.push(id, b"put a");
/// let batch = builder.build().expect("it has a command");
/// assert_eq!(Batch::parse(batch.bytes().clone()), Ok(batch.clone()));
/// assert_eq!(batch.taken_in_by(ReplicaId(1), incarnation), Some(0..1));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    /// Shared as one word: entries are kept, sent and handed out at many places, and copied and
    /// moved for each of them.
    bytes: Arc<Bytes>,
}

impl Batch {
    /// Takes the buffer as a batch, after a check of every count and length in it.
    ///
    /// # Errors
    /// If it is too long or does not add up.
    pub fn parse(bytes: Bytes) -> Result<Self, BatchError> {
        let malformed = |what| BatchError::Malformed { bytes: bytes.len(), what };
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(BatchError::TooLong { bytes: bytes.len() });
        }
        if bytes.len() < HEAD_BYTES {
            return Err(malformed("shorter than its head"));
        }
        let (runs, count) = (read_u32(&bytes, 0) as usize, read_u32(&bytes, 4) as usize);
        if runs == 0 || count == 0 || runs > count {
            return Err(malformed("the numbers of runs and commands"));
        }
        // Neither product nor sum overflows: both counts are below 2^32, and usize has 64 bits on
        // every platform that can hold them; elsewhere the checked forms refuse.
        let data_bytes = runs
            .checked_mul(RUN_BYTES)
            .zip(count.checked_mul(LENGTH_BYTES))
            .and_then(|(r, l)| r.checked_add(l)?.checked_add(HEAD_BYTES))
            .and_then(|others| bytes.len().checked_sub(others))
            .ok_or_else(|| malformed("runs and lengths reach beyond the end"))?;
        let batch = Self { bytes: Arc::new(bytes.clone()) };
        let mut named = 0u64;
        for origin in batch.origins() {
            named += u64::from(origin.count);
            if origin.count == 0
                || origin.first.sequence.checked_add(u64::from(origin.count)).is_none()
            {
                return Err(malformed("a run is empty or overflows"));
            }
        }
        let lengths = batch.commands().lengths.iter();
        let lengths: u64 = lengths.map(|length| u64::from(u32::from_le_bytes(*length))).sum();
        if named != count as u64 {
            return Err(malformed("runs name another number of commands"));
        }
        if lengths != data_bytes as u64 {
            return Err(malformed("lengths add up to another number of bytes"));
        }
        Ok(batch)
    }

    /// How many commands the batch has.
    #[inline]
    #[must_use]
    pub fn count(&self) -> u32 {
        read_u32(&self.bytes, 4)
    }

    /// The whole buffer.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Who took the commands in, as runs in the order of the commands.
    pub fn origins(&self) -> impl Iterator<Item = Origin> + '_ {
        let runs = read_u32(&self.bytes, 0) as usize;
        (0..runs).map(|i| {
            let at = HEAD_BYTES + i * RUN_BYTES;
            Origin {
                first: CommandId {
                    replica: ReplicaId(read_u32(&self.bytes, at)),
                    incarnation: Incarnation(read_u64(&self.bytes, at + 4)),
                    sequence: read_u64(&self.bytes, at + 12),
                },
                count: read_u32(&self.bytes, at + 20),
            }
        })
    }

    /// The numbers from the first to the last, if that start of that replica took in every command
    /// and their numbers rise.
    #[must_use]
    pub fn taken_in_by(&self, replica: ReplicaId, incarnation: Incarnation) -> Option<Range<u64>> {
        let mut numbers: Option<Range<u64>> = None;
        for Origin { first, count } in self.origins() {
            let start = numbers.as_ref().map_or(first.sequence, |numbers| numbers.start);
            let rises = numbers.is_none_or(|numbers| numbers.end <= first.sequence);
            if !rises || (first.replica, first.incarnation) != (replica, incarnation) {
                return None;
            }
            numbers = Some(start..first.sequence.checked_add(count.into())?);
        }
        numbers
    }

    /// The commands, in order.
    #[inline]
    #[must_use]
    pub fn commands(&self) -> Commands<'_> {
        let from = HEAD_BYTES + read_u32(&self.bytes, 0) as usize * RUN_BYTES;
        let to = self.bytes.len() - self.count() as usize * LENGTH_BYTES;
        let (lengths, _) = self.bytes[to..].as_chunks();
        Commands { lengths, rest: &self.bytes[from..to] }
    }

    /// How many bytes the commands have together.
    pub(crate) fn commands_len(&self) -> usize {
        self.commands().rest.len()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for command in self.commands() {
            list.entry(&format_args!("\"{}\"", command.escape_ascii()));
        }
        list.finish()
    }
}

/// The commands of a batch, as slices of its one buffer.
///
/// ```
/// use synod::entry::{BatchBuilder, Commands};
/// use synod::membership::Incarnation;
/// use synod::{CommandId, ReplicaId};
///
/// fn total(commands: Commands<'_>) -> usize {
///     commands.map(<[u8]>::len).sum()
/// }
///
/// let incarnation = Incarnation::default().next(0);
/// let id = CommandId { replica: ReplicaId(1), incarnation, sequence: 0 };
/// let mut builder = BatchBuilder::default();
/// builder.push(id, b"put a");
/// builder.push(CommandId { sequence: 1, ..id }, b"drop");
/// let batch = builder.build().expect("it has commands");
/// assert_eq!((batch.commands().len(), total(batch.commands())), (2, 9));
/// ```
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    lengths: &'a [[u8; LENGTH_BYTES]],
    rest: &'a [u8],
}

impl<'a> Iterator for Commands<'a> {
    type Item = &'a [u8];

    // In the host's own loop over what is chosen, once for each command and replica.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, lengths) = self.lengths.split_first()?;
        let (command, rest) = self.rest.split_at(u32::from_le_bytes(*length) as usize);
        (self.lengths, self.rest) = (lengths, rest);
        Some(command)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.lengths.len(), Some(self.lengths.len()))
    }
}

impl ExactSizeIterator for Commands<'_> {}

/// Commands that were taken out of a [`BatchBuilder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Their numbers.
    pub(crate) sequences: Range<u64>,
    /// How many they are.
    pub(crate) count: usize,
    /// How many bytes they have together.
    pub(crate) bytes: usize,
}

/// Gathers commands into a batch.
///
/// ```
/// use synod::entry::BatchBuilder;
/// use synod::membership::Incarnation;
/// use synod::{CommandId, ReplicaId};
///
/// let mut builder = BatchBuilder::default();
/// let incarnation = Incarnation::default().next(0);
/// let id = CommandId { replica: ReplicaId(1), incarnation, sequence: 0 };
/// let expected = builder.len_with(5);
/// builder.push(id, b"put a");
/// assert_eq!(builder.len(), expected);
/// let batch = builder.build().expect("it has a command");
/// assert_eq!((batch.bytes().len(), batch.count()), (expected, 1));
/// assert_eq!(builder.build(), None, "it is empty again");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BatchBuilder {
    /// All runs but the last one: mostly none.
    earlier: Vec<Origin>,
    last: Option<Origin>,
    lengths: Vec<[u8; LENGTH_BYTES]>,
    /// The commands' bytes, behind room for the head and one run.
    data: Vec<u8>,
    /// The bytes of all these, as they will lie in the batch.
    bytes: usize,
    expected: Expected,
}

/// The room for a head and one run.
const FRONT_BYTES: usize = HEAD_BYTES + RUN_BYTES;

impl BatchBuilder {
    /// Adds a command.
    ///
    /// # Panics
    /// If the batch would grow beyond [`ENTRY_BYTES_MAX`]; [`BatchBuilder::len_with`] tells.
    #[inline]
    pub fn push(&mut self, id: CommandId, command: &[u8]) {
        assert!(self.len_with(command.len()) <= ENTRY_BYTES_MAX, "a batch beyond the entry limit");
        match &mut self.last {
            Some(last) if last.is_followed_by(id) => last.count += 1,
            _ => self.begin_run(id),
        }
        self.bytes += LENGTH_BYTES + command.len();
        // The assertion above bounds the length far below u32::MAX.
        self.lengths.push((command.len() as u32).to_le_bytes());
        self.data.extend_from_slice(command);
    }

    #[cold]
    fn begin_run(&mut self, first: CommandId) {
        self.begin();
        self.earlier.extend(self.last.replace(Origin { first, count: 1 }));
        self.bytes += RUN_BYTES;
    }

    /// Adds the commands of a whole batch.
    ///
    /// # Panics
    /// If the batch would grow beyond [`ENTRY_BYTES_MAX`]; the sum of both lengths tells.
    pub fn append(&mut self, batch: &Batch) {
        let whole = self.len() + batch.bytes.len();
        assert!(whole <= ENTRY_BYTES_MAX, "a batch beyond the entry limit");
        self.begin();
        for origin in batch.origins() {
            self.earlier.extend(self.last.replace(origin));
        }
        let commands = batch.commands();
        self.lengths.extend_from_slice(commands.lengths);
        self.data.extend_from_slice(commands.rest);
        self.bytes += batch.bytes.len() - HEAD_BYTES;
    }

    /// Takes the first run of commands out, as far as their numbers are below `end`. `None` if the
    /// first number is not, or there is none.
    pub(crate) fn drop_first_below(&mut self, end: u64) -> Option<Dropped> {
        let run = self.earlier.first_mut().or(self.last.as_mut())?;
        let first = run.first.sequence;
        let below = end.saturating_sub(first).min(run.count.into());
        if below == 0 {
            return None;
        }
        // At most the run's count, which has 32 bits.
        let count = below as usize;
        let lengths = self.lengths.drain(..count);
        let bytes = lengths.map(|length| u32::from_le_bytes(length) as usize).sum();
        run.first.sequence += below;
        run.count -= below as u32;
        self.bytes -= count * LENGTH_BYTES + bytes;
        if run.count == 0 {
            if self.earlier.is_empty() {
                self.last = None;
            } else {
                self.earlier.remove(0);
            }
            self.bytes -= RUN_BYTES;
        }
        self.data.drain(FRONT_BYTES..FRONT_BYTES + bytes);
        Some(Dropped { sequences: first..first + below, count, bytes })
    }

    /// How long the batch is, at the most.
    #[must_use]
    pub fn len(&self) -> usize {
        HEAD_BYTES + self.bytes
    }

    /// How long the batch would be with one more command of that many bytes, at the most.
    #[must_use]
    pub fn len_with(&self, command_bytes: usize) -> usize {
        (self.bytes + COMMAND_OVERHEAD_BYTES).saturating_add(command_bytes)
    }

    /// Whether no command was added yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Makes room for the head, before the first command.
    fn begin(&mut self) {
        if self.data.is_empty() {
            if self.data.capacity() < self.expected.bytes() {
                self.data = Vec::with_capacity(self.expected.bytes());
            }
            self.data.resize(FRONT_BYTES, 0);
        }
    }

    /// The batch of what was added, leaving the builder empty; `None` if that is nothing.
    pub fn build(&mut self) -> Option<Batch> {
        let last = self.last.take()?;
        let runs = self.earlier.len() + 1;
        let front = HEAD_BYTES + runs * RUN_BYTES;
        let mut bytes = if front == FRONT_BYTES {
            core::mem::take(&mut self.data)
        } else {
            let mut bytes = Vec::with_capacity(self.len());
            bytes.resize(front, 0);
            bytes.extend_from_slice(&self.data[FRONT_BYTES..]);
            self.data.clear();
            bytes
        };
        let mut head = &mut bytes[..front];
        head.put_u32_le(runs as u32);
        head.put_u32_le(self.lengths.len() as u32);
        for origin in self.earlier.drain(..).chain([last]) {
            head.put_u32_le(origin.first.replica.0);
            head.put_u64_le(origin.first.incarnation.0);
            head.put_u64_le(origin.first.sequence);
            head.put_u32_le(origin.count);
        }
        bytes.extend_from_slice(self.lengths.as_flattened());
        self.lengths.clear();
        assert!(bytes.len() == self.len(), "a batch of {} bytes, not {}", bytes.len(), self.len());
        self.bytes = 0;
        self.expected.note(bytes.len());
        // What is kept for long has no more room than it needs.
        if bytes.capacity() / 4 > bytes.len() / 3 {
            bytes.shrink_to_fit();
        }
        Some(Batch { bytes: Arc::new(Bytes::from(bytes)) })
    }
}

#[inline]
fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let (head, _) = bytes[at..].split_first_chunk().expect("the layout was checked");
    u32::from_le_bytes(*head)
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let (head, _) = bytes[at..].split_first_chunk().expect("the layout was checked");
    u64::from_le_bytes(*head)
}

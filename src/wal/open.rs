//! Opening a log: recovery first, which changes nothing, then the new start is made durable.
//!
//! The steps are ordered so that a crash after any of them leaves a log that opens again with
//! nothing lost: the new incarnation, the removal of files that hold nothing, the opening segments
//! with a copy of every record that was not proven durable, and last the superblock that lists
//! them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem;
use std::io;

use crate::ballot::Ballot;
use crate::membership::{ClusterId, DiskId, Incarnation, Peer, ReplicaId};
use crate::record::{Lsn, Recovered};
use crate::wal::chain::{Chain, read_superblock};
use crate::wal::error::WalError;
use crate::wal::frame::{Item, Name, SECTOR, body_bytes};
use crate::wal::group::Group;
use crate::wal::medium::{Medium, is_full};
use crate::wal::recover::{Again, Recovery, leftovers, recover};
use crate::wal::segment::{self, DATA, Header, Segment};
use crate::wal::superblock::{self, Keeper, Superblock};
use crate::wal::sync::{Facts, Shared, io_error, space_error};
use crate::wal::{PAGE, SEGMENT_BYTES_MIN, Tail, Wal, WalOptions};

/// A file that holds nothing but space.
const RESERVE: &str = "reserve";

/// How long the reserve is, and the segment that it may become.
fn reserve_bytes(segment_bytes: u32) -> u32 {
    (segment_bytes / 16 / PAGE * PAGE).max(SEGMENT_BYTES_MIN)
}

/// Sets space aside for a start on a full disk. That there is none for it now is no error.
fn make_reserve(medium: &dyn Medium, segment_bytes: u32) -> io::Result<()> {
    if medium.names()?.iter().any(|name| name == RESERVE) {
        return Ok(());
    }
    match medium.create(RESERVE, reserve_bytes(segment_bytes).into()) {
        Err(error) if !is_full(&error) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

impl Wal {
    /// Opens the log on this medium, or makes it where there is none: reads what it holds, begins a
    /// new incarnation, and makes both durable before it returns.
    ///
    /// # Errors
    /// If the disk fails or is full, if what lies there is another's, newer, or damaged in a way
    /// that may hide a promise or an acceptance ([`WalError::Refused`]), or if the options
    /// contradict each other.
    pub fn open(
        medium: Box<dyn Medium>,
        cluster: ClusterId,
        replica: ReplicaId,
        options: WalOptions,
    ) -> Result<(Self, Recovered), WalError> {
        options.check()?;
        let place = medium.place();
        let names = medium.names().map_err(|error| io_error(&place, "list the files", error))?;
        let owner = Some((cluster, replica));
        let (block, one_rotten) = match read_superblock(&*medium, &names, owner)?.taken? {
            Some(found) => found,
            None => (create_superblock(&*medium, cluster, replica)?, false),
        };
        let file = medium.open_writable(superblock::NAME);
        let file = file.map_err(|error| io_error(&place, "open the superblock", error))?;
        let shared = Shared::new(medium, Keeper::new(file, block.clone()));
        let chain = Chain::find(&*shared.medium, &names, &block, one_rotten)?;
        let mut recovery = recover(&*shared.medium, &block, &chain)?;
        let newest = chain.links.iter().map(|link| link.header.incarnation).max();
        let mut random = [0; 2];
        let drawn = shared.medium.random(&mut random);
        drawn.map_err(|error| io_error(&place, "draw random bytes", error))?;
        let latest = newest.unwrap_or_default().max(block.incarnation);
        let incarnation = latest.next(u16::from_le_bytes(random));
        let facts = Facts {
            promised: recovery.replay.promised(),
            members: recovery.replay.members().cloned(),
            formed: recovery.replay.formed(),
        };
        // A name that is seen need not be on the platter yet, and what it proves is about to be
        // written to the superblock.
        let sync_names = || {
            let synced = shared.medium.sync_names();
            synced.map_err(|error| io_error(&place, "sync the directory", error))
        };
        sync_names()?;
        begin(&shared, incarnation, &facts, &recovery)?;
        for file in leftovers(&names, recovery.kept) {
            match shared.medium.remove(file) {
                // The superblock's own temporary file was made anew, and named.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error(&place, "remove a file that is left over", error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        sync_names()?;
        let header = Header {
            cluster,
            disk: block.disk,
            replica,
            number: recovery.kept + 1,
            incarnation,
            salt: 0,
            bytes: options.segment_bytes,
            first: recovery.settled.next(),
            sealed: recovery.last,
            durable: Lsn::ZERO,
        };
        let tail = Opening { shared: &shared, recovery: &mut recovery, promised: facts.promised }
            .run(header)?;
        make_reserve(&*shared.medium, options.segment_bytes)
            .map_err(|error| io_error(&place, "make the reserve", error))?;
        let me = Peer { replica, disk: block.disk, incarnation };
        let recovered = mem::take(&mut recovery.replay).finish(cluster, me);
        // What was accepted in a slot whose chosen entry is lost must not be served as chosen.
        for slots in &recovered.holes {
            recovery.places.remove(*slots);
        }
        Ok((Self::assemble(Arc::new(shared), options, tail, facts, recovery), recovered))
    }
}

/// Makes a directory's superblock, and with it the name of its disk.
fn create_superblock(
    medium: &dyn Medium,
    cluster: ClusterId,
    replica: ReplicaId,
) -> Result<Superblock, WalError> {
    let place = medium.place();
    let create = || {
        let mut disk = DiskId::default();
        medium.random(&mut disk.0)?;
        let first = Superblock::new(cluster, replica, disk);
        Keeper::create(medium, &first)?;
        Ok(Superblock { sequence: first.sequence + 1, ..first })
    };
    create().map_err(|error| space_error(&place, "make the superblock", error))
}

/// Makes the new incarnation durable, and what recovery found out about the promise.
fn begin(
    shared: &Shared,
    incarnation: Incarnation,
    facts: &Facts,
    recovery: &Recovery,
) -> Result<(), WalError> {
    let mut keeper = shared.keeper();
    let mended = keeper.mend(&*shared.medium);
    mended.map_err(|error| space_error(&shared.place, "mend the superblock", error))?;
    let done = keeper.update(|block| {
        block.incarnation = incarnation;
        block.promised = block.promised.max(facts.promised);
        block.members.clone_from(&facts.members);
        block.formed |= facts.formed;
        block.last = recovery.kept;
        block.durable = recovery.proven;
    });
    done.map_err(|error| io_error(&shared.place, "write the superblock", error))
}

/// The making of the segments that begin a start.
struct Opening<'a> {
    shared: &'a Shared,
    recovery: &'a mut Recovery,
    promised: Ballot,
}

impl Opening<'_> {
    /// Makes as many segments as the copied records need, each durable before it has its name, and
    /// lists them. Returns the last, which takes the records to come.
    fn run(mut self, mut header: Header) -> Result<Tail, WalError> {
        let place = self.shared.place.clone();
        let full = |error| space_error(&place, "make a segment", error);
        let mut again = mem::take(&mut self.recovery.again).into_iter().peekable();
        loop {
            let temporary = self.shared.temporary_name(header.number);
            let segment = self.create(&mut header, &temporary).map_err(full)?;
            let mut tail = Tail::new(segment, DATA, header.bytes);
            while let Some(next) = again.next_if(|next| tail.fits(body_bytes(&next.item), 0)) {
                self.copy(&mut tail, &next);
            }
            let more = again.peek();
            if more.is_some() && tail.group.is_none() {
                let what = "are too small for a record that is in the log";
                return Err(WalError::Options { segment_bytes: header.bytes, what });
            }
            let first = more.map(|next| next.lsn);
            let durable = if first.is_none() { self.recovery.last } else { Lsn::ZERO };
            self.publish(&mut tail, &temporary, durable).map_err(full)?;
            self.recovery.salts.insert(header.number, header.salt);
            self.recovery.bytes += u64::from(header.bytes);
            let Some(first) = first else {
                let last = self.recovery.last;
                let done = self.shared.keeper().update(|block| {
                    block.last = header.number;
                    block.durable = last;
                });
                done.map_err(|error| io_error(&place, "write the superblock", error))?;
                return Ok(tail);
            };
            header = Header { number: header.number + 1, first, ..header };
        }
    }

    /// Makes a segment without a name. On a full disk the reserve gives way to a small one: a start
    /// must be possible there, and promises, if not entries.
    fn create(&self, header: &mut Header, temporary: &str) -> io::Result<Segment> {
        let medium = &*self.shared.medium;
        let file = match medium.create(temporary, header.bytes.into()) {
            Err(error) if is_full(&error) => {
                if medium.names()?.iter().any(|name| name == RESERVE) {
                    medium.remove(RESERVE)?;
                    medium.sync_names()?;
                }
                header.bytes = reserve_bytes(header.bytes);
                medium.create(temporary, header.bytes.into())?
            }
            made => made?,
        };
        header.salt = segment::random_salt(medium)?;
        Ok(Segment { header: header.clone(), file })
    }

    fn copy(&mut self, tail: &mut Tail, next: &Again) {
        let salt = tail.segment.header.salt();
        let group = tail.group.get_or_insert_with(|| Group::new(tail.data_at, salt, next.lsn));
        let offset = group.push(next.lsn, &next.item, next.chosen);
        let places = &mut self.recovery.places;
        match &next.item {
            Item::Record(record) => {
                let name = Name::of(record);
                if name.kind.has_entry() {
                    let body = body_bytes(&next.item) as u32;
                    places.insert(name.slot, name.kind, salt.segment, offset, body);
                }
            }
            Item::Lost(name) if name.kind.has_entry() => places.lose(name.slot),
            Item::Lost(_) => {}
        }
    }

    /// Writes the group, then the header, makes both durable and gives the file its name.
    fn publish(&mut self, tail: &mut Tail, temporary: &str, durable: Lsn) -> std::io::Result<()> {
        let medium = &*self.shared.medium;
        let group = tail.seal(self.recovery.proven, self.promised);
        let segment = Arc::get_mut(&mut tail.segment).expect("nobody else has a new segment");
        if let Some((group, index)) = group {
            debug_assert!((index as usize).is_multiple_of(SECTOR));
            segment.file.write_at(group.offset.into(), &group.data)?;
            segment.file.write_at(index.into(), &group.index)?;
        }
        segment.header.durable = durable;
        segment.write_header()?;
        segment.file.sync()?;
        segment.publish(medium, temporary)
    }
}

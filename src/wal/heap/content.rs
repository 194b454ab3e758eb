//! The bytes of a simulated file: as they are seen, and as they lie on the platter.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::ops::Range;

use oorandom::Rand64;

use crate::wal::frame::SECTOR;

type Sector = [u8; SECTOR];

#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) bytes: u64,
    /// As it is seen; sectors that are not here are zero.
    now: BTreeMap<u64, Box<Sector>>,
    /// What lies on the platter of sectors that wait for a sync.
    pub(super) waiting: BTreeMap<u64, Option<Box<Sector>>>,
    /// What lies on the platter of sectors that a failed sync has given up.
    pub(super) given_up: BTreeMap<u64, Option<Box<Sector>>>,
}

impl Content {
    pub(super) fn zeros(bytes: u64) -> Self {
        Self { bytes, ..Self::default() }
    }

    fn sector(&self, number: u64) -> Option<&Sector> {
        self.now.get(&number).map(|sector| &**sector)
    }

    pub(super) fn write(&mut self, offset: u64, mut bytes: &[u8]) {
        let mut at = offset;
        while !bytes.is_empty() {
            let (number, within) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let (part, rest) = bytes.split_at(bytes.len().min(SECTOR - within));
            if !self.waiting.contains_key(&number) {
                let old = match self.given_up.remove(&number) {
                    Some(old) => old,
                    None => self.now.get(&number).cloned(),
                };
                self.waiting.insert(number, old);
            }
            let sector = self.now.entry(number).or_insert_with(|| Box::new([0; SECTOR]));
            sector[within..within + part.len()].copy_from_slice(part);
            at += part.len() as u64;
            bytes = rest;
        }
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) {
        let (mut at, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let (number, within) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let length = rest.len().min(SECTOR - within);
            let (part, after) = rest.split_at_mut(length);
            match self.sector(number) {
                Some(sector) => part.copy_from_slice(&sector[within..within + length]),
                None => part.fill(0),
            }
            at += length as u64;
            rest = after;
        }
    }

    /// Changes bytes both as they are seen and on the platter. Only sectors that were ever written
    /// are looked at, unless `everywhere`.
    pub(super) fn spoil(
        &mut self,
        range: Range<u64>,
        everywhere: bool,
        change: impl Fn(&mut [u8]),
    ) {
        let sectors = range.start / SECTOR as u64..range.end.div_ceil(SECTOR as u64);
        if everywhere {
            for number in sectors.clone() {
                self.now.entry(number).or_insert_with(|| Box::new([0; SECTOR]));
            }
        }
        let within = |number: u64| {
            let start = number * SECTOR as u64;
            let from = range.start.saturating_sub(start).min(SECTOR as u64) as usize;
            from..range.end.saturating_sub(start).min(SECTOR as u64) as usize
        };
        for (number, sector) in self.now.range_mut(sectors.clone()) {
            change(&mut sector[within(*number)]);
        }
        for olds in [&mut self.waiting, &mut self.given_up] {
            for (number, old) in olds.range_mut(sectors.clone()) {
                let old = old.get_or_insert_with(|| Box::new([0; SECTOR]));
                change(&mut old[within(*number)]);
            }
        }
    }

    fn put_back(&mut self, number: u64, old: Option<Box<Sector>>) {
        match old {
            Some(old) => self.now.insert(number, old),
            None => self.now.remove(&number),
        };
    }

    pub(super) fn crash(&mut self, random: &mut Rand64, keep_of_8: u64) {
        for (number, old) in core::mem::take(&mut self.waiting) {
            if random.rand_range(0..8) >= keep_of_8 {
                self.put_back(number, old);
            }
        }
        for (number, old) in core::mem::take(&mut self.given_up) {
            self.put_back(number, old);
        }
    }
}

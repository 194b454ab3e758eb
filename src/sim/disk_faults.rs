//! How disks and directories go wrong.

use thiserror::Error;

use super::host::DiskKind;

/// The highest weight of a kind of fault.
const WEIGHT_MAX: u32 = 1000;
/// Nothing lasts longer than this, in microseconds.
const HOUR_MICROS: u64 = 3_600_000_000;
/// No disk is slower than the others by more.
const SLOW_TIMES_MAX: u64 = 1000;

/// How disks and directories go wrong, and how often. Times in microseconds. But for stalls and
/// slow disks it takes the real log: [`DiskKind::Wal`].
///
/// ```
/// use synod::sim::{DiskFaults, DiskKind};
///
/// let full = DiskFaults {
///     strike_every_micros: Some(500_000),
///     full: 1,
///     full_micros: 100_000,
///     ..DiskFaults::NONE
/// };
/// assert_eq!(full.clone().checked(DiskKind::Wal), Ok(full));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFaults {
    /// How often one of the kinds below strikes some host, if ever.
    pub strike_every_micros: Option<u64>,
    /// How likely it is, beside the other kinds, that a sync fails, with all that it was to write.
    pub sync_fails: u32,
    /// The same, that some call of the disk fails: to read, write, make or name a file.
    pub call_fails: u32,
    /// The same, that the disk is full for a while.
    pub full: u32,
    /// For how long a disk is full at the most.
    pub full_micros: u64,
    /// How likely it is that a disk stands still for a while: no sync ends.
    pub stalls: u32,
    /// For how long a disk stands still at the least and at the most.
    pub stall_micros: (u64, u64),
    /// How likely it is that a host restarts and finds another directory in the place of its own:
    /// another replica's, another cluster's, or one of which a file is missing, spoilt or
    /// exchanged. Its start is refused; then it finds its own again.
    pub misfits: u32,
    /// How likely it is that a directory is lost for good, and an empty one lies in its place. At
    /// most a minority of the hosts lose theirs.
    pub wipes: u32,
    /// How likely it is that a directory is lost for good, and an older copy of it lies in its
    /// place.
    pub roll_backs: u32,
    /// How many times slower than the others the disk of one host is: 1 if it is not.
    pub slow_times: u64,
}

/// Why settings of disks make no sense.
///
/// ```
/// use synod::sim::{DiskFaults, DiskFaultsError, DiskKind};
///
/// let never = DiskFaults { sync_fails: 1, ..DiskFaults::NONE };
/// assert_eq!(never.checked(DiskKind::Wal), Err(DiskFaultsError::Never));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DiskFaultsError {
    /// A number is outside its range.
    #[error("{field} is {value}, but it must lie in {least}..={most}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The lowest value allowed.
        least: u64,
        /// The highest value allowed.
        most: u64,
    },
    /// Something is to strike, but no kind is likely.
    #[error("something strikes every so often, but every kind has the weight 0")]
    Nothing,
    /// A kind is likely, but nothing ever strikes.
    #[error("some kind has a weight, but strike_every_micros is not set")]
    Never,
    /// The shortest stall is longer than the longest.
    #[error("stalls last at least {least} and at most {most} microseconds")]
    Stall {
        /// The shortest stall.
        least: u64,
        /// The longest.
        most: u64,
    },
    /// The simplest log knows no such faults.
    #[error("{field} takes the real log, not a journal")]
    Journal {
        /// The field.
        field: &'static str,
    },
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    SyncFails,
    CallFails,
    Full,
    Stall,
    Misfit,
    Wipe,
    RollBack,
}

impl Strike {
    /// What takes the real log.
    pub(super) const OF_WAL: [Self; 6] =
        [Self::SyncFails, Self::CallFails, Self::Full, Self::Misfit, Self::Wipe, Self::RollBack];
}

impl DiskFaults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        strike_every_micros: None,
        sync_fails: 0,
        call_fails: 0,
        full: 0,
        full_micros: 0,
        stalls: 0,
        stall_micros: (0, 0),
        misfits: 0,
        wipes: 0,
        roll_backs: 0,
        slow_times: 1,
    };

    fn weights(&self) -> [(&'static str, u32, Strike); 7] {
        [
            ("sync_fails", self.sync_fails, Strike::SyncFails),
            ("call_fails", self.call_fails, Strike::CallFails),
            ("full", self.full, Strike::Full),
            ("stalls", self.stalls, Strike::Stall),
            ("misfits", self.misfits, Strike::Misfit),
            ("wipes", self.wipes, Strike::Wipe),
            ("roll_backs", self.roll_backs, Strike::RollBack),
        ]
    }

    /// The settings themselves, for hosts with such disks, if they make sense.
    ///
    /// # Errors
    /// The first that does not.
    pub fn checked(self, disk: DiskKind) -> Result<Self, DiskFaultsError> {
        let within = |field, value, least, most| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(DiskFaultsError::OutOfRange { field, value, least, most })
        };
        let weights = self.weights();
        for (field, weight, strike) in weights {
            within(field, weight.into(), 0, WEIGHT_MAX.into())?;
            if disk == DiskKind::Journal && weight > 0 && Strike::OF_WAL.contains(&strike) {
                return Err(DiskFaultsError::Journal { field });
            }
        }
        within("strike_every_micros", self.strike_every_micros.unwrap_or(1), 1, HOUR_MICROS)?;
        let likely = weights.iter().any(|(_, weight, _)| *weight > 0);
        match self.strike_every_micros {
            Some(_) if !likely => return Err(DiskFaultsError::Nothing),
            None if likely => return Err(DiskFaultsError::Never),
            _ => {}
        }
        // What lasts no time at all does not happen.
        within("full_micros", self.full_micros, u64::from(self.full > 0), HOUR_MICROS)?;
        let (least, most) = self.stall_micros;
        within("stall_micros", most, u64::from(self.stalls > 0), HOUR_MICROS)?;
        if least > most {
            return Err(DiskFaultsError::Stall { least, most });
        }
        within("slow_times", self.slow_times, 1, SLOW_TIMES_MAX)?;
        Ok(self)
    }

    /// Takes some kinds out.
    pub(super) fn spare(&mut self, kinds: &[Strike]) {
        for kind in kinds {
            *self.weight(*kind) = 0;
        }
        if self.weights().iter().all(|(_, weight, _)| *weight == 0) {
            self.strike_every_micros = None;
        }
    }

    fn weight(&mut self, kind: Strike) -> &mut u32 {
        match kind {
            Strike::SyncFails => &mut self.sync_fails,
            Strike::CallFails => &mut self.call_fails,
            Strike::Full => &mut self.full,
            Strike::Stall => &mut self.stalls,
            Strike::Misfit => &mut self.misfits,
            Strike::Wipe => &mut self.wipes,
            Strike::RollBack => &mut self.roll_backs,
        }
    }

    /// Whether a directory may be lost for good.
    pub(super) fn lose_directories(&self) -> bool {
        self.wipes > 0 || self.roll_backs > 0
    }

    /// Some kinds on and others off, as `below` says: it gives a number below its argument.
    pub fn from_random(disk: DiskKind, mut below: impl FnMut(u64) -> u64) -> Self {
        let wal = disk == DiskKind::Wal;
        let mut weight = |most: u64, wal: bool| {
            let weight = 1 + below(most) as u32;
            if below(2) == 0 && wal { weight } else { 0 }
        };
        let mut faults = Self {
            strike_every_micros: None,
            sync_fails: weight(20, wal),
            call_fails: weight(20, wal),
            full: weight(40, wal),
            full_micros: 600_000,
            stalls: weight(10, true),
            stall_micros: (1_000_000, 30_000_000),
            misfits: weight(20, wal),
            wipes: weight(4, wal),
            roll_backs: weight(60, wal),
            slow_times: 1,
        };
        if below(4) == 0 {
            faults.slow_times = 2 + below(40);
        }
        let likely = faults.weights().iter().any(|(_, weight, _)| *weight > 0);
        faults.strike_every_micros = likely.then(|| 30_000 + below(400_000));
        faults
    }

    /// A kind, by its weight.
    pub(super) fn pick(&self, mut below: impl FnMut(u64) -> u64) -> Option<Strike> {
        let weights = self.weights();
        let total: u64 = weights.iter().map(|(_, weight, _)| u64::from(*weight)).sum();
        if total == 0 {
            return None;
        }
        let mut left = below(total);
        for (_, weight, strike) in weights {
            match left.checked_sub(weight.into()) {
                None => return Some(strike),
                Some(rest) => left = rest,
            }
        }
        None
    }
}

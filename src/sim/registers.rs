//! The state machine of runs that bring none: a few registers.
//!
//! Its answers depend on what was applied before, so a command that is lost, applied twice or in
//! another order shows in some client's history.

use crate::entry::Place;
use crate::machine::StateMachine;

/// How many registers there are.
const REGISTERS: usize = 4;

/// What a command does to a register.
///
/// ```
/// use synod::sim::{RegisterCommand, RegisterKind};
///
/// let kinds = (0..100_u64).map(|number| RegisterCommand::parse(&number.to_le_bytes()).kind);
/// assert!(kinds.clone().any(|kind| kind == RegisterKind::Read));
/// assert!(kinds.clone().any(|kind| matches!(kind, RegisterKind::Add(_))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterKind {
    /// Answers the value.
    Read,
    /// Makes this the value, and answers 0.
    Write(u64),
    /// Adds this to the value, and answers the sum, modulo 2^64.
    Add(u64),
}

/// A command of [`Registers`].
///
/// ```
/// use synod::sim::RegisterCommand;
///
/// let command = RegisterCommand::parse(b"eight bytes, and ballast");
/// assert_eq!(command, RegisterCommand::parse(b"eight by"));
/// assert!(command.register < 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterCommand {
    /// Which register, 0 to 3.
    pub register: usize,
    /// What is done to it.
    pub kind: RegisterKind,
}

impl RegisterCommand {
    /// What the bytes ask for: the first eight of them, little-endian, are a number that chooses
    /// all of it. Bytes that are missing count as 0; what follows is ballast.
    #[must_use]
    pub fn parse(command: &[u8]) -> Self {
        let number = number(command);
        // The high bits of a product with an odd number hang on all lower ones.
        let luck = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let kind = match luck % 5 {
            0 | 1 => RegisterKind::Read,
            2 => RegisterKind::Write(number),
            _ => RegisterKind::Add(number),
        };
        Self { register: (luck >> 8) as usize % REGISTERS, kind }
    }
}

fn number(command: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let given = command.len().min(8);
    bytes[..given].copy_from_slice(&command[..given]);
    u64::from_le_bytes(bytes)
}

/// A few registers that are read, written and added to: see [`RegisterCommand`].
///
/// ```
/// use synod::sim::{Registers, digest};
/// use synod::{Place, Slot, StateMachine};
///
/// let (mut one, mut other) = (Registers::default(), Registers::default());
/// let place = Place { slot: Slot(0), index: 0 };
/// for command in [b"a", b"b"] {
///     assert_eq!(one.apply(place, command), other.apply(place, command));
/// }
/// assert_eq!(digest(&one), digest(&other));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Registers {
    values: [u64; REGISTERS],
    /// Depends on every command so far, and on their order.
    chain: u64,
}

impl StateMachine for Registers {
    type Answer = u64;

    fn apply(&mut self, _: Place, command: &[u8]) -> u64 {
        let number = number(command);
        self.chain = (self.chain.rotate_left(23) ^ number).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let RegisterCommand { register, kind } = RegisterCommand::parse(command);
        let value = &mut self.values[register];
        match kind {
            RegisterKind::Read => *value,
            RegisterKind::Write(new) => {
                *value = new;
                0
            }
            RegisterKind::Add(more) => {
                *value = value.wrapping_add(more);
                *value
            }
        }
    }
}

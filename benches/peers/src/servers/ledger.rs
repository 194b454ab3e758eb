//! What was written under each key, and so what may be read there.
//!
//! Each key has one writer at a time, and each value a number that grows. So what a read must find
//! is known: the last value that was acknowledged, or one of those after it, or one from the first
//! on of which nothing is known; a server may still apply that one later.

/// One key.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    /// The last value that was sent.
    sent: u64,
    /// The last value that was acknowledged.
    acknowledged: u64,
    /// The first value of whose fate nothing is known; 0 if there is none.
    open: u64,
}

/// What was written.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    keys: Vec<Written>,
    value_bytes: usize,
}

/// How many bytes of a value are its number.
pub(crate) const NUMBER_BYTES: usize = 16;

impl Ledger {
    /// For this many keys and values of this length, at least [`NUMBER_BYTES`].
    pub(crate) fn new(keys: u32, value_bytes: usize) -> Self {
        Self { keys: vec![Written::default(); keys as usize], value_bytes }
    }

    /// How many keys there are.
    pub(crate) fn keys(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    /// The next value of a key, put into the buffer.
    pub(crate) fn next(&mut self, key: u32, value: &mut Vec<u8>) {
        let written = &mut self.keys[key as usize];
        written.sent += 1;
        value.resize(self.value_bytes, b'.');
        for (i, digit) in value.iter_mut().take(NUMBER_BYTES).enumerate() {
            let nibble = (written.sent >> (60 - 4 * i)) & 15;
            *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or_default()];
        }
    }

    /// The last value of the key was acknowledged.
    pub(crate) fn acknowledge(&mut self, key: u32) {
        let written = &mut self.keys[key as usize];
        written.acknowledged = written.sent;
    }

    /// Nothing is known of the last value of the key.
    pub(crate) fn give_up(&mut self, key: u32) {
        let written = &mut self.keys[key as usize];
        if written.open == 0 {
            written.open = written.sent;
        }
    }

    /// Holds that this value may be read under the key.
    ///
    /// # Errors
    ///
    /// Says what was read, and what may be.
    pub(crate) fn check(&self, key: u32, value: &[u8]) -> Result<(), String> {
        let Written { sent, acknowledged, open } = self.keys[key as usize];
        let least = if open == 0 { acknowledged } else { open.min(acknowledged) };
        let number = value.get(..NUMBER_BYTES).and_then(|digits| std::str::from_utf8(digits).ok());
        let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let whole = value.len() == self.value_bytes
            && value.iter().skip(NUMBER_BYTES).all(|byte| *byte == b'.');
        match number {
            Some(number) if whole && (least..=sent).contains(&number) => Ok(()),
            _ => Err(format!(
                "key {key} holds {:?}, not a number from {least:x} to {sent:x}",
                String::from_utf8_lossy(value)
            )),
        }
    }
}

#[cfg(test)]
mod tests;

//! Bytes read as a row of choices. When they are used up, every choice is the first one.

/// Numbers at which something ends.
const EDGES: [u64; 16] = [
    255,
    256,
    257,
    511,
    512,
    1 << 16,
    (1 << 32) - 1,
    1 << 32,
    (1 << 48) - 1,
    (1 << 62) - 1,
    1 << 62,
    (1 << 62) + 1,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// What is left of an input.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    /// The choices that these bytes make.
    #[must_use]
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Whether all bytes are used up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// All bytes that are left, which stay.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// True for an odd byte.
    pub fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// A number below `end`, which is at least 1: of one byte if that suffices, else of two.
    pub fn below(&mut self, end: usize) -> usize {
        let number = if end <= 256 { usize::from(self.byte()) } else { usize::from(self.short()) };
        number % end
    }

    /// A number of two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number of eight bytes.
    pub fn long(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// Any number; small ones and those at which something ends are short.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=0xdf => u64::from(small),
            edge @ 0xe0..=0xef => EDGES[usize::from(edge - 0xe0)],
            0xf0..=0xf7 => u64::from(self.short()),
            0xf8..=0xff => self.long(),
        }
    }

    /// A number near `here`: below, at or above it.
    pub fn near(&mut self, here: u64) -> u64 {
        match self.byte() {
            up @ 0..=0x3f => here.saturating_add(u64::from(up)),
            down @ 0x40..=0x5f => here.saturating_sub(u64::from(down - 0x40)),
            far @ 0x60..=0x7f => here.saturating_add(u64::from(far - 0x60) + 240),
            0x80..=0xff => self.number(),
        }
    }

    /// One of the members of a list that is not empty.
    pub fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Up to 255 bytes, as many as the next byte says.
    pub fn bytes(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte()).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }
}

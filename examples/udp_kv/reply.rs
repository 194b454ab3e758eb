//! Replies, and their bytes in RESP2.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

/// What ends each line, and each value.
pub(crate) const LINE_END: &[u8] = b"\r\n";

/// From here on a value is sent from where it lies, not copied.
const VALUE_BYTES: usize = 16 << 10;

/// What a client is answered. A value is shared with the store, not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A word, such as OK.
    Simple(&'static str),
    /// What went wrong, beginning with a word in capitals.
    Error(Cow<'static, str>),
    Integer(i64),
    Bulk(Bytes),
    Nil,
    Array(Vec<Self>),
}

impl Reply {
    pub(crate) const OK: Self = Self::Simple("OK");

    /// An error that is known beforehand.
    pub(crate) const fn error(text: &'static str) -> Self {
        Self::Error(Cow::Borrowed(text))
    }

    /// An error with something in it. Line ends would end the reply; they become blanks.
    pub(crate) fn error_of(text: String) -> Self {
        let text = if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], " ") } else { text };
        Self::Error(Cow::Owned(text))
    }

    /// The command was certainly not applied.
    pub(crate) fn try_again(why: &str) -> Self {
        Self::error_of(format!("TRYAGAIN {why}; certainly not applied"))
    }

    /// Nothing is known of what became of the command.
    pub(crate) fn timeout(why: &str) -> Self {
        Self::error_of(format!("TIMEOUT {why}; unknown whether it is applied"))
    }

    pub(crate) fn text(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }

    /// About how many bytes the reply keeps in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Bulk(bytes) => bytes.len(),
                Self::Error(text) => text.len(),
                Self::Array(replies) => replies.iter().map(Self::held_bytes).sum(),
                Self::Simple(_) | Self::Integer(_) | Self::Nil => 0,
            }
    }
}

/// Writes `$5\r\n` and the like.
fn put_header(kind: u8, number: i64, out: &mut BytesMut) {
    out.put_u8(kind);
    put_integer(number, out);
    out.put_slice(LINE_END);
}

fn put_integer(number: i64, out: &mut BytesMut) {
    // The longest number has 20 characters with its sign.
    let (mut digits, mut at, mut rest) = ([0; 20], 20, number.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&digits[at..]);
}

/// The length of something that is in memory.
pub(crate) fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Writes the first of the replies, of which `left` are the others, the next one last; what is in
/// an array becomes a part of these. Returns a value that is too long to be copied: the caller
/// sends it from where it lies, and a line's end behind it.
pub(crate) fn put_first(first: Reply, left: &mut Vec<Reply>, out: &mut BytesMut) -> Option<Bytes> {
    match first {
        Reply::Simple(word) => put_line(b'+', word, out),
        Reply::Error(text) => put_line(b'-', &text, out),
        Reply::Integer(number) => put_header(b':', number, out),
        Reply::Nil => out.put_slice(b"$-1\r\n"),
        Reply::Bulk(value) => {
            put_header(b'$', length(value.len()), out);
            if value.len() >= VALUE_BYTES {
                return Some(value);
            }
            out.put_slice(&value);
            out.put_slice(LINE_END);
        }
        Reply::Array(replies) => {
            put_header(b'*', length(replies.len()), out);
            left.extend(replies.into_iter().rev());
        }
    }
    None
}

fn put_line(kind: u8, text: &str, out: &mut BytesMut) {
    out.put_u8(kind);
    out.put_slice(text.as_bytes());
    out.put_slice(LINE_END);
}

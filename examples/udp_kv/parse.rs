//! Requests out of the bytes of a connection: RESP arrays of bulk strings, and inline commands.
//!
//! Not a crate's decoder: this one goes on where the last bytes ended instead of beginning again,
//! takes no arrays within arrays, allocates for what has come and not for what is announced, and
//! passes over an argument that is too long without holding it.

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};

/// The longest key or value, in bytes.
pub(crate) const ARGUMENT_BYTES_MAX: usize = 1 << 20;

/// The longest request: the sum of its arguments, in bytes.
pub(crate) const REQUEST_BYTES_MAX: usize = 3 << 20;

/// The most arguments of a request, so that their lengths fit a command beside their bytes.
pub(crate) const ARGUMENTS_MAX: usize = 1 << 16;

/// What a request may announce at all; beyond it the stream is no RESP. As in Redis.
const ANNOUNCED_ARGUMENTS_MAX: i64 = 1 << 20;
const ANNOUNCED_BYTES_MAX: i64 = 512 << 20;

/// The longest line: a header, or an inline command. As in Redis.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 10;

/// How many bytes are read at a time.
pub(crate) const READ_BYTES: usize = 16 << 10;

/// What an argument costs in memory beside its bytes.
const ARGUMENT_COST: usize = size_of::<Bytes>();

/// A whole request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Its arguments, the name of the command first: at least one.
    Command(Vec<Bytes>),
    /// It was longer than a limit, as the text says, and was passed over.
    TooLarge(String),
}

/// The stream is no RESP, as the text says. What follows in it means nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProtocolError(pub(crate) Cow<'static, str>);

fn error<T>(text: &'static str) -> Result<T, ProtocolError> {
    Err(ProtocolError(Cow::Borrowed(text)))
}

/// Where in a request the bytes so far ended.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// How many arguments are still to come.
    left: usize,
    arguments: Vec<Bytes>,
    /// The sum of the arguments so far, in bytes.
    bytes: usize,
    /// The length of the argument that comes next, once it is known.
    announced: Option<usize>,
    /// How many bytes are passed over before anything else.
    skip: usize,
    /// Why the request is refused when it has passed.
    refused: Option<String>,
}

impl Parser {
    /// What the parser holds of a request that has not come whole, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes + self.arguments.len() * ARGUMENT_COST
    }

    /// Gives back what `input` has of memory, if nothing is in it. While arguments lie in that
    /// memory it goes on being filled: were there another one for each read, a client that sends an
    /// argument at a time would hold as many of them as it sends arguments.
    pub(crate) fn rest(&self, input: &mut BytesMut) {
        if input.is_empty() && self.arguments.is_empty() {
            *input = BytesMut::new();
        }
    }

    /// The next request, if it has come whole; takes its bytes out of `input`.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Request>, ProtocolError> {
        loop {
            let skipped = self.skip.min(input.len());
            input.advance(skipped);
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(None);
            }
            if self.left > 0 {
                if !self.take_argument(input)? {
                    return Ok(None);
                }
                if self.left == 0 {
                    return Ok(Some(self.finish()));
                }
                continue;
            }
            // A new request.
            match input.first() {
                None => return Ok(None),
                Some(b'*') => {
                    let Some(line) = take_line(input, "too big mbulk count string")? else {
                        return Ok(None);
                    };
                    match integer(&line[1..]) {
                        Some(count) if count <= 0 => {}
                        Some(count) if count <= ANNOUNCED_ARGUMENTS_MAX => self.begin(count),
                        _ => return error("invalid multibulk length"),
                    }
                }
                Some(_) => {
                    let Some(line) = take_line(input, "too big inline request")? else {
                        return Ok(None);
                    };
                    match split_inline(&line) {
                        Some(arguments) if arguments.is_empty() => {}
                        Some(arguments) => return Ok(Some(Request::Command(arguments))),
                        None => return error("unbalanced quotes in request"),
                    }
                }
            }
        }
    }

    fn begin(&mut self, count: i64) {
        self.left = usize::try_from(count).unwrap_or_default();
        if self.left > ARGUMENTS_MAX {
            self.refused = Some(format!(
                "a request of {count} arguments is longer than the limit of {ARGUMENTS_MAX}"
            ));
        }
    }

    /// Takes the next argument, if it has come whole or is to be passed over.
    fn take_argument(&mut self, input: &mut BytesMut) -> Result<bool, ProtocolError> {
        let length = match self.announced {
            Some(length) => length,
            None => match self.take_length(input)? {
                Some(length) => length,
                None => return Ok(false),
            },
        };
        if self.refused.is_none() {
            self.refused = self.refusal(length);
        }
        if self.refused.is_some() {
            self.arguments = Vec::new();
            self.bytes = 0;
            self.skip = length + 2;
        } else {
            if input.len() < length + 2 {
                self.announced = Some(length);
                return Ok(false);
            }
            self.arguments.push(input.split_to(length).freeze());
            self.bytes += length;
            if &input.split_to(2)[..] != b"\r\n" {
                return error("expected CRLF behind a bulk string");
            }
        }
        self.announced = None;
        self.left -= 1;
        Ok(true)
    }

    fn take_length(&self, input: &mut BytesMut) -> Result<Option<usize>, ProtocolError> {
        match input.first() {
            None => return Ok(None),
            Some(b'$') => {}
            Some(other) => {
                let text = format!("expected '$', got '{}'", char::from(*other));
                return Err(ProtocolError(Cow::Owned(text)));
            }
        }
        let Some(line) = take_line(input, "too big bulk count string")? else { return Ok(None) };
        match integer(&line[1..]) {
            Some(length @ 0..=ANNOUNCED_BYTES_MAX) => Ok(usize::try_from(length).ok()),
            _ => error("invalid bulk length"),
        }
    }

    /// Why an argument of this length is not taken.
    fn refusal(&self, length: usize) -> Option<String> {
        if length > ARGUMENT_BYTES_MAX {
            let limit = ARGUMENT_BYTES_MAX;
            Some(format!("an argument of {length} bytes is longer than the limit of {limit}"))
        } else if self.bytes + length > REQUEST_BYTES_MAX {
            Some(format!("a request is longer than the limit of {REQUEST_BYTES_MAX} bytes"))
        } else {
            None
        }
    }

    /// The last argument has come, or begins to be passed over.
    fn finish(&mut self) -> Request {
        let arguments = std::mem::take(&mut self.arguments);
        self.bytes = 0;
        match self.refused.take() {
            Some(text) => Request::TooLarge(text),
            None => Request::Command(arguments),
        }
    }
}

/// Makes room for the next read.
pub(crate) fn make_room(input: &mut BytesMut) {
    if input.capacity() - input.len() < READ_BYTES / 16 {
        input.reserve(READ_BYTES);
    }
}

/// Takes a line, if it has come whole, and returns it without its end.
fn take_line(
    input: &mut BytesMut,
    too_long: &'static str,
) -> Result<Option<BytesMut>, ProtocolError> {
    let seen = &input[..input.len().min(LINE_BYTES_MAX)];
    match seen.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let mut line = input.split_to(end + 1);
            line.truncate(end);
            if line.ends_with(b"\r") {
                line.truncate(end - 1);
            }
            Ok(Some(line))
        }
        None if input.len() >= LINE_BYTES_MAX => error(too_long),
        None => Ok(None),
    }
}

/// The number that these bytes are, if they are one as Redis writes it: no sign but a minus, no
/// leading zero, no blank.
pub(crate) fn integer(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let plain = match digits {
        b"0" => bytes.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // Longer ones do not fit, and need not be looked at.
    let text = std::str::from_utf8(bytes.get(..bytes.len().min(21))?).ok()?;
    if plain && bytes.len() <= 20 { text.parse().ok() } else { None }
}

/// The words of an inline command: separated by blanks, in quotes where they hold some. `None` if a
/// quote is not closed, or something follows it at once.
fn split_inline(line: &[u8]) -> Option<Vec<Bytes>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some((&byte, after)) = rest.split_first() {
            if byte.is_ascii_whitespace() {
                break;
            }
            rest = match byte {
                b'"' | b'\'' => {
                    let after = unquote(byte, after, &mut word)?;
                    // A word ends with its quote.
                    if after.first().is_some_and(|next| !next.is_ascii_whitespace()) {
                        return None;
                    }
                    after
                }
                _ => {
                    word.push(byte);
                    after
                }
            };
        }
        words.push(Bytes::from(word));
    }
}

/// Takes what stands up to the closing quote; returns what follows it.
fn unquote<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match (quote, rest) {
            (b'"', [b'\\', b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digits = [*high, *low];
                let text = std::str::from_utf8(&digits).ok()?;
                (u8::from_str_radix(text, 16).ok()?, after)
            }
            (b'"', [b'\\', escaped, after @ ..]) => (escape(*escaped), after),
            (b'\'', [b'\\', b'\'', after @ ..]) => (b'\'', after),
            (_, [byte, after @ ..]) if *byte == quote => return Some(after),
            (_, [byte, after @ ..]) => (*byte, after),
            (_, []) => return None,
        };
        word.push(byte);
        rest = after;
    }
}

/// What a letter behind a backslash stands for.
fn escape(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

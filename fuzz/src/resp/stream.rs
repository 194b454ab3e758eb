//! Streams of requests that are valid, and nearly so.

use super::super::choices::Choices;
use super::parse::ARGUMENT_BYTES_MAX;

/// No request is begun beyond this length of a stream, in bytes.
const STREAM_BYTES_MAX: usize = 4 << 20;

/// How long a word is at the most that comes very often, in bytes.
const MANY_BYTES_MAX: usize = 100;

const NAMES: [&str; 28] = [
    "append", "command", "config", "dbsize", "decr", "decrby", "del", "echo", "exists", "flushall",
    "get", "getset", "hello", "incr", "incrby", "info", "mget", "mset", "ping", "quit", "select",
    "set", "setnx", "strlen", "SET", "GET", "host:", "nonsense",
];

/// What stands behind names, beside keys and values.
const OPTIONS: [&str; 16] = [
    "nx", "XX", "get", "keepttl", "ex", "sync", "async", "count", "info", "docs", "save", "*", "2",
    "3", "0", "",
];

const NUMBERS: [&str; 10] = [
    "1",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "01",
    "-0",
    "+1",
    "1.0",
    " 1",
];

/// Lengths at which something ends.
const LENGTHS: [usize; 10] = [
    100,
    1000,
    (16 << 10) - 1,
    16 << 10,
    (64 << 10) - 8,
    64 << 10,
    500_000,
    ARGUMENT_BYTES_MAX - 1,
    ARGUMENT_BYTES_MAX,
    ARGUMENT_BYTES_MAX + 1,
];

/// The stream that the choices make.
pub(super) fn make(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    while !choices.is_over() && stream.len() < STREAM_BYTES_MAX {
        piece(choices, &mut stream);
    }
    stream
}

fn piece(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    match choices.byte() % 20 {
        0..=8 => array(&words(choices), None, out),
        9 | 10 => {
            let wrong = Some((choices.byte(), choices.byte()));
            array(&words(choices), wrong, out);
        }
        11 | 12 => line(&words(choices), b"", out),
        13 => line(&words(choices), b"\"", out),
        14 => line(&words(choices), b"'", out),
        15 => {
            // Half of a request, and what follows it.
            let mut whole = Vec::new();
            array(&words(choices), None, &mut whole);
            whole.truncate(usize::from(choices.short()));
            out.extend_from_slice(&whole);
        }
        16 => {
            let kind = choices.one_of(b"*$+-:");
            header(kind, choices.near(1 << 16), b"\r\n", out);
        }
        17 => {
            // Arrays in arrays.
            for _ in 0..choices.below(64) {
                header(b'*', 1 + u64::from(choices.byte() % 2), b"\r\n", out);
            }
        }
        18 => {
            // Many arguments in few choices.
            let (name, count) = (choices.one_of(&NAMES), usize::from(choices.byte()) * 8);
            let mut words = vec![name.as_bytes().to_vec()];
            let mut word = word(choices);
            word.truncate(MANY_BYTES_MAX);
            words.resize(count + 1, word);
            array(&words, None, out);
        }
        _ => out.extend_from_slice(choices.bytes()),
    }
}

/// A name, and up to seven words behind it.
fn words(choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let mut words = vec![choices.one_of(&NAMES).as_bytes().to_vec()];
    for _ in 0..choices.below(8) {
        words.push(word(choices));
    }
    words
}

fn word(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.byte() {
        key @ 0..=0x7f => vec![b'a' + key % 4],
        0x80..=0x9f => choices.one_of(&NUMBERS).into(),
        0xa0..=0xbf => choices.one_of(&OPTIONS).into(),
        0xc0..=0xdf => choices.bytes().to_vec(),
        0xe0..=0xef => choices.number().to_string().into_bytes(),
        0xf0..=0xff => vec![choices.byte(); choices.one_of(&LENGTHS)],
    }
}

fn header(kind: u8, number: u64, end: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(end);
}

/// Writes an array of values; with something wrong, if that is said: what, and in which word.
fn array(words: &[Vec<u8>], wrong: Option<(u8, u8)>, out: &mut Vec<u8>) {
    let (what, which) = wrong.unwrap_or((u8::MAX, 0));
    let which = usize::from(which) % words.len();
    let count = words.len() as u64;
    match what % 8 {
        0 => header(b'*', count + 1, b"\r\n", out),
        1 => header(b'*', count - 1, b"\r\n", out),
        2 => header(b'*', count, b"\n", out),
        _ => header(b'*', count, b"\r\n", out),
    }
    for (index, word) in words.iter().enumerate() {
        let length = word.len() as u64;
        match what % 8 {
            3 if index == which => header(b'$', length + 1, b"\r\n", out),
            4 if index == which => header(b'$', length.saturating_sub(1), b"\r\n", out),
            5 if index == which => header(b'$', length, b"\n", out),
            6 if index == which => header(b':', length, b"\r\n", out),
            _ => header(b'$', length, b"\r\n", out),
        }
        out.extend_from_slice(word);
        let end: &[u8] = if what == 7 && index == which { b"\n" } else { b"\r\n" };
        out.extend_from_slice(end);
    }
}

/// Writes an inline command. Whether its words need quotes, nobody asks.
fn line(words: &[Vec<u8>], quote: &[u8], out: &mut Vec<u8>) {
    for word in words {
        out.extend_from_slice(quote);
        out.extend_from_slice(word);
        out.extend_from_slice(quote);
        out.push(b' ');
    }
    out.extend_from_slice(b"\r\n");
}

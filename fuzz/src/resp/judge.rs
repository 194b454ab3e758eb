//! Requests and replies beside what the crate `redis-protocol` makes of the same bytes.

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::encode;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};

use super::Read;
use super::parse::{
    ARGUMENT_BYTES_MAX, ARGUMENTS_MAX, LINE_BYTES_MAX, Parser, REQUEST_BYTES_MAX, Request, integer,
};
use super::reply::{LINE_END, Reply, put_first};

/// The longest inline command that is tried, in bytes.
const INLINE_BYTES_MAX: usize = 8 << 10;

/// Every array that the crate reads from where a request begins is that request, unless it is
/// written as no client writes it; and each request is written there.
pub(super) fn requests(stream: &[u8], read: &Read) {
    let mut at = 0;
    for (request, end) in read.requests.iter().zip(&read.ends) {
        at += nothing(&stream[at..]);
        let array = array(&stream[at..]);
        match request {
            Request::Command(arguments) => {
                let span = &stream[at..*end];
                if span.starts_with(b"*") {
                    assert!(is_written(span, arguments), "{arguments:?} out of {span:?}");
                    assert!(fits(arguments), "{arguments:?} is too large");
                    let canonical = span.len() == written(arguments).len();
                    assert_eq!(array.is_some(), canonical, "{span:?}");
                }
                if let Some((words, used)) = array {
                    assert_eq!((arguments, at + used), (&words, *end));
                }
                inline(arguments);
                at = *end;
            }
            Request::TooLarge(_) => {
                let Some((words, used)) = array else { return };
                assert!(!fits(&words), "{words:?} is not too large");
                at += used;
            }
        }
    }
    at += nothing(&stream[at.min(stream.len())..]);
    let array = stream.get(at..).and_then(array);
    assert!(array.is_none(), "{array:?} is not read: {:?}", read.error);
}

/// Each reply is read as what it is, and nothing more is written.
pub(super) fn replies(replies: &[Reply]) {
    let mut bytes = BytesMut::new();
    for reply in replies {
        write(reply, &mut bytes);
    }
    let mut rest = &bytes[..];
    for reply in replies {
        let (frame, used) = decode(rest).expect("it is RESP").expect("it is whole");
        assert!(is_same(reply, &frame), "{reply:?} is read as {frame:?}");
        rest = &rest[used..];
    }
    assert!(rest.is_empty(), "behind the replies is {rest:?}");
}

fn write(reply: &Reply, out: &mut BytesMut) {
    let mut left = vec![reply.clone()];
    while let Some(reply) = left.pop() {
        if let Some(value) = put_first(reply, &mut left, out) {
            out.extend_from_slice(&value);
            out.extend_from_slice(LINE_END);
        }
    }
}

fn is_same(reply: &Reply, frame: &OwnedFrame) -> bool {
    match (reply, frame) {
        (Reply::Simple(word), OwnedFrame::SimpleString(read)) => word.as_bytes() == read,
        (Reply::Error(text), OwnedFrame::Error(read)) => {
            text == read && text.starts_with(|first: char| first.is_ascii_uppercase())
        }
        (Reply::Integer(number), OwnedFrame::Integer(read)) => number == read,
        (Reply::Bulk(value), OwnedFrame::BulkString(read)) => value == read,
        (Reply::Nil, OwnedFrame::Null) => true,
        (Reply::Array(replies), OwnedFrame::Array(read)) => {
            replies.len() == read.len()
                && replies.iter().zip(read).all(|(reply, frame)| is_same(reply, frame))
        }
        _ => false,
    }
}

/// How many bytes at the beginning ask for nothing: blank lines, and arrays of nothing. A line that
/// is too long is an error, whatever is on it.
fn nothing(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some(end) = rest.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        let count = line.strip_prefix(b"*").map(|count| count.strip_suffix(b"\r").unwrap_or(count));
        let empty = match count {
            Some(count) => integer(count).is_some_and(|count| count <= 0),
            None => line.trim_ascii().is_empty(),
        };
        if !empty {
            break;
        }
        rest = &rest[end + 1..];
    }
    bytes.len() - rest.len()
}

/// The array of values at the beginning, and its length, if the crate reads one and would write it
/// in the same way: it does not look at every byte.
fn array(bytes: &[u8]) -> Option<(Vec<Bytes>, usize)> {
    let Ok(Some((OwnedFrame::Array(frames), used))) = decode(bytes) else { return None };
    let words: Option<Vec<Bytes>> = frames
        .into_iter()
        .map(|frame| match frame {
            OwnedFrame::BulkString(word) => Some(Bytes::from(word)),
            _ => None,
        })
        .collect();
    let words = words.filter(|words| !words.is_empty())?;
    (written(&words) == bytes[..used]).then_some((words, used))
}

/// The request as the crate writes it.
fn written(words: &[Bytes]) -> Vec<u8> {
    let frames = words.iter().map(|word| OwnedFrame::BulkString(word.to_vec())).collect();
    let frame = OwnedFrame::Array(frames);
    let mut bytes = vec![0; frame.encode_len(false)];
    encode::encode(&mut bytes, &frame, false).expect("there is room");
    bytes
}

/// Whether the bytes are the request as it may be written: a header may end without a CR.
fn is_written(bytes: &[u8], words: &[Bytes]) -> bool {
    fn header(bytes: &[u8], kind: char, number: usize) -> Option<&[u8]> {
        let rest = bytes.strip_prefix(format!("{kind}{number}").as_bytes())?;
        rest.strip_prefix(b"\r").unwrap_or(rest).strip_prefix(b"\n")
    }
    let word = |rest: Option<&[u8]>, word: &Bytes| {
        header(rest?, '$', word.len())?
            .strip_prefix(&word[..])?
            .strip_prefix(b"\r\n")
            .map(<[_]>::len)
    };
    let mut rest = header(bytes, '*', words.len());
    for each in words {
        let left = word(rest, each);
        rest = left.map(|left| &bytes[bytes.len() - left..]);
    }
    rest == Some(&[])
}

/// Whether a request is within the limits.
fn fits(words: &[Bytes]) -> bool {
    words.len() <= ARGUMENTS_MAX
        && words.iter().all(|word| word.len() <= ARGUMENT_BYTES_MAX)
        && words.iter().map(Bytes::len).sum::<usize>() <= REQUEST_BYTES_MAX
}

/// The request, written in one line with quotes, is the same request.
fn inline(words: &[Bytes]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Four bytes for each, and two quotes and a blank for each word.
    if words.iter().map(|word| 4 * word.len() + 3).sum::<usize>() > INLINE_BYTES_MAX {
        return;
    }
    let mut line = BytesMut::new();
    for word in words {
        line.extend_from_slice(b"\"");
        for byte in word.iter().map(|byte| usize::from(*byte)) {
            line.extend_from_slice(&[b'\\', b'x', DIGITS[byte / 16], DIGITS[byte % 16]]);
        }
        line.extend_from_slice(b"\" ");
    }
    line.extend_from_slice(LINE_END);
    let read = Parser::default().next(&mut line);
    assert_eq!(read, Ok(Some(Request::Command(words.to_vec()))), "written in a line");
}

//! What a client sends to the example `udp_kv`, and what it is answered: the parser, the table of
//! commands and the store, without sockets and without a cluster.
//!
//! Nothing panics. What is read does not depend on how the bytes were cut into reads, and no more
//! memory is held than a multiple of what was sent. Two stores answer the same and hold the same.
//! Requests and replies are what a decoder that others wrote makes of the same bytes.

#[path = "../../../examples/udp_kv/commands.rs"]
#[allow(dead_code, reason = "the example uses all of it, this target a part")]
mod commands;
mod judge;
#[path = "../../../examples/udp_kv/parse.rs"]
#[allow(dead_code, reason = "the example uses all of it, this target a part")]
mod parse;
#[path = "../../../examples/udp_kv/reply.rs"]
#[allow(dead_code, reason = "the example uses all of it, this target a part")]
mod reply;
#[path = "../../../examples/udp_kv/store.rs"]
#[allow(dead_code, reason = "the example uses all of it, this target a part")]
mod store;
mod stream;

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use synod::StateMachine;
use synod::entry::Place;
use synod::slot::Slot;

use super::allocation::peak;
use super::choices::Choices;
use commands::Step;
use parse::{Parser, ProtocolError, Request, make_room};
use reply::Reply;
use store::{Question, Store};

/// How many bytes of memory a byte of a stream may cost, and a stream beside them. The dearest byte
/// is a word of an inline command: with its blank two bytes there, and 32 of a list that doubles
/// here, beside its own piece of memory.
const BYTES_PER_BYTE: usize = 80;
const BYTES_BESIDE: usize = 64 << 10;

/// Into how many reads a stream is cut at the most: a long one is not read byte by byte.
const READS_MAX: usize = 1024;

/// After this many bytes of replies no more is asked: a few bytes can ask for many.
const REPLY_BYTES_MAX: usize = 8 << 20;

/// How many answers one look at the store may have, in bytes.
const ANSWER_BYTES: usize = 4 << 20;

const PLACE: Place = Place { slot: Slot(1), index: 0 };

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (made, lengths) = (choices.flag(), choices.bytes());
    let stream = if made { stream::make(&mut choices) } else { choices.rest().to_vec() };
    let least = stream.len() / READS_MAX + 1;
    let all = [stream.len().max(1)];
    let cut: Vec<usize> = lengths.iter().map(|length| usize::from(*length).max(least)).collect();
    let ways = [&all[..], &[least], if cut.is_empty() { &all } else { &cut }];

    let [whole, rest @ ..] = ways.map(|lengths| requests(&stream, lengths));
    judge::requests(&stream, &whole);
    for other in rest {
        assert_eq!(whole, other, "it depends on the reads");
    }
    for lengths in ways {
        let (_, used) = peak(|| pass(&stream, lengths));
        let limit = BYTES_PER_BYTE * stream.len() + BYTES_BESIDE;
        assert!(used <= limit, "{used} bytes for a stream of {}", stream.len());
    }
    let (one, other) = (serve(&whole.requests), serve(&whole.requests));
    assert!(one.0 == other.0, "two stores answer otherwise");
    assert_eq!(contents(&one.1, &whole.requests), contents(&other.1, &whole.requests));
    judge::replies(&one.0);
    log_bytes(&stream);
}

/// What is read out of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    requests: Vec<Request>,
    /// Where each request ends in the stream. One that is passed over may end later.
    ends: Vec<usize>,
    error: Option<ProtocolError>,
}

/// Cuts the stream into reads of these lengths, again and again, each into room that the parser
/// has made, and calls `work` after each.
fn read<E>(
    stream: &[u8],
    lengths: &[usize],
    mut work: impl FnMut(&mut Parser, &mut BytesMut) -> Result<(), E>,
) -> Result<(), E> {
    let (mut parser, mut input, mut rest) = (Parser::default(), BytesMut::new(), stream);
    for length in lengths.iter().cycle() {
        parser.rest(&mut input);
        make_room(&mut input);
        let room = input.capacity() - input.len();
        let (piece, after) = rest.split_at((*length).min(room).min(rest.len()));
        input.extend_from_slice(piece);
        work(&mut parser, &mut input)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    Ok(())
}

/// All requests of the stream.
fn requests(stream: &[u8], lengths: &[usize]) -> Read {
    let (mut requests, mut ends, mut read_bytes) = (Vec::new(), Vec::new(), 0);
    let mut left = 0;
    let ended = read(stream, lengths, |parser, input| {
        read_bytes += input.len() - left;
        while let Some(request) = parser.next(input)? {
            requests.push(request);
            ends.push(read_bytes - input.len());
        }
        left = input.len();
        Ok(())
    });
    Read { requests, ends, error: ended.err() }
}

/// Reads a stream as a connection does, which has nothing of a request when it has answered.
fn pass(stream: &[u8], lengths: &[usize]) -> Result<(), ProtocolError> {
    read(stream, lengths, |parser, input| {
        while parser.next(input)?.is_some() {}
        Ok(())
    })
}

/// What a new store answers to the requests, and what it is afterwards.
fn serve(requests: &[Request]) -> (Vec<Reply>, Store) {
    let (mut replies, mut store, mut bytes) = (Vec::new(), Store::default(), 0);
    for request in requests {
        let step = match request {
            Request::Command(arguments) => commands::step(arguments.clone()),
            Request::TooLarge(text) => Step::Reply(Reply::error_of(format!("ERR {text}"))),
        };
        let reply = match step {
            Step::Reply(reply) => reply,
            Step::Write(write) => {
                let reply = store.apply(PLACE, &write.command);
                let value = matches!(reply, Reply::Bulk(_));
                assert!(write.answers_value || !value, "nobody reckons with a value");
                assert!(reply != store::NO_COMMAND, "the store does not know what it is told");
                reply
            }
            Step::Read(question) => {
                store.answer(&[question], ANSWER_BYTES).pop().expect("a question has an answer")
            }
            // What it tells is the replica's.
            Step::Info(_) => continue,
            Step::Quit => {
                replies.push(Reply::OK);
                break;
            }
            Step::Close => break,
        };
        bytes += reply.held_bytes();
        replies.push(reply);
        if bytes > REPLY_BYTES_MAX {
            break;
        }
    }
    (replies, store)
}

/// The values of everything that may be a key. There are no others.
fn contents(store: &Store, requests: &[Request]) -> Vec<Reply> {
    let arguments = requests.iter().filter_map(|request| match request {
        Request::Command(arguments) => Some(arguments),
        Request::TooLarge(_) => None,
    });
    let keys: BTreeSet<&Bytes> = arguments.flatten().collect();
    let values: Vec<Question> = keys.into_iter().cloned().map(Question::Value).collect();
    let values = store.answer(&values, usize::MAX);
    let there = values.iter().filter(|value| **value != Reply::Nil).count();
    let size = store.answer(&[Question::Size], ANSWER_BYTES);
    assert_eq!(size, [Reply::Integer(reply::length(there))], "it has keys that nobody named");
    values
}

/// A command in the log may be anything.
fn log_bytes(bytes: &[u8]) {
    let (mut one, mut other) = (Store::default(), Store::default());
    for command in [bytes, &bytes[bytes.len() / 2..]] {
        assert_eq!(one.apply(PLACE, command), other.apply(PLACE, command));
    }
    let size = [Question::Size];
    assert_eq!(one.answer(&size, ANSWER_BYTES), other.answer(&size, ANSWER_BYTES));
}

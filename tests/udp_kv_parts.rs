//! The parts of the example `udp_kv` that need no process: the parser against any bytes in any
//! pieces, and the store against any command.

use bytes::{Bytes, BytesMut};
use quickcheck::{Gen, QuickCheck, Testable};

#[path = "../examples/udp_kv/commands.rs"]
#[allow(dead_code, reason = "the example uses all of it, these tests a part")]
mod commands;
#[path = "../examples/udp_kv/parse.rs"]
#[allow(dead_code, reason = "the example uses all of it, these tests a part")]
mod parse;
#[path = "../examples/udp_kv/reply.rs"]
#[allow(dead_code, reason = "the example uses all of it, these tests a part")]
mod reply;
#[path = "../examples/udp_kv/store.rs"]
#[allow(dead_code, reason = "the example uses all of it, these tests a part")]
mod store;

use commands::{Step, Write};
use parse::{Parser, ProtocolError, Request, integer};
use reply::Reply;
use store::{Question, Store};
use synod::{Place, Slot, StateMachine};

fn check(seed: u64, property: impl Testable) {
    QuickCheck::new().rng(Gen::from_size_and_seed(100, seed)).tests(500).quickcheck(property);
}

/// What a stream is made of, picked by a byte each: pieces of RESP more often than anything else.
fn stream(picks: &[u8]) -> Vec<u8> {
    let pieces: [&[u8]; 16] = [
        b"*1\r\n",
        b"*2\r\n",
        b"*3\r\n",
        b"*0\r\n",
        b"$0\r\n",
        b"$1\r\n",
        b"$3\r\n",
        b"\r\n",
        b"SET",
        b"get",
        b"x",
        b"*99999\r\n",
        b"$1048577\r\n",
        b"\"",
        b"'a\\x41'",
        b"ping\r\n",
    ];
    let piece = |pick: &u8| match pieces.get(usize::from(*pick)) {
        Some(piece) => piece.to_vec(),
        None if *pick < 128 => pieces[usize::from(*pick) % 11].to_vec(),
        None => vec![*pick],
    };
    picks.iter().flat_map(piece).collect()
}

/// All requests of the stream, when it comes in pieces of this many bytes.
fn requests(bytes: &[u8], piece_bytes: usize) -> (Vec<Request>, Option<ProtocolError>) {
    let (mut parser, mut input, mut found) = (Parser::default(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece_bytes) {
        input.extend_from_slice(piece);
        loop {
            match parser.next(&mut input) {
                Ok(Some(request)) => found.push(request),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
        // Each argument that is held came in at least five bytes.
        assert!(parser.held_bytes() <= bytes.len() * 8, "more is held than came");
    }
    (found, None)
}

#[test]
fn any_stream_is_the_same_requests_however_it_is_cut() {
    fn property(picks: Vec<u8>, piece_bytes: u8) -> bool {
        let bytes = stream(&picks);
        let whole = requests(&bytes, bytes.len().max(1));
        whole == requests(&bytes, 1) && whole == requests(&bytes, usize::from(piece_bytes) + 1)
    }
    check(1, property as fn(Vec<u8>, u8) -> bool);
}

#[test]
fn what_is_written_as_requests_is_read_as_those() {
    fn property(written: Vec<Vec<Vec<u8>>>, piece_bytes: u8) -> bool {
        let written: Vec<_> = written.into_iter().filter(|words| !words.is_empty()).collect();
        let mut bytes = Vec::new();
        for words in &written {
            bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
            for word in words {
                bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                bytes.extend_from_slice(word);
                bytes.extend_from_slice(b"\r\n");
            }
        }
        let (read, error) = requests(&bytes, usize::from(piece_bytes) + 1);
        let same = |(read, written): (&Request, &Vec<Vec<u8>>)| match read {
            Request::Command(words) => words.iter().eq(written.iter()),
            Request::TooLarge(_) => false,
        };
        error.is_none() && read.len() == written.len() && read.iter().zip(&written).all(same)
    }
    check(2, property as fn(Vec<Vec<Vec<u8>>>, u8) -> bool);
}

#[test]
fn numbers_are_read_as_they_are_written_and_nothing_else_is() {
    check(3, (|number: i64| integer(number.to_string().as_bytes()) == Some(number)) as fn(_) -> _);
    for number in [0, 1, -1, i64::MAX, i64::MIN] {
        assert_eq!(integer(number.to_string().as_bytes()), Some(number));
    }
    for text in ["", "-", "+1", "01", "-0", "-01", "1 ", " 1", "1x", "9223372036854775808", "1.0"] {
        assert_eq!(integer(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(integer(&[b'1'; 1 << 20]), None);
}

const PLACE: Place = Place { slot: Slot(1), index: 0 };

#[test]
fn any_bytes_are_a_command_or_an_error_to_every_store_alike() {
    fn property(commands: Vec<(u8, Vec<Vec<u8>>, Vec<u8>)>) -> bool {
        let (mut one, mut other) = (Store::default(), Store::default());
        commands.into_iter().all(|(change, arguments, rest)| {
            let mut command = vec![change % 9];
            for argument in arguments {
                command.extend_from_slice(&(argument.len() as u32).to_le_bytes());
                command.extend_from_slice(&argument);
            }
            // As a rule the arguments are all there is.
            if rest.len() % 4 == 1 {
                command.extend_from_slice(&rest);
            }
            one.apply(PLACE, &command) == other.apply(PLACE, &command)
        })
    }
    check(4, property as fn(Vec<(u8, Vec<Vec<u8>>, Vec<u8>)>) -> bool);
    let refused = Store::default().apply(PLACE, &[]);
    assert!(matches!(refused, Reply::Error(_)), "{refused:?}");
}

#[test]
fn every_change_that_a_client_can_ask_for_is_a_command_of_the_store() {
    for words in [
        "set a 1 nx get",
        "setnx a 1",
        "mset a 1 b 2",
        "del a b",
        "incr a",
        "decrby a 5",
        "append a 1",
        "getset a 2",
        "flushall",
    ] {
        let arguments = words.split(' ').map(|word| word.as_bytes().to_vec().into()).collect();
        let Step::Write(Write { command, .. }) = commands::step(arguments) else {
            panic!("{words} changes nothing");
        };
        let reply = Store::default().apply(PLACE, &command);
        assert!(!matches!(reply, Reply::Error(_)), "{words}: {reply:?}");
    }
}

/// What the store answers to a change.
fn change(store: &mut Store, words: &[&[u8]]) -> Reply {
    let arguments = words.iter().map(|word| word.to_vec().into()).collect();
    let Step::Write(Write { command, .. }) = commands::step(arguments) else {
        panic!("{words:?} changes nothing");
    };
    store.apply(PLACE, &command)
}

#[test]
fn a_reply_keeps_its_value_whatever_is_set_later() {
    // A value of the same length goes into the memory of the one before, unless a reply shares it.
    let (mut store, mut kept) = (Store::default(), Vec::new());
    for value in [b"one", b"two", b"six"] {
        change(&mut store, &[b"set", b"key", value]);
        let ask = [Question::Value(Bytes::from_static(b"key"))];
        kept.push(store.answer(&ask, usize::MAX).remove(0));
        change(&mut store, &[b"set", b"key", b"..."]);
        change(&mut store, &[b"set", b"key", b"!!!"]);
    }
    assert_eq!(kept, ["one", "two", "six"].map(Reply::text));
}

#[test]
fn keys_of_any_length_are_told_apart() {
    let mut store = Store::default();
    let keys: Vec<Vec<u8>> = (0..64).map(|length| vec![b'k'; length]).collect();
    for key in &keys {
        change(&mut store, &[b"set", key, key]);
    }
    let ask: Vec<_> = keys.iter().map(|key| Question::Value(key.clone().into())).collect();
    let values: Vec<_> = keys.iter().map(|key| Reply::Bulk(key.clone().into())).collect();
    assert_eq!(store.answer(&ask, usize::MAX), values);
    assert_eq!(store.answer(&[Question::Size], usize::MAX), [Reply::Integer(64)]);
}

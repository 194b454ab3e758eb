//! The commands that clients may give, and what each asks for.
//!
//! Texts of errors are those of Redis 7.0, so that clients which look at them find what they know.

use std::borrow::Cow;

use bytes::Bytes;

use super::parse::{ARGUMENT_BYTES_MAX, integer};
use super::reply::{Reply, length};
use super::store::{Change, NOT_AN_INTEGER, Question, SetMode, encode};

const SYNTAX: Reply = Reply::error("ERR syntax error");

/// What a command asks for.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing of the store: the reply depends on the arguments alone.
    Reply(Reply),
    /// A change: a command for the log.
    Write(Write),
    /// Something that the store holds.
    Read(Question),
    /// What the replica tells about itself: these sections, or all if none is named.
    Info(Vec<Bytes>),
    /// To be closed, with a reply.
    Quit,
    /// To be closed without one.
    Close,
}

/// A change, as it goes into the log.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) command: Vec<u8>,
    /// Whether the answer may be a whole value.
    pub(crate) answers_value: bool,
}

/// A command: its name, how many arguments it takes with its name (negative: at least so many), and
/// where its keys are: the first, the last (negative: from the end), and the distance.
struct Command {
    name: &'static str,
    arity: i64,
    keys: [i64; 3],
    flags: &'static [&'static str],
    step: fn(&mut Vec<Bytes>) -> Step,
}

const WRITE: &[&str] = &["write"];
const READ: &[&str] = &["readonly"];
const PLAIN: &[&str] = &["fast"];
const NO_KEYS: [i64; 3] = [0, 0, 0];

const fn command(
    name: &'static str,
    arity: i64,
    keys: [i64; 3],
    flags: &'static [&'static str],
    step: fn(&mut Vec<Bytes>) -> Step,
) -> Command {
    Command { name, arity, keys, flags, step }
}

/// All commands.
const COMMANDS: [Command; 24] = [
    command("append", 3, [1, 1, 1], WRITE, |a| change(Change::Append, &a[1..])),
    command("command", -1, NO_KEYS, PLAIN, |a| Step::Reply(describe(a))),
    command("config", -2, NO_KEYS, PLAIN, |a| Step::Reply(config(a))),
    command("dbsize", 1, NO_KEYS, READ, |_| Step::Read(Question::Size)),
    command("decr", 2, [1, 1, 1], WRITE, |a| add(&a[1], -1)),
    command("decrby", 3, [1, 1, 1], WRITE, |a| subtract(a)),
    command("del", -2, [1, -1, 1], WRITE, |a| change(Change::Delete, &a[1..])),
    command("echo", 2, NO_KEYS, PLAIN, |a| Step::Reply(Reply::Bulk(a.swap_remove(1)))),
    command("exists", -2, [1, -1, 1], READ, |a| Step::Read(Question::Exist(a.split_off(1)))),
    command("flushall", -1, NO_KEYS, WRITE, |a| flush_all(a)),
    command("get", 2, [1, 1, 1], READ, |a| Step::Read(Question::Value(a.swap_remove(1)))),
    command("getset", 3, [1, 1, 1], WRITE, |a| set_with(&a[1], &a[2], SetMode::ANSWER_OLD)),
    command("hello", -1, NO_KEYS, PLAIN, |a| Step::Reply(hello(a))),
    command("incr", 2, [1, 1, 1], WRITE, |a| add(&a[1], 1)),
    command("incrby", 3, [1, 1, 1], WRITE, |a| match integer(&a[2]) {
        Some(number) => add(&a[1], number),
        None => Step::Reply(NOT_AN_INTEGER),
    }),
    command("info", -1, NO_KEYS, PLAIN, |a| Step::Info(a.split_off(1))),
    command("mget", -2, [1, -1, 1], READ, |a| Step::Read(Question::Values(a.split_off(1)))),
    command("mset", -3, [1, -1, 2], WRITE, |a| match a.len() % 2 {
        0 => Step::Reply(wrong_number("mset")),
        _ => change(Change::SetMany, &a[1..]),
    }),
    command("ping", -1, NO_KEYS, PLAIN, ping),
    command("quit", -1, NO_KEYS, PLAIN, |_| Step::Quit),
    command("select", 2, NO_KEYS, PLAIN, |a| Step::Reply(select(&a[1]))),
    command("set", -3, [1, 1, 1], WRITE, |a| set(a)),
    command("setnx", 3, [1, 1, 1], WRITE, |a| change(Change::SetIfAbsent, &a[1..])),
    command("strlen", 2, [1, 1, 1], READ, |a| Step::Read(Question::Length(a.swap_remove(1)))),
];

/// What a browser says first that was talked into speaking to this port.
const BROWSERS: [&[u8]; 2] = [b"post", b"host:"];

/// What the command asks for. `arguments` begins with its name.
pub(crate) fn step(mut arguments: Vec<Bytes>) -> Step {
    let name = arguments.first().map_or(&[][..], |name| name);
    if BROWSERS.iter().any(|browser| browser.eq_ignore_ascii_case(name)) {
        return Step::Close;
    }
    let Some(command) = find(name) else { return Step::Reply(unknown(&arguments)) };
    let count = i64::try_from(arguments.len()).unwrap_or(i64::MAX);
    let fits = if command.arity < 0 { count >= -command.arity } else { count == command.arity };
    if fits { (command.step)(&mut arguments) } else { Step::Reply(wrong_number(command.name)) }
}

fn find(name: &[u8]) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
}

fn wrong_number(name: &str) -> Reply {
    Reply::error_of(format!("ERR wrong number of arguments for '{name}' command"))
}

/// At most this many bytes of the text, as far as they can be shown.
fn shown(bytes: &[u8], most: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(most)])
}

fn unknown(arguments: &[Bytes]) -> Reply {
    let name = arguments.first().map_or(Cow::Borrowed(""), |name| shown(name, 128));
    let mut rest = String::new();
    for argument in arguments.iter().skip(1) {
        if rest.len() >= 128 {
            break;
        }
        rest.push_str(&format!("'{}' ", shown(argument, 128 - rest.len())));
    }
    Reply::error_of(format!("ERR unknown command '{name}', with args beginning with: {rest}"))
}

fn unknown_subcommand(name: &str, subcommand: &[u8]) -> Reply {
    let subcommand = shown(subcommand, 128);
    let help = name.to_ascii_uppercase();
    Reply::error_of(format!("ERR unknown subcommand '{subcommand}'. Try {help} HELP."))
}

fn change<A: AsRef<[u8]>>(change: Change, arguments: impl IntoIterator<Item = A> + Clone) -> Step {
    Step::Write(Write { command: encode(change, arguments), answers_value: false })
}

fn add(key: &[u8], number: i64) -> Step {
    change(Change::Add, [key, &number.to_le_bytes()])
}

fn subtract(arguments: &[Bytes]) -> Step {
    match integer(&arguments[2]).map(i64::checked_neg) {
        Some(Some(number)) => add(&arguments[1], number),
        Some(None) => Step::Reply(Reply::error("ERR decrement would overflow")),
        None => Step::Reply(NOT_AN_INTEGER),
    }
}

fn set_with(key: &[u8], value: &[u8], mode: u8) -> Step {
    let command = encode(Change::Set, [key, value, &[mode]]);
    Step::Write(Write { command, answers_value: mode & SetMode::ANSWER_OLD != 0 })
}

fn set(arguments: &[Bytes]) -> Step {
    let mut mode = 0;
    for option in &arguments[3..] {
        mode |= match option.to_ascii_uppercase().as_slice() {
            b"NX" => SetMode::IF_ABSENT,
            b"XX" => SetMode::IF_PRESENT,
            b"GET" => SetMode::ANSWER_OLD,
            // Nothing expires, so nothing is lost.
            b"KEEPTTL" => 0,
            b"EX" | b"PX" | b"EXAT" | b"PXAT" => {
                return Step::Reply(Reply::error("ERR keys do not expire here"));
            }
            _ => return Step::Reply(SYNTAX),
        };
    }
    if mode & SetMode::IF_ABSENT != 0 && mode & SetMode::IF_PRESENT != 0 {
        return Step::Reply(SYNTAX);
    }
    set_with(&arguments[1], &arguments[2], mode)
}

fn flush_all(arguments: &[Bytes]) -> Step {
    let how = arguments.get(1).map(|how| how.to_ascii_uppercase());
    match (arguments.len(), how.as_deref()) {
        (1, _) | (2, Some(b"ASYNC" | b"SYNC")) => change(Change::Clear, [[0; 0]; 0]),
        _ => Step::Reply(SYNTAX),
    }
}

fn ping(arguments: &mut Vec<Bytes>) -> Step {
    Step::Reply(match arguments.len() {
        1 => Reply::Simple("PONG"),
        2 => Reply::Bulk(arguments.swap_remove(1)),
        _ => wrong_number("ping"),
    })
}

fn select(number: &[u8]) -> Reply {
    match integer(number) {
        Some(0) => Reply::OK,
        Some(_) => Reply::error("ERR DB index is out of range"),
        None => NOT_AN_INTEGER,
    }
}

/// The settings that clients ask for, as Redis would have them that works like this.
fn settings() -> [(&'static str, Cow<'static, str>); 5] {
    [
        ("save", "".into()),
        ("appendonly", "yes".into()),
        ("appendfsync", "always".into()),
        ("databases", "1".into()),
        ("proto-max-bulk-len", ARGUMENT_BYTES_MAX.to_string().into()),
    ]
}

fn config(arguments: &[Bytes]) -> Reply {
    if !arguments[1].eq_ignore_ascii_case(b"get") {
        return unknown_subcommand("config", &arguments[1]);
    }
    if arguments.len() < 3 {
        return wrong_number("config|get");
    }
    let asked = |name: &str| {
        let name = name.as_bytes();
        arguments[2..].iter().any(|asked| asked[..] == b"*"[..] || asked.eq_ignore_ascii_case(name))
    };
    let found = settings().into_iter().filter(|(name, _)| asked(name));
    let pairs =
        found.flat_map(|(name, value)| [Reply::text(name), Reply::Bulk(value.into_owned().into())]);
    Reply::Array(pairs.collect())
}

fn hello(arguments: &[Bytes]) -> Reply {
    match arguments.get(1).map(|version| integer(version)) {
        Some(None) => {
            return Reply::error("ERR Protocol version is not an integer or out of range");
        }
        Some(Some(version)) if version != 2 => {
            return Reply::error("NOPROTO unsupported protocol version");
        }
        Some(Some(_)) | None => {}
    }
    if let Some(option) = arguments.get(2) {
        let option = shown(option, 128);
        return Reply::error_of(format!("ERR Syntax error in HELLO option '{option}'"));
    }
    Reply::Array(vec![
        Reply::text("server"),
        Reply::text("udp_kv"),
        Reply::text("version"),
        Reply::text(env!("CARGO_PKG_VERSION")),
        Reply::text("proto"),
        Reply::Integer(2),
        Reply::text("mode"),
        Reply::text("standalone"),
        Reply::text("role"),
        Reply::text("master"),
        Reply::text("modules"),
        Reply::Array(Vec::new()),
    ])
}

/// COMMAND, as far as clients ask: what there is, and with how many arguments.
fn describe(arguments: &[Bytes]) -> Reply {
    let row = |command: &Command| {
        let flags = command.flags.iter().map(|flag| Reply::Simple(flag)).collect();
        let mut row =
            vec![Reply::text(command.name), Reply::Integer(command.arity), Reply::Array(flags)];
        row.extend(command.keys.map(Reply::Integer));
        Reply::Array(row)
    };
    match arguments.get(1).map(|word| word.to_ascii_lowercase()).as_deref() {
        None => Reply::Array(COMMANDS.iter().map(row).collect()),
        Some(b"count") => Reply::Integer(length(COMMANDS.len())),
        Some(b"info") if arguments.len() == 2 => Reply::Array(COMMANDS.iter().map(row).collect()),
        Some(b"info") => {
            let found = arguments[2..].iter().map(|name| find(name).map_or(Reply::Nil, row));
            Reply::Array(found.collect())
        }
        // What redis-cli asks for to show hints; it does without.
        Some(b"docs") => Reply::Array(Vec::new()),
        Some(_) => unknown_subcommand("command", &arguments[1]),
    }
}

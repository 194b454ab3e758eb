//! The state machine: keys and values, the commands that change them, and the questions about them.
//!
//! A command in the log is a byte that says which, and its arguments, each behind its length (four
//! bytes, little-endian):
//!
//! ```text
//! command: u8 | for each argument: length: u32, bytes
//! ```

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use smallvec::SmallVec;
use synod::{Place, StateMachine};

use super::parse::{ARGUMENT_BYTES_MAX, integer};
use super::reply::{Reply, length};

/// The most bytes of one reply: what MGET may name.
const REPLY_BYTES_MAX: usize = 64 << 20;

pub(crate) const NOT_AN_INTEGER: Reply =
    Reply::error("ERR value is not an integer or out of range");
const OVERFLOW: Reply = Reply::error("ERR increment or decrement would overflow");
pub(crate) const NO_COMMAND: Reply =
    Reply::error("ERR the log holds a command that this version lacks");

/// Which change a command is. The numbers are those in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Change {
    /// Key, value, and one byte of [`SetMode`]s.
    Set = 1,
    /// Key, value: sets what is not there, and answers whether it did.
    SetIfAbsent = 2,
    /// Pairs of key and value.
    SetMany = 3,
    /// Keys.
    Delete = 4,
    /// Key, and a number of eight bytes, little-endian.
    Add = 5,
    /// Key, and what is put behind its value.
    Append = 6,
    /// Nothing.
    Clear = 7,
}

impl Change {
    fn from_byte(byte: u8) -> Option<Self> {
        let all = [
            Self::Set,
            Self::SetIfAbsent,
            Self::SetMany,
            Self::Delete,
            Self::Add,
            Self::Append,
            Self::Clear,
        ];
        all.into_iter().find(|change| *change as u8 == byte)
    }
}

/// How SET sets: bits of one byte.
pub(crate) struct SetMode;

impl SetMode {
    /// Only if the key is not there.
    pub(crate) const IF_ABSENT: u8 = 1;
    /// Only if the key is there.
    pub(crate) const IF_PRESENT: u8 = 2;
    /// Answers the value before.
    pub(crate) const ANSWER_OLD: u8 = 4;
}

/// The bytes of a command.
pub(crate) fn encode<A: AsRef<[u8]>>(
    change: Change,
    arguments: impl IntoIterator<Item = A> + Clone,
) -> Vec<u8> {
    let bytes: usize = arguments.clone().into_iter().map(|it| 4 + it.as_ref().len()).sum();
    let mut command = Vec::with_capacity(1 + bytes);
    command.push(change as u8);
    for argument in arguments {
        let argument = argument.as_ref();
        // What a client sends is far shorter; anything else would not be taken by a node.
        let length = u32::try_from(argument.len()).unwrap_or(u32::MAX);
        command.extend_from_slice(&length.to_le_bytes());
        command.extend_from_slice(argument);
    }
    command
}

/// Takes the next argument off a command.
fn take<'a>(command: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = command.split_first_chunk()?;
    let (argument, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *command = rest;
    Some(argument)
}

/// All arguments, if the bytes are nothing but arguments and there are `N` of them.
fn take_exactly<const N: usize>(mut command: &[u8]) -> Option<[&[u8]; N]> {
    let mut arguments = [&[][..]; N];
    for argument in &mut arguments {
        *argument = take(&mut command)?;
    }
    command.is_empty().then_some(arguments)
}

/// All arguments, if the bytes are nothing but arguments.
fn take_all(mut command: &[u8]) -> Option<Vec<&[u8]>> {
    let mut arguments = Vec::new();
    while !command.is_empty() {
        arguments.push(take(&mut command)?);
    }
    Some(arguments)
}

/// What a client asks without changing anything.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    Value(Bytes),
    Values(Vec<Bytes>),
    Exist(Vec<Bytes>),
    Length(Bytes),
    Size,
}

/// A key. A short one lies in the table itself: looking it up is one way to memory less.
type Key = SmallVec<[u8; 23]>;

/// The keys and their values.
#[derive(Debug, Default)]
pub(crate) struct Store {
    values: HashMap<Key, Bytes>,
}

impl Store {
    /// Answers the questions in their order, until the answers hold `bytes_max`: at least one of
    /// them, and not always all.
    pub(crate) fn answer(&self, questions: &[Question], bytes_max: usize) -> Vec<Reply> {
        let (mut replies, mut bytes) = (Vec::with_capacity(questions.len()), 0);
        for question in questions {
            let reply = self.answer_one(question);
            bytes += reply.held_bytes();
            replies.push(reply);
            if bytes >= bytes_max {
                break;
            }
        }
        replies
    }

    fn answer_one(&self, question: &Question) -> Reply {
        match question {
            Question::Value(key) => self.value(key),
            Question::Values(keys) => {
                let bytes: usize =
                    keys.iter().filter_map(|key| self.values.get(&**key)).map(Bytes::len).sum();
                if bytes > REPLY_BYTES_MAX {
                    let text = format!("a reply of {bytes} bytes is longer than the limit of");
                    return Reply::error_of(format!("ERR {text} {REPLY_BYTES_MAX}"));
                }
                Reply::Array(keys.iter().map(|key| self.value(key)).collect())
            }
            Question::Exist(keys) => {
                let present = keys.iter().filter(|key| self.values.contains_key(&***key));
                Reply::Integer(length(present.count()))
            }
            Question::Length(key) => {
                Reply::Integer(length(self.values.get(&**key).map_or(0, Bytes::len)))
            }
            Question::Size => Reply::Integer(length(self.values.len())),
        }
    }

    fn value(&self, key: &[u8]) -> Reply {
        self.values.get(key).cloned().map_or(Reply::Nil, Reply::Bulk)
    }

    /// Changes what the command says; `None` if its bytes are no command.
    fn change(&mut self, command: &[u8]) -> Option<Reply> {
        let (change, arguments) = command.split_first()?;
        match Change::from_byte(*change)? {
            Change::Set => {
                let [key, value, mode] = take_exactly(arguments)?;
                Some(self.set(key, value, *mode.first()?))
            }
            Change::SetIfAbsent => {
                let [key, value] = take_exactly(arguments)?;
                let absent = !self.values.contains_key(key);
                if absent {
                    self.insert(key, value);
                }
                Some(Reply::Integer(absent.into()))
            }
            Change::SetMany => {
                let arguments = take_all(arguments)?;
                let (pairs, rest) = arguments.as_chunks();
                if !rest.is_empty() {
                    return None;
                }
                for [key, value] in pairs {
                    self.insert(key, value);
                }
                Some(Reply::OK)
            }
            Change::Delete => {
                let keys = take_all(arguments)?;
                let removed = keys.into_iter().filter(|key| self.values.remove(*key).is_some());
                Some(Reply::Integer(length(removed.count())))
            }
            Change::Add => {
                let [key, number] = take_exactly(arguments)?;
                Some(self.add(key, i64::from_le_bytes(number.try_into().ok()?)))
            }
            Change::Append => {
                let [key, more] = take_exactly(arguments)?;
                Some(self.append(key, more))
            }
            Change::Clear => {
                let [] = take_exactly(arguments)?;
                self.values = HashMap::new();
                Some(Reply::OK)
            }
        }
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        match self.values.get_mut(key) {
            Some(held) => replace(held, value),
            None => {
                self.values.insert(Key::from_slice(key), Bytes::copy_from_slice(value));
            }
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8], mode: u8) -> Reply {
        if mode == 0 {
            self.insert(key, value);
            return Reply::OK;
        }
        let present = self.values.contains_key(key);
        let old = if mode & SetMode::ANSWER_OLD == 0 { None } else { Some(self.value(key)) };
        let refused = (mode & SetMode::IF_ABSENT != 0 && present)
            || (mode & SetMode::IF_PRESENT != 0 && !present);
        if !refused {
            self.insert(key, value);
        }
        old.unwrap_or(if refused { Reply::Nil } else { Reply::OK })
    }

    fn add(&mut self, key: &[u8], number: i64) -> Reply {
        let held = self.values.get(key).map_or(Some(0), |value| integer(value));
        let Some(held) = held else { return NOT_AN_INTEGER };
        let Some(sum) = held.checked_add(number) else { return OVERFLOW };
        self.insert(key, sum.to_string().as_bytes());
        Reply::Integer(sum)
    }

    fn append(&mut self, key: &[u8], more: &[u8]) -> Reply {
        let held = self.values.get(key).map_or(&[][..], |value| value);
        let bytes = held.len() + more.len();
        if bytes > ARGUMENT_BYTES_MAX {
            return Reply::Error(Cow::Owned(format!(
                "ERR string exceeds maximum allowed size ({ARGUMENT_BYTES_MAX} bytes)"
            )));
        }
        let whole = [held, more].concat();
        self.values.insert(Key::from_slice(key), whole.into());
        Reply::Integer(length(bytes))
    }
}

/// Puts a value in the place of another: into its memory, if it is as long and no reply shares it.
fn replace(held: &mut Bytes, value: &[u8]) {
    *held = match std::mem::take(held).try_into_mut() {
        Ok(mut memory) if memory.len() == value.len() => {
            memory.copy_from_slice(value);
            memory.freeze()
        }
        _ => Bytes::copy_from_slice(value),
    };
}

impl StateMachine for Store {
    type Answer = Reply;

    fn apply(&mut self, _: Place, command: &[u8]) -> Reply {
        self.change(command).unwrap_or(NO_COMMAND)
    }
}

//! A client of ZooKeeper: its own protocol, big-endian fields in frames behind their length.
//!
//! A session begins with a request to connect. Every request after it has a number, which its reply
//! repeats, and a type. A session that asks something all the time needs no pings.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::stream::{receive, send};

/// How long a session lives without a request; the server allows at most 20 of its ticks.
const SESSION: Duration = Duration::from_secs(10);

/// A reply longer than this is none that was asked for.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// The types of requests.
const CREATE: i32 = 1;
const VALUE: i32 = 4;
const SET: i32 = 5;
const SYNC: i32 = 9;
const CLOSE: i32 = -11;

/// The code that says that a node is there already.
const NODE_EXISTS: i32 = -110;

/// A reply begins with its number, the transaction and a code.
const HEADER_BYTES: usize = 16;

/// A session.
#[derive(Debug)]
pub(crate) struct Jute {
    stream: TcpStream,
    request: Vec<u8>,
    reply: Vec<u8>,
    number: i32,
}

impl Jute {
    /// Connects and begins a session.
    ///
    /// # Errors
    ///
    /// The connection broke, or the server takes no sessions.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = super::stream::connect(address).await?;
        let mut it = Self { stream, request: Vec::new(), reply: Vec::new(), number: 0 };
        it.request.extend_from_slice(&[0; 4]);
        // The protocol's version, and the last transaction that was seen.
        it.put_number(0);
        it.request.extend_from_slice(&[0; 8]);
        it.put_number(i32::try_from(SESSION.as_millis()).unwrap_or(i32::MAX));
        // No session of before, an empty password of 16 bytes, and no server that only reads.
        it.request.extend_from_slice(&[0; 8]);
        it.put_bytes(&[0; 16]);
        it.request.push(0);
        it.exchange().await?;
        let timeout = it.reply.get(8..12).is_some_and(|timeout| timeout != [0; 4]);
        if timeout { Ok(it) } else { Err("the server gave no session".into()) }
    }

    /// Makes the node of a key, unless it is there.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn create(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        self.begin(CREATE);
        self.put_bytes(key.as_bytes());
        self.put_bytes(value);
        // One entry of access: everything for everybody; and an ordinary node.
        self.put_number(1);
        self.put_number(31);
        self.put_bytes(b"world");
        self.put_bytes(b"anyone");
        self.put_number(0);
        match self.answer().await? {
            0 | NODE_EXISTS => Ok(()),
            code => Err(format!("create: code {code}")),
        }
    }

    /// Sets the value of a key whose node is there.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn set(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        self.begin(SET);
        self.put_bytes(key.as_bytes());
        self.put_bytes(value);
        // Whatever its version.
        self.put_number(-1);
        match self.answer().await? {
            0 => Ok(()),
            code => Err(format!("setData: code {code}")),
        }
    }

    /// The value of a key: nothing that was acknowledged before, by any server, is missed.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn value(&mut self, key: &str) -> Result<Vec<u8>, String> {
        self.begin(SYNC);
        self.put_bytes(key.as_bytes());
        let code = self.answer().await?;
        if code != 0 {
            return Err(format!("sync: code {code}"));
        }
        self.begin(VALUE);
        self.put_bytes(key.as_bytes());
        self.request.push(0);
        match self.answer().await? {
            0 => {}
            code => return Err(format!("getData: code {code}")),
        }
        let body = &self.reply[4 + HEADER_BYTES..];
        let (length, body) = body.split_first_chunk().ok_or("a value has no length")?;
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or_default();
        Ok(body.get(..length).ok_or("a value is cut off")?.to_vec())
    }

    /// Ends the session, so that the server need not wait for it to expire.
    pub(crate) async fn close(mut self) {
        self.begin(CLOSE);
        // The server may close first.
        let _ = self.answer().await;
    }

    fn begin(&mut self, kind: i32) {
        self.number = self.number.wrapping_add(1);
        self.request.clear();
        self.request.extend_from_slice(&[0; 4]);
        self.put_number(self.number);
        self.put_number(kind);
    }

    fn put_number(&mut self, number: i32) {
        self.request.extend_from_slice(&number.to_be_bytes());
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_number(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.request.extend_from_slice(bytes);
    }

    /// Sends the request and returns the code of its reply.
    async fn answer(&mut self) -> Result<i32, String> {
        self.exchange().await?;
        let header = self.reply.get(4..4 + HEADER_BYTES).ok_or("a reply is too short")?;
        let number = |at: usize| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            i32::from_be_bytes(bytes)
        };
        if number(0) != self.number {
            return Err(format!("the reply {} is not to request {}", number(0), self.number));
        }
        Ok(number(12))
    }

    /// Sends the request and waits for one whole frame.
    async fn exchange(&mut self) -> Result<(), String> {
        let length = i32::try_from(self.request.len() - 4).unwrap_or(i32::MAX);
        self.request[..4].copy_from_slice(&length.to_be_bytes());
        send(&self.stream, &self.request).await?;
        self.reply.clear();
        loop {
            if let Some(length) = self.reply.first_chunk() {
                let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                if length > REPLY_BYTES_MAX {
                    return Err(format!("a reply has {length} bytes"));
                }
                if self.reply.len() >= 4 + length {
                    return Ok(());
                }
            }
            receive(&mut self.stream, &mut self.reply, REPLY_BYTES_MAX * 2).await?;
        }
    }
}

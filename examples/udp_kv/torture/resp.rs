//! A client of RESP2 over TCP, as small as the torture needs it: commands out, replies in, each
//! within a time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Longer replies than this are none that the torture asks for.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Option<Vec<u8>>),
}

/// Bytes that are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Appends a command to what will be sent.
pub(crate) fn encode(words: &[&str], bytes: &mut Vec<u8>) {
    bytes.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
}

/// The reply that the bytes begin with, and its length; nothing if it is not all there.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    let Some((frame, length)) = decode(bytes).map_err(|_| Malformed)? else {
        return if bytes.len() > REPLY_BYTES_MAX { Err(Malformed) } else { Ok(None) };
    };
    let text = |bytes| String::from_utf8(bytes).map_err(|_| Malformed);
    let reply = match frame {
        OwnedFrame::SimpleString(bytes) => Reply::Simple(text(bytes)?),
        OwnedFrame::Error(text) => Reply::Error(text),
        OwnedFrame::Integer(number) => Reply::Integer(number),
        OwnedFrame::BulkString(bytes) => Reply::Bulk(Some(bytes)),
        OwnedFrame::Null => Reply::Bulk(None),
        OwnedFrame::Array(_) => return Err(Malformed),
    };
    Ok(Some((reply, length)))
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// What came and is not read yet.
    bytes: Vec<u8>,
}

impl Client {
    /// Connects, for replies that each come within a time.
    ///
    /// # Errors
    ///
    /// The system's, and that the time is over.
    pub(crate) fn connect(address: SocketAddr, reply_timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(reply_timeout))?;
        stream.set_write_timeout(Some(reply_timeout))?;
        Ok(Self { stream, bytes: Vec::new() })
    }

    /// Sends commands.
    ///
    /// # Errors
    ///
    /// The system's. Some of the commands may have arrived nevertheless.
    pub(crate) fn send(&mut self, commands: &[u8]) -> io::Result<()> {
        self.stream.write_all(commands)
    }

    /// The next reply.
    ///
    /// # Errors
    ///
    /// The system's; that the time is over; and [`io::ErrorKind::InvalidData`] for what is no
    /// reply.
    pub(crate) fn receive(&mut self) -> io::Result<Reply> {
        let mut more = [0; 8192];
        loop {
            match parse(&self.bytes) {
                Ok(Some((reply, length))) => {
                    self.bytes.drain(..length);
                    return Ok(reply);
                }
                Ok(None) => {}
                Err(Malformed) => {
                    let text = String::from_utf8_lossy(&self.bytes).chars().take(80).collect();
                    return Err(io::Error::new::<String>(io::ErrorKind::InvalidData, text));
                }
            }
            match self.stream.read(&mut more)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.bytes.extend(&more[..length]),
            }
        }
    }
}

/// One command to a server of which nothing else is wanted.
///
/// # Errors
///
/// As connecting, sending and receiving have.
pub(crate) fn ask(address: SocketAddr, words: &[&str], timeout: Duration) -> io::Result<Reply> {
    let mut client = Client::connect(address, timeout)?;
    let mut command = Vec::new();
    encode(words, &mut command);
    client.send(&command)?;
    client.receive()
}

//! A client of `udp_kv` and of Redis: RESP2, a request and its reply.

use std::io::Write;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::stream::{receive, send};

/// A reply longer than this is none that was asked for.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// A connection.
#[derive(Debug)]
pub(crate) struct Resp {
    stream: TcpStream,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Resp {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Says what the system says.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = super::stream::connect(address).await?;
        Ok(Self { stream, request: Vec::new(), reply: Vec::new() })
    }

    /// Sets a key.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn set(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        self.ask(&[b"SET", key.as_bytes(), value]).await?;
        while !self.reply.ends_with(b"\r\n") {
            self.more().await?;
        }
        if self.reply == b"+OK\r\n" { Ok(()) } else { Err(self.shown()) }
    }

    /// The value of a key, which must be there.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn value(&mut self, key: &str) -> Result<Vec<u8>, String> {
        self.ask(&[b"GET", key.as_bytes()]).await?;
        self.bulk().await
    }

    /// The lines of INFO.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn info(&mut self) -> Result<String, String> {
        self.ask(&[b"INFO"]).await?;
        String::from_utf8(self.bulk().await?).map_err(|error| error.to_string())
    }

    async fn ask(&mut self, arguments: &[&[u8]]) -> Result<(), String> {
        self.request.clear();
        self.reply.clear();
        let written = "writing to a Vec does not fail";
        write!(self.request, "*{}\r\n", arguments.len()).expect(written);
        for argument in arguments {
            write!(self.request, "${}\r\n", argument.len()).expect(written);
            self.request.extend_from_slice(argument);
            self.request.extend_from_slice(b"\r\n");
        }
        send(&self.stream, &self.request).await
    }

    /// The reply, which must be a bulk string.
    async fn bulk(&mut self) -> Result<Vec<u8>, String> {
        let header = loop {
            match self.reply.iter().position(|byte| *byte == b'\n') {
                Some(end) => break end + 1,
                None => self.more().await?,
            }
        };
        let length = self.reply[..header].trim_ascii().strip_prefix(b"$");
        let length = length.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let Some(length) = length.filter(|length: &usize| *length <= REPLY_BYTES_MAX) else {
            return Err(self.shown());
        };
        while self.reply.len() < header + length + 2 {
            self.more().await?;
        }
        Ok(self.reply[header..header + length].to_vec())
    }

    async fn more(&mut self) -> Result<(), String> {
        receive(&mut self.stream, &mut self.reply, REPLY_BYTES_MAX * 2).await
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.reply).trim().to_owned()
    }
}

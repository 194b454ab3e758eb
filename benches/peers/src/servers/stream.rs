//! The least that a connection of raw bytes needs, for the protocols that are spoken by hand.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Connects; packets leave at once.
///
/// # Errors
///
/// Says what the system says.
pub(crate) async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Sends all bytes.
///
/// # Errors
///
/// Says what the system says.
pub(crate) async fn send(stream: &TcpStream, mut bytes: &[u8]) -> Result<(), String> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stream.writable().await.map_err(|error| error.to_string())?;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

/// Waits for bytes and puts them behind those that are there.
///
/// # Errors
///
/// The connection ended or broke, or there are more bytes than any reply has.
pub(crate) async fn receive(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), String> {
    if bytes.len() >= bytes_max {
        return Err(format!("a reply is longer than {bytes_max} bytes"));
    }
    bytes.reserve(512);
    let before = bytes.len();
    // Not when the stream is said to be readable: this spares a system call that finds nothing.
    stream.read_buf(bytes).await.map_err(|error| error.to_string())?;
    if bytes.len() == before { Err("the server closed the connection".into()) } else { Ok(()) }
}

//! One connection to a server, whatever it speaks.
//!
//! Each client is as thin as its protocol allows: bytes made by hand over a plain connection for
//! RESP and ZooKeeper, `h2` with messages by `prost` for etcd. What they cost is measured beside
//! the servers.

use std::net::SocketAddr;

use super::grpc::Grpc;
use super::jute::Jute;
use super::kind::Kind;
use super::resp::Resp;

/// A connection.
#[derive(Debug)]
pub(crate) enum Client {
    Resp(Resp),
    Jute(Jute),
    Grpc(Box<Grpc>),
}

/// The name of a key: of the same length for each, and a path, as ZooKeeper wants it.
pub(crate) fn name(key: u32) -> String {
    format!("/k{key:07}")
}

impl Client {
    /// Connects to a server of this kind.
    ///
    /// # Errors
    ///
    /// Says what the system or the server says.
    pub(crate) async fn connect(kind: Kind, address: SocketAddr) -> Result<Self, String> {
        Ok(match kind {
            Kind::Synod | Kind::Redis => Self::Resp(Resp::connect(address).await?),
            Kind::Zookeeper => Self::Jute(Jute::connect(address).await?),
            Kind::Etcd | Kind::EtcdQuick => Self::Grpc(Box::new(Grpc::connect(address).await?)),
        })
    }

    /// Sets a key that may not be there yet.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn create(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        match self {
            Self::Jute(client) => client.create(key, value).await,
            other => other.set(key, value).await,
        }
    }

    /// Sets a key that was created.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn set(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        match self {
            Self::Resp(client) => client.set(key, value).await,
            Self::Jute(client) => client.set(key, value).await,
            Self::Grpc(client) => client.set(key, value).await,
        }
    }

    /// The value of a key: what was acknowledged before by any member is not missed.
    ///
    /// # Errors
    ///
    /// The connection broke, the reply is an error, or the key is not there.
    pub(crate) async fn value(&mut self, key: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Resp(client) => client.value(key).await,
            Self::Jute(client) => client.value(key).await,
            Self::Grpc(client) => client.value(key).await,
        }
    }

    /// Ends the connection.
    pub(crate) async fn close(self) {
        if let Self::Jute(client) = self {
            client.close().await;
        }
    }
}

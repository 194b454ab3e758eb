//! A client of etcd: gRPC, which is one HTTP/2 request for each call, over `h2` itself.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use prost::Message;

/// A message of gRPC begins with whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// A reply longer than this is none that was asked for.
const REPLY_BYTES_MAX: usize = 64 << 10;

#[derive(Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member: u64,
    #[prost(uint64, tag = "4")]
    term: u64,
}

#[derive(Message)]
struct PutResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
}

#[derive(Message)]
struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

#[derive(Message)]
struct Pair {
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

#[derive(Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    pairs: Vec<Pair>,
}

#[derive(Message)]
struct StatusRequest {}

#[derive(Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Grpc {
    requests: SendRequest<Bytes>,
    /// The whole of a request but its body, for each method.
    put: Request<()>,
    range: Request<()>,
    status: Request<()>,
    buffer: BytesMut,
}

/// A request to this method of a server.
fn request(address: SocketAddr, method: &str) -> Result<Request<()>, String> {
    let uri: Uri = format!("http://{address}{method}").parse().map_err(|_| "no address")?;
    let request = Request::builder()
        .version(Version::HTTP_2)
        .method(Method::POST)
        .uri(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    request.body(()).map_err(|error| error.to_string())
}

impl Grpc {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Says what the system or HTTP/2 says.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = super::stream::connect(address).await?;
        let (requests, connection) =
            h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
        // It ends with the last handle; what broke it is told to every request, too.
        tokio::spawn(connection);
        Ok(Self {
            requests,
            put: request(address, "/etcdserverpb.KV/Put")?,
            range: request(address, "/etcdserverpb.KV/Range")?,
            status: request(address, "/etcdserverpb.Maintenance/Status")?,
            buffer: BytesMut::new(),
        })
    }

    /// Sets a key.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn set(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let message = PutRequest { key, value: Bytes::copy_from_slice(value) };
        let response: PutResponse = self.call(self.put.clone(), &message).await?;
        response.header.map(|_| ()).ok_or_else(|| "a reply without a header".into())
    }

    /// The value of a key, which must be there. Linearizable, as is etcd's default.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn value(&mut self, key: &str) -> Result<Vec<u8>, String> {
        let message = RangeRequest { key: Bytes::copy_from_slice(key.as_bytes()) };
        let mut response: RangeResponse = self.call(self.range.clone(), &message).await?;
        Ok(response.pairs.pop().ok_or_else(|| format!("{key} is not there"))?.value)
    }

    /// Whether the member leads, and its term.
    ///
    /// # Errors
    ///
    /// The connection broke, or the reply is an error.
    pub(crate) async fn status(&mut self) -> Result<(bool, u64), String> {
        let response: StatusResponse = self.call(self.status.clone(), &StatusRequest {}).await?;
        let header = response.header.ok_or("a reply without a header")?;
        Ok((response.leader == header.member, header.term))
    }

    async fn call<R: Message + Default>(
        &mut self,
        request: Request<()>,
        message: &impl Message,
    ) -> Result<R, String> {
        let broke = |error: h2::Error| error.to_string();
        self.buffer.reserve(PREFIX_BYTES + message.encoded_len());
        self.buffer.put_u8(0);
        self.buffer.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
        message.encode(&mut self.buffer).map_err(|error| error.to_string())?;
        std::future::poll_fn(|context| self.requests.poll_ready(context)).await.map_err(broke)?;
        let (response, mut body) = self.requests.send_request(request, false).map_err(broke)?;
        body.send_data(self.buffer.split().freeze(), true).map_err(broke)?;
        let response = response.await.map_err(broke)?;
        if response.status() != StatusCode::OK {
            return Err(format!("HTTP {}", response.status()));
        }
        check(response.headers())?;
        let mut body = response.into_body();
        let bytes = whole(&mut body).await?;
        let trailers = body.trailers().await.map_err(broke)?;
        check(&trailers.ok_or("a reply without trailers")?)?;
        let message = bytes.get(PREFIX_BYTES..).ok_or("a reply without a message")?;
        R::decode(message).map_err(|error| error.to_string())
    }
}

/// Holds that these headers tell of no error. Only trailers must tell that there was none.
fn check(headers: &HeaderMap) -> Result<(), String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some(code) => Err(format!("code {code}: {}", text("grpc-message").unwrap_or_default())),
    }
}

/// The whole body.
async fn whole(body: &mut RecvStream) -> Result<Bytes, String> {
    let mut all: Option<Bytes> = None;
    while let Some(part) = body.data().await {
        let part = part.map_err(|error| error.to_string())?;
        // The server may send more when this has been taken.
        let _ = body.flow_control().release_capacity(part.len());
        all = Some(match all {
            None => part,
            Some(before) => [before, part].concat().into(),
        });
        if all.as_ref().is_some_and(|all| all.len() > REPLY_BYTES_MAX) {
            return Err(format!("a reply is longer than {REPLY_BYTES_MAX} bytes"));
        }
    }
    Ok(all.unwrap_or_default())
}

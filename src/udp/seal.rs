//! How a frame is wrapped into a datagram, and how a datagram is judged.
//!
//! ```text
//!  0 magic       "SYNU"
//!  4 version     u8   of this layout
//!  5 sealed      u8   1 with a cluster key, 0 without
//!  6 cluster     u32  CRC32C of the cluster's id
//! 10 replica     u32  the sender
//! 14 incarnation u64  which of its starts it is in
//! 22 nonce       24 bytes, sealed only: 16 random ones, drawn at the start, and a count
//! .. the frame   encrypted if sealed, then 16 bytes that authenticate it, the 22 bytes above and
//!                the cluster's whole id (XChaCha20-Poly1305)
//! ```

use alloc::vec::Vec;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};

use super::key::ClusterKey;
use crate::checksum;
use crate::membership::{ClusterId, Incarnation, ReplicaId};

const MAGIC: [u8; 4] = *b"SYNU";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 22;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// What a datagram with a key needs beside the frame, in bytes; without a key it is less.
pub const DATAGRAM_OVERHEAD: usize = HEAD_BYTES + NONCE_BYTES + TAG_BYTES;

/// Who sent a datagram: certain if there is a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) replica: ReplicaId,
    pub(super) incarnation: Incarnation,
}

/// Why a datagram is none of the cluster's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too short, or it begins otherwise.
    Malformed,
    /// Of another version of this layout.
    Version,
    /// Of another cluster.
    Foreign,
    /// Not made, or not left as it was, by somebody with the key.
    Forged,
}

/// Wraps frames into datagrams and takes them out again.
pub(super) struct Seal {
    cipher: Option<XChaCha20Poly1305>,
    head: [u8; HEAD_BYTES],
    /// What is authenticated beside the frame; begins with the head.
    associated: [u8; HEAD_BYTES + 16],
    nonce: [u8; NONCE_BYTES],
    count: u64,
}

impl Seal {
    /// The seal of this sender. `random` must differ from start to start.
    pub(super) fn new(
        key: Option<&ClusterKey>,
        cluster: ClusterId,
        me: Sender,
        random: [u8; 16],
    ) -> Self {
        let mut head = [0; HEAD_BYTES];
        head[..4].copy_from_slice(&MAGIC);
        head[4] = VERSION;
        head[5] = u8::from(key.is_some());
        head[6..10].copy_from_slice(&checksum::of(&cluster.0).to_le_bytes());
        head[10..14].copy_from_slice(&me.replica.0.to_le_bytes());
        head[14..22].copy_from_slice(&me.incarnation.0.to_le_bytes());
        let mut associated = [0; HEAD_BYTES + 16];
        associated[..HEAD_BYTES].copy_from_slice(&head);
        associated[HEAD_BYTES..].copy_from_slice(&cluster.0);
        let mut nonce = [0; NONCE_BYTES];
        nonce[..16].copy_from_slice(&random);
        let cipher = key.map(|key| XChaCha20Poly1305::new(key.bytes().into()));
        Self { cipher, head, associated, nonce, count: 0 }
    }

    /// Writes the datagram of a frame into `datagram`, in place of what it held.
    pub(super) fn wrap(&mut self, frame: &[u8], datagram: &mut Vec<u8>) {
        datagram.clear();
        datagram.extend_from_slice(&self.head);
        let Some(cipher) = &self.cipher else {
            datagram.extend_from_slice(frame);
            return;
        };
        // Under one key no nonce comes twice: 128 random bits tell starts apart, the count
        // datagrams.
        self.count += 1;
        self.nonce[16..].copy_from_slice(&self.count.to_le_bytes());
        datagram.extend_from_slice(&self.nonce);
        let start = datagram.len();
        datagram.extend_from_slice(frame);
        let tag = cipher
            .encrypt_inout_detached(
                &XNonce::from(self.nonce),
                &self.associated,
                (&mut datagram[start..]).into(),
            )
            .expect("a datagram is far shorter than the cipher's limit");
        datagram.extend_from_slice(&tag);
    }

    /// Takes the frame out of a datagram.
    pub(super) fn unwrap(&self, datagram: &[u8]) -> Result<(Sender, Vec<u8>), Refusal> {
        let (head, rest) = datagram.split_first_chunk::<HEAD_BYTES>().ok_or(Refusal::Malformed)?;
        if head[..4] != MAGIC {
            return Err(Refusal::Malformed);
        }
        if head[4] != VERSION {
            return Err(Refusal::Version);
        }
        if head[6..10] != self.head[6..10] {
            return Err(Refusal::Foreign);
        }
        let sender = Sender {
            replica: ReplicaId(u32::from_le_bytes(core::array::from_fn(|i| head[10 + i]))),
            incarnation: Incarnation(u64::from_le_bytes(core::array::from_fn(|i| head[14 + i]))),
        };
        // Without a key a sealed one cannot be read; with a key an unsealed one proves nothing.
        if head[5] != self.head[5] {
            return Err(Refusal::Forged);
        }
        let Some(cipher) = &self.cipher else { return Ok((sender, rest.to_vec())) };
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Refusal::Malformed)?;
        let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Refusal::Malformed)?;
        let mut associated = self.associated;
        associated[..HEAD_BYTES].copy_from_slice(head);
        let mut frame = text.to_vec();
        cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &associated,
                frame.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| Refusal::Forged)?;
        Ok((sender, frame))
    }
}

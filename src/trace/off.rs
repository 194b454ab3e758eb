//! Traces, when the `tracing` feature is off: nothing, but for warnings that must be seen.

use crate::membership::ReplicaId;
use crate::node::StopReason;
use crate::output::Event;
use crate::wire::FrameError;

/// Something happened inside a replica.
pub(crate) fn event(_replica: ReplicaId, _event: &Event) {}

/// A frame was refused.
pub(crate) fn refused(_replica: ReplicaId, _error: &FrameError) {}

/// The node has stopped.
pub(crate) fn stopped(_replica: ReplicaId, _reason: &StopReason) {}

/// A datagram was refused.
#[allow(dead_code, reason = "only the UDP transport calls it")]
pub(crate) fn datagram(_reason: &'static str) {}

/// Something that an operator should know: on standard error.
#[allow(dead_code, reason = "only the UDP transport calls it")]
pub(crate) fn warning(text: &str) {
    std::eprintln!("synod: warning: {text}");
}

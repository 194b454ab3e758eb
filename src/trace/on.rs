//! Traces, given to the `tracing` crate with the target `synod`.

use crate::membership::ReplicaId;
use crate::node::StopReason;
use crate::output::Event;
use crate::wire::FrameError;

/// Something happened inside a replica.
pub(crate) fn event(replica: ReplicaId, event: &Event) {
    match event {
        Event::Halted { .. } => tracing::error!(target: "synod", %replica, ?event),
        Event::PeerMisbehaved { .. } | Event::PersistedTooFar { .. } => {
            tracing::warn!(target: "synod", %replica, ?event);
        }
        Event::Formed { .. }
        | Event::Preparing { .. }
        | Event::Leading { .. }
        | Event::Following { .. }
        | Event::HandingOver { .. }
        | Event::HandedOver { .. }
        | Event::HandOverGivenUp { .. }
        | Event::Healed { .. } => tracing::info!(target: "synod", %replica, ?event),
        Event::Ignored { .. } => tracing::debug!(target: "synod", %replica, ?event),
    }
}

/// A frame was refused.
pub(crate) fn refused(replica: ReplicaId, error: &FrameError) {
    tracing::debug!(target: "synod", %replica, %error, "frame refused");
}

/// The node has stopped.
pub(crate) fn stopped(replica: ReplicaId, reason: &StopReason) {
    if matches!(reason, StopReason::Asked) {
        tracing::info!(target: "synod", %replica, "stopped");
    } else {
        tracing::error!(target: "synod", %replica, %reason, "stopped");
    }
}

/// A datagram was refused.
#[allow(dead_code, reason = "only the UDP transport calls it")]
pub(crate) fn datagram(reason: &'static str) {
    tracing::debug!(target: "synod", reason, "datagram refused");
}

/// Something that an operator should know.
#[allow(dead_code, reason = "only the UDP transport calls it")]
pub(crate) fn warning(text: &str) {
    tracing::warn!(target: "synod", "{text}");
}

//! What should happen sometimes: a run without these tests little.

use super::counts::counts;

counts! {
    /// How often situations came up that the tests must reach.
    pub struct Marks {
        /// A leader filled a slot with a Noop.
        noops,
        /// A leader proposed again what an earlier ballot had proposed.
        adoptions,
        /// An entry that phase 1 named was fetched from another replica.
        fetches,
        /// A Promise took more than one page.
        pages,
        /// A ballot was refused.
        nacks,
        /// An acceptor had to catch up, or an Accept came late.
        behinds,
        /// A chosen entry was sent out of a log.
        caught_up,
        /// Entries were applied out of the log.
        applied_from_log,
        /// An entry was learned without having been accepted at its ballot.
        learned,
        /// A batch lost its slot to another entry.
        superseded,
        /// A command was given back unproposed after it had been taken in.
        given_back,
        /// A command was refused because too much waited.
        full,
        /// A crash lost records that were not synced.
        lost_records,
        /// A restarted replica knew that a slot it may have accepted was lost.
        faulty,
        /// A restarted replica knew that a chosen entry was lost.
        holes,
        /// A replica stopped leading.
        deposed,
        /// A message of an earlier start was refused.
        old_lives,
        /// A message in a member's name, but from another disk, was refused.
        other_disks,
        /// A message in the receiver's own name was refused.
        own_names,
        /// A message that only a formed replica may take was refused.
        not_formed,
        /// A Heartbeat of a replica that is no member was not followed.
        no_members,
        /// A frame was refused that is shorter than a frame can be.
        frames_too_short,
        /// A frame was refused that is longer than a frame may be.
        frames_too_long,
        /// A frame was refused that does not begin as a frame.
        frames_without_magic,
        /// A frame was refused that is of another wire version.
        frames_of_other_version,
        /// A frame was refused whose checksum does not fit.
        frames_with_wrong_checksum,
        /// A frame was refused that is of another cluster.
        frames_of_other_cluster,
        /// A frame was refused whose header does not decode.
        frames_with_bad_header,
        /// A frame was refused that says what cannot be.
        frames_out_of_bounds,
        /// A frame was refused whose payload is no entry.
        frames_with_bad_payload,
        /// A frame was refused that has bytes behind a message without a payload.
        frames_with_trailing_bytes,
        /// A fragment, or the acknowledgement of one, was refused.
        fragments_refused,
        /// A client was told who leads instead, and went there.
        hints,
        /// A client sent a command again, as a new one.
        retried,
        /// A client's patience ended before an answer came.
        given_up,
        /// A client's command became unknown because its replica stopped.
        stopped,
    }
}

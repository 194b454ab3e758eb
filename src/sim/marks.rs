//! What should happen sometimes: a run without these tests little.

use super::counts::counts;

counts! {
    /// How often situations came up that the tests must reach.
    ///
    /// ```
    /// use synod::sim::{Marks, Swarm, simulate};
    ///
    /// let mut sum = Marks::default();
    /// for seed in 1..=2 {
    ///     sum.add(&simulate(&Swarm::from_seed(seed))?.marks);
    /// }
    /// let missing: Vec<_> = sum.fields().into_iter().filter(|(_, count)| *count == 0).collect();
    /// println!("two runs never came to {missing:?}");
    /// # Ok::<(), synod::sim::Violation>(())
    /// ```
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
        /// A leader told what is chosen in a message of its own.
        announcements,
        /// A chosen entry was sent out of a log.
        caught_up,
        /// Entries were applied out of the log.
        applied_from_log,
        /// An entry was learned without having been accepted at its ballot.
        learned,
        /// Commands that were offered to a leader were chosen in none of the slots below their
        /// limit.
        superseded,
        /// A command that was taken in found no leader in time.
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
        /// Another replica led after a leader had begun to hand over.
        handed_over,
        /// A hand-over came to nothing.
        hand_overs_given_up,
        /// A leader handed over to a replica of higher priority, unasked, and that led.
        preferred_led,
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
        /// A slot was chosen by fewer than a majority of the members.
        chosen_by_few,
        /// A leader led on the Promises of fewer than a majority of the members.
        led_by_few,
        /// Commands were forwarded to a leader.
        forwards,
        /// The same commands were forwarded again.
        forwards_again,
        /// A linearizable read was served.
        reads_served,
        /// A read found no leader in time.
        reads_refused,
        /// A client sent a command again, as a new one.
        retried,
        /// A client's patience ended before an answer came.
        given_up,
        /// A client's command became unknown because its replica stopped.
        stopped,
        /// A start sealed off what was being written when the power failed.
        torn_tails,
        /// A segment was begun while a sync ran.
        rolled_in_sync,
        /// A start named records that were damaged.
        rot_found,
        /// A start mended a damaged copy of the superblock, where the promise lies.
        superblocks_mended,
        /// A log stopped for good after a failed sync or write, and its replica with it.
        poisoned_logs,
        /// A log found no room, and its replica stopped.
        full_disks,
        /// A log failed in another way, and its replica stopped.
        failed_calls,
        /// A start failed because the disk did.
        failed_starts,
        /// A start was refused: the directory was another replica's.
        refused_other_replica,
        /// A start was refused: the directory was another cluster's.
        refused_other_cluster,
        /// A start was refused: the superblock was of a later version.
        refused_newer_format,
        /// A start was refused: there was no superblock.
        refused_no_superblock,
        /// A start was refused: neither copy of the superblock held.
        refused_superblock_rot,
        /// A start was refused: the superblock was an older copy.
        refused_rolled_back,
        /// A start was refused: a segment was missing.
        refused_segment_missing,
        /// A start was refused: neither copy of a segment's header held.
        refused_segment_rot,
        /// A start was refused: a segment lay under another's name.
        refused_misdirected,
        /// A start was refused: a segment was another replica's.
        refused_foreign_segment,
        /// A start was refused: damage may have hidden a promise.
        refused_promise_lost,
        /// A wiped replica was refused by its peers.
        wiped_refused,
        /// A replica on an older copy of its directory was refused by its peers.
        rolled_back_refused,
    }
}

impl Marks {
    /// How often a log failed, and its replica stopped.
    pub(crate) fn logs_failed(&self) -> u64 {
        self.poisoned_logs + self.full_disks + self.failed_calls
    }
}

//! What went wrong in a run because the simulator made it go wrong.

use super::counts::counts;

counts! {
    /// How often each kind of fault was injected.
    ///
    /// ```
    /// use synod::sim::{Faults, Swarm, simulate};
    ///
    /// let mut sum = Faults::default();
    /// for seed in 1..=2 {
    ///     sum.add(&simulate(&Swarm::from_seed(seed))?.faults);
    /// }
    /// for (name, count) in sum.fields() {
    ///     println!("{name}: {count}");
    /// }
    /// # Ok::<(), synod::sim::Violation>(())
    /// ```
    pub struct Faults {
        /// A message was lost by its link.
        lost,
        /// A message was lost because its link was cut, or its receiver was down.
        unreachable,
        /// A message arrived twice.
        duplicated,
        /// A message took longer than its link's usual delay: in its tail, or as a straggler.
        late,
        /// A frame was damaged.
        damaged,
        /// A message that was sent long before arrived again.
        replayed,
        /// A message of somebody who may not speak as a member arrived.
        strangers,
        /// A frame of another cluster arrived.
        foreign_frames,
        /// Links were cut.
        cuts,
        /// Links that were cut took another shape while they were cut.
        turns,
        /// Cut links worked again, or stopped again, for a moment.
        flaps,
        /// A single link of several was cut, or mended, after another.
        clogs,
        /// A leader was cut off because it had something under way.
        hunts,
        /// A clock jumped forward.
        jumps_forward,
        /// A clock jumped back.
        jumps_back,
        /// A replica stood still, and then was told everything at once.
        freezes,
        /// A replica lost its power.
        crashes,
        /// A replica was stopped cleanly.
        clean_stops,
        /// All replicas lost their power at once.
        crashes_of_all,
        /// Something on a disk went bad.
        rotten_records,
        /// A sync of a disk was made to fail.
        failing_syncs,
        /// Some call of a disk was made to fail.
        failing_calls,
        /// A disk was full for a while.
        crowded_disks,
        /// A disk stood still for a while.
        stalls,
        /// Another directory lay in the place of a host's own.
        misfits,
        /// A directory was lost, and an empty one lay in its place.
        wipes,
        /// A directory was lost, and an older copy lay in its place.
        roll_backs,
    }
}

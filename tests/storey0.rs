//! The plain data of the field: each type against its rule or a simple model.
//!
//! Everything random comes from a fixed seed, so a failure repeats.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use oorandom::Rand64;
use quickcheck::{Gen, QuickCheck, Testable};
use synod::ballot::Ballot;
use synod::config::{Config, ConfigError};
use synod::entry::{
    Batch, BatchBuilder, BatchError, COMMAND_OVERHEAD_BYTES, CommandId, ENTRY_BYTES_MAX, Entry,
};
use synod::membership::{
    ClusterId, DiskId, Incarnation, MEMBERS_MAX, Member, Membership, MembershipError, ReplicaId,
    Replicas, VoteSet,
};
use synod::quorum::Tally;
use synod::slot::{ALPHA, Ring, Run, Slot, Slots};
use synod::time::Instant;

fn check(cases: u64, property: impl Testable) {
    QuickCheck::new().rng(Gen::from_size_and_seed(100, 0x5eed)).tests(cases).quickcheck(property);
}

// ---- ballots ----------------------------------------------------------------------------------

#[test]
fn ballots_are_ordered_by_round_then_replica_and_eq_agrees_with_ord() {
    fn property(a: (u64, u32), b: (u64, u32)) -> bool {
        let ballot = |(round, id)| Ballot { round, replica: ReplicaId(id) };
        let order = ballot(a).cmp(&ballot(b));
        order == a.cmp(&b) && (order.is_eq() == (ballot(a) == ballot(b)))
    }
    check(2_000, property as fn((u64, u32), (u64, u32)) -> bool);
}

#[test]
fn the_next_ballot_is_higher_and_owned_by_its_replica() {
    fn property(round: u64, owner: u32, me: u32) -> bool {
        let old = Ballot { round, replica: ReplicaId(owner) };
        match old.next(ReplicaId(me)) {
            Some(new) => new > old && new.replica == ReplicaId(me),
            None => round == u64::MAX,
        }
    }
    check(2_000, property as fn(u64, u32, u32) -> bool);
    let last = Ballot { round: u64::MAX, replica: ReplicaId(1) };
    assert_eq!(last.next(ReplicaId(2)), None);
    assert!(Ballot::ZERO.next(ReplicaId(0)).expect("round 1") > Ballot::ZERO);
}

// ---- slots, runs, the ring --------------------------------------------------------------------

#[test]
fn slot_arithmetic_saturates() {
    assert_eq!(Slot(u64::MAX).next(), Slot(u64::MAX));
    assert_eq!(Slot(u64::MAX - 1).plus(9), Slot(u64::MAX));
    assert_eq!(Slot(3).since(Slot(9)), 0);
    assert_eq!(Slot(9).since(Slot(3)), 6);
}

#[test]
fn ranges_of_slots_behave_like_sets() {
    fn property(a: (u8, u8), b: (u8, u8)) -> bool {
        let range = |(x, y): (u8, u8)| Slots::new(Slot(x.into()), Slot(y.into()));
        let set = |(x, y): (u8, u8)| (u64::from(x)..u64::from(y)).collect::<BTreeSet<_>>();
        let both: Vec<u64> = range(a).intersection(range(b)).iter().map(|s| s.0).collect();
        let expected: Vec<u64> = set(a).intersection(&set(b)).copied().collect();
        both == expected
            && range(a).len() == set(a).len() as u64
            && range(a).is_empty() == set(a).is_empty()
            && (0..=255).all(|s| range(a).contains(Slot(s)) == set(a).contains(&s))
    }
    check(2_000, property as fn((u8, u8), (u8, u8)) -> bool);
}

#[test]
fn runs_unfold_to_what_was_pushed_and_are_as_few_as_can_be() {
    fn property(steps: Vec<(u8, u8)>) -> bool {
        let (mut runs, mut pushed, mut slot) = (Vec::new(), Vec::new(), 0);
        for (gap, round) in steps {
            slot += 1 + u64::from(gap % 3 == 0);
            let ballot = Ballot { round: u64::from(round % 2), replica: ReplicaId(1) };
            Run::push(&mut runs, Slot(slot), ballot);
            pushed.push((Slot(slot), ballot));
        }
        let unfolded: Vec<_> = runs
            .iter()
            .flat_map(|run: &Run| run.slots.iter().map(|slot| (slot, run.ballot)))
            .collect();
        let fewest = runs
            .windows(2)
            .all(|two| two[0].slots.end != two[1].slots.start || two[0].ballot != two[1].ballot);
        unfolded == pushed && fewest
    }
    check(1_000, property as fn(Vec<(u8, u8)>) -> bool);
}

/// A ring with the model that it must equal: a map, and the first slot that has a place.
struct RingAndModel {
    ring: Ring<u8>,
    model: BTreeMap<u64, u8>,
    first: u64,
}

impl RingAndModel {
    fn step(&mut self, kind: u8, offset: u16, value: u8) -> bool {
        // Beyond ALPHA too, and below the first place.
        let slot = (self.first + u64::from(offset) % (ALPHA + 40)).saturating_sub(20);
        let has_place = slot >= self.first && slot < self.first + ALPHA;
        if self.ring.has_place(Slot(slot)) != has_place {
            return false;
        }
        match kind % 8 {
            0..=3 if has_place => {
                self.ring.insert(Slot(slot), value) == self.model.insert(slot, value)
            }
            4 => self.ring.remove(Slot(slot)) == self.model.remove(&slot),
            5 => {
                let changed = self.ring.at_mut(Slot(slot)).map(|held| {
                    *held = held.wrapping_add(value);
                    *held
                });
                let expected = self.model.get_mut(&slot).map(|held| {
                    *held = held.wrapping_add(value);
                    *held
                });
                changed == expected
            }
            6 => {
                self.ring.advance(Slot(slot));
                self.first = self.first.max(slot);
                self.model = self.model.split_off(&self.first);
                true
            }
            7 => {
                self.ring.iter_mut().for_each(|(_, held)| *held = held.wrapping_mul(3));
                self.model.values_mut().for_each(|held| *held = held.wrapping_mul(3));
                true
            }
            _ => true,
        }
    }

    fn agree(&self) -> bool {
        let held: Vec<_> = self.ring.iter().map(|(slot, value)| (slot.0, *value)).collect();
        let expected: Vec<_> = self.model.iter().map(|(slot, value)| (*slot, *value)).collect();
        let end = self.model.last_key_value().map_or(self.first, |(slot, _)| slot + 1);
        held == expected
            && self.ring.first() == Slot(self.first)
            && self.ring.end() == Slot(end)
            && self.ring.is_empty() == self.model.is_empty()
            && (self.first.saturating_sub(3)..end + 3)
                .all(|slot| self.ring.at(Slot(slot)) == self.model.get(&slot))
    }
}

#[test]
fn a_ring_equals_a_map() {
    fn property(steps: Vec<(u8, u16, u8)>) -> bool {
        let (ring, model) = (Ring::new(Slot::ZERO), BTreeMap::new());
        let mut pair = RingAndModel { ring, model, first: 0 };
        steps
            .into_iter()
            .all(|(kind, offset, value)| pair.step(kind, offset, value) && pair.agree())
    }
    check(1_000, property as fn(Vec<(u8, u16, u8)>) -> bool);
}

#[test]
#[should_panic(expected = "has no place")]
fn a_ring_refuses_a_slot_beyond_its_window() {
    Ring::new(Slot(5)).insert(Slot(5 + ALPHA), ());
}

#[test]
fn a_ring_at_the_end_of_all_slots_neither_panics_nor_wraps() {
    let mut ring = Ring::new(Slot(u64::MAX - 1));
    ring.insert(Slot(u64::MAX - 1), 'a');
    assert_eq!(ring.at(Slot(0)), None);
    assert_eq!(ring.remove(Slot(u64::MAX)), None);
    ring.advance(Slot(u64::MAX));
    assert!(ring.is_empty());
}

// ---- membership and quorums -------------------------------------------------------------------

fn membership(members: usize) -> Membership {
    let member =
        |i: usize| Member { replica: ReplicaId(10 * i as u32 + 1), disk: DiskId([i as u8; 16]) };
    Membership::new((0..members).map(member).collect()).expect("1 to 9 members, each named once")
}

fn votes(bits: u32) -> VoteSet {
    let mut set = VoteSet::EMPTY;
    (0..MEMBERS_MAX).filter(|i| bits & (1 << i) != 0).for_each(|i| set.insert(i));
    set
}

#[test]
fn every_prepare_quorum_meets_every_accept_quorum_up_to_nine_members() {
    for members in 1..=MEMBERS_MAX {
        let cluster = membership(members);
        let subsets = || 0..1u32 << members;
        let won = |tally| tally == Tally::Won;
        let prepare: Vec<u32> =
            subsets().filter(|s| won(cluster.prepare(votes(*s), VoteSet::EMPTY))).collect();
        let accept: Vec<u32> =
            subsets().filter(|s| won(cluster.accept(votes(*s), VoteSet::EMPTY))).collect();
        assert!(!prepare.is_empty() && !accept.is_empty(), "{members} members have no quorum");
        for p in &prepare {
            let missed = accept.iter().find(|a| *a & p == 0);
            assert_eq!(missed, None, "{members} members: prepare quorum {p:b} misses it");
        }
        let smallest = prepare.iter().map(|s| s.count_ones()).min();
        assert_eq!(smallest, Some(members as u32 / 2 + 1), "a minority may be down, and no more");
    }
}

#[test]
fn quorums_of_another_number_of_members_make_no_membership() {
    let quorums = *membership(3).quorums();
    for members in [2, 4] {
        let members = membership(members).members().to_vec();
        let refused = Membership::with_quorums(members, quorums);
        assert!(matches!(refused, Err(MembershipError::Quorums(_))), "{refused:?}");
    }
    assert_eq!(
        Membership::with_quorums(membership(3).members().to_vec(), quorums),
        Ok(membership(3))
    );
}

#[test]
fn a_tally_is_lost_exactly_when_the_rest_cannot_win() {
    for members in 1..=MEMBERS_MAX {
        let (cluster, all) = (membership(members), (1u32 << members) - 1);
        for yes in 0..=all {
            let rest = all & !yes;
            for no in (0..=all).filter(|no| no & !rest == 0) {
                let best = cluster.accept(votes(all & !no), VoteSet::EMPTY);
                let expected = match cluster.accept(votes(yes), VoteSet::EMPTY) {
                    Tally::Won => Tally::Won,
                    Tally::Lost | Tally::Waiting if best == Tally::Won => Tally::Waiting,
                    Tally::Lost | Tally::Waiting => Tally::Lost,
                };
                assert_eq!(cluster.accept(votes(yes), votes(no)), expected, "{yes:b} {no:b}");
                assert_eq!(cluster.prepare(votes(yes), votes(no)), expected, "{yes:b} {no:b}");
            }
        }
    }
}

#[test]
fn only_members_vote_and_each_once() {
    let cluster = membership(3);
    let mut set = VoteSet::EMPTY;
    assert!(!cluster.vote(&mut set, ReplicaId(2)), "replica 2 is no member");
    assert!(set.is_empty());
    assert!(cluster.vote(&mut set, ReplicaId(11)));
    assert!(cluster.vote(&mut set, ReplicaId(11)));
    assert_eq!(set.len(), 1, "a repeated vote counts once");
    assert!(cluster.has_voted(set, ReplicaId(11)) && !cluster.has_voted(set, ReplicaId(21)));
    assert_eq!(cluster.accept(set, VoteSet::EMPTY), Tally::Waiting);
    assert!(cluster.vote(&mut set, ReplicaId(21)));
    assert_eq!(cluster.accept(set, VoteSet::EMPTY), Tally::Won);
    let others: Vec<_> = cluster.others(ReplicaId(11)).iter().collect();
    assert_eq!(others, [ReplicaId(1), ReplicaId(21)]);
}

#[test]
fn impossible_memberships_are_refused() {
    let member = |id| Member { replica: ReplicaId(id), disk: DiskId([id as u8; 16]) };
    assert_eq!(Membership::new(vec![]), Err(MembershipError::Size { members: 0 }));
    let ten = (0..10).map(member).collect();
    assert_eq!(Membership::new(ten), Err(MembershipError::Size { members: 10 }));
    let twice = MembershipError::Twice { replica: ReplicaId(7) };
    let other_disk = Member { replica: ReplicaId(7), disk: DiskId([9; 16]) };
    assert_eq!(Membership::new(vec![member(7), member(1), other_disk]), Err(twice));
}

#[test]
fn cluster_names_have_one_to_sixteen_bytes() {
    assert_eq!(ClusterId::named("orders").map(|id| id.to_string()), Ok("orders".into()));
    assert!(ClusterId::named(&"x".repeat(16)).is_ok());
    for bad in ["", "a\0b", &"x".repeat(17)] {
        let refused = Err(MembershipError::ClusterName { bytes: bad.len() });
        assert_eq!(ClusterId::named(bad), refused, "{bad:?}");
    }
}

#[test]
fn a_set_of_replicas_keeps_each_once_and_in_order() {
    let set: Replicas = [3, 1, 3, 2, 1].into_iter().map(ReplicaId).collect();
    assert_eq!(set.to_string(), "3,1,2");
    assert_eq!((set.len(), set.is_empty()), (3, false));
    assert!(set.contains(ReplicaId(2)) && !set.contains(ReplicaId(0)));
    assert!(Replicas::default().is_empty());
}

// ---- entries and batches ----------------------------------------------------------------------

fn command_id(replica: u32, incarnation: u64, sequence: u64) -> CommandId {
    CommandId { replica: ReplicaId(replica), incarnation: Incarnation(incarnation), sequence }
}

fn batch_of(commands: &[(CommandId, Vec<u8>)]) -> Batch {
    let mut builder = BatchBuilder::default();
    for (id, command) in commands {
        let bound = builder.len_with(command.len());
        builder.push(*id, command);
        let now = builder.clone().build().expect("not empty").bytes().len();
        assert!(now <= bound, "len_with said {bound}, but the batch has {now} bytes");
    }
    builder.build().expect("at least one command")
}

#[test]
fn a_batch_gives_back_its_commands_and_their_names() {
    fn property(commands: Vec<(bool, Vec<u8>)>) -> bool {
        let mut sequence = 0;
        let commands: Vec<(CommandId, Vec<u8>)> = commands
            .into_iter()
            .map(|(gap, bytes)| {
                sequence += 1 + u64::from(gap);
                (command_id(3, 7, sequence), bytes)
            })
            .collect();
        if commands.is_empty() {
            return BatchBuilder::default().build().is_none();
        }
        let batch = batch_of(&commands);
        let names: Vec<CommandId> = batch
            .origins()
            .flat_map(|run| {
                (0..u64::from(run.count))
                    .map(move |i| CommandId { sequence: run.first.sequence + i, ..run.first })
            })
            .collect();
        let entry = Entry::from_payload(batch.bytes().clone());
        batch.count() as usize == commands.len()
            && batch.commands().len() == commands.len()
            && batch.commands().eq(commands.iter().map(|(_, bytes)| bytes.as_slice()))
            && names.iter().eq(commands.iter().map(|(id, _)| id))
            && entry == Ok(Entry::Batch(batch))
    }
    check(500, property as fn(Vec<(bool, Vec<u8>)>) -> bool);
}

#[test]
fn a_batch_shows_its_commands() {
    let commands = [&b"set x"[..], b"\x00\""].map(|bytes| (command_id(1, 1, 1), bytes.to_vec()));
    assert_eq!(format!("{:?}", batch_of(&commands)), r#"["set x", "\x00\""]"#);
}

#[test]
fn commands_taken_in_one_after_the_other_share_a_run() {
    let id = |replica, sequence| (command_id(replica, 1, sequence), vec![]);
    let batch = batch_of(&[id(1, 5), id(1, 6), id(2, 7), id(1, 7), id(1, 9)]);
    let runs: Vec<_> =
        batch.origins().map(|run| (run.first.replica.0, run.first.sequence, run.count)).collect();
    assert_eq!(runs, [(1, 5, 2), (2, 7, 1), (1, 7, 1), (1, 9, 1)]);
}

#[test]
fn a_noop_has_no_bytes_and_no_bytes_are_a_noop() {
    assert_eq!(Entry::from_payload(Bytes::new()), Ok(Entry::Noop));
    assert_eq!((Entry::Noop.len(), Entry::Noop.is_empty()), (0, true));
    let batch = Entry::Batch(batch_of(&[(command_id(1, 1, 0), vec![])]));
    assert!(!batch.is_empty(), "a batch of one empty command is no Noop");
    let shown = format!("{}, {batch}", Entry::Noop);
    assert_eq!(shown, format!("noop, batch of 1 in {}B", batch.len()));
    assert_eq!(batch.len(), COMMAND_OVERHEAD_BYTES);
}

/// Takes the bytes as a batch and walks everything in it: nothing may panic.
fn parse_and_walk(bytes: Vec<u8>) -> Result<(), BatchError> {
    let length = bytes.len();
    let batch = Batch::parse(Bytes::from(bytes))?;
    let named: u64 = batch.origins().map(|run| u64::from(run.count)).sum();
    assert_eq!(named, u64::from(batch.count()));
    assert!(batch.origins().all(|run| run.first.sequence.checked_add(run.count.into()).is_some()));
    assert_eq!(batch.commands().count(), batch.count() as usize);
    assert!(batch.commands().map(<[u8]>::len).sum::<usize>() < length);
    Ok(())
}

fn sample() -> Vec<u8> {
    let id = |replica, sequence| command_id(replica, 2, sequence);
    batch_of(&[
        (id(1, 0), b"set colour green".to_vec()),
        (id(1, 1), Vec::new()),
        (id(2, u64::MAX - 2), vec![0xff; 40]),
    ])
    .bytes()
    .to_vec()
}

#[test]
fn no_truncated_batch_is_taken() {
    let whole = sample();
    assert_eq!(parse_and_walk(whole.clone()), Ok(()));
    for length in 0..whole.len() {
        let refused = parse_and_walk(whole[..length].to_vec());
        assert!(matches!(refused, Err(BatchError::Malformed { .. })), "{length} bytes: taken");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(parse_and_walk(longer).is_err(), "a trailing byte was taken");
}

/// The sample has two runs of 2 and 1 commands; their counts lie at 28 and 52, its lengths at the
/// end, from 112 on.
#[test]
fn a_batch_that_is_refused_says_what_does_not_add_up() {
    let refusal = |at: usize, value: u32| {
        let mut bytes = sample();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        match parse_and_walk(bytes) {
            Err(BatchError::Malformed { what, .. }) => what,
            other => panic!("{value} at {at}: {other:?}"),
        }
    };
    for (at, value) in [(0, 0), (4, 0), (0, 4), (4, 1)] {
        assert_eq!(refusal(at, value), "the numbers of runs and commands");
    }
    for (at, value) in [(4, u32::MAX), (4, 1000)] {
        assert_eq!(refusal(at, value), "runs and lengths reach beyond the end");
    }
    // The second run begins two below the highest number.
    for (at, value) in [(28, 0), (52, 0), (52, 3)] {
        assert_eq!(refusal(at, value), "a run is empty or overflows");
    }
    for (at, value) in [(28, 1), (28, 3), (52, 2)] {
        assert_eq!(refusal(at, value), "runs name another number of commands");
    }
    for (at, value) in [(112, 15), (116, 1), (120, u32::MAX)] {
        assert_eq!(refusal(at, value), "lengths add up to another number of bytes");
    }
    assert_eq!(parse_and_walk(sample()[..7].to_vec()), {
        Err(BatchError::Malformed { bytes: 7, what: "shorter than its head" })
    });
}

#[test]
fn no_flipped_bit_makes_a_batch_panic() {
    let whole = sample();
    let head_bits = 64;
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let outcome = parse_and_walk(flipped);
        assert!(bit >= head_bits || outcome.is_err(), "a wrong count was taken: bit {bit}");
    }
}

#[test]
fn random_bytes_never_make_a_batch_panic() {
    let mut random = Rand64::new(0x5eed);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> =
            (0..random.rand_range(0..120)).map(|_| random.rand_u64() as u8).collect();
        // Small counts, or no random input would get past the first check.
        for at in [0, 4] {
            if let Some(count) = bytes.get_mut(at..at + 4) {
                count.copy_from_slice(&(random.rand_range(0..5) as u32).to_le_bytes());
            }
        }
        let _ = parse_and_walk(bytes);
    }
    for huge in [u32::MAX, 1 << 31, u32::MAX / 24] {
        let mut bytes = sample();
        bytes[..4].copy_from_slice(&huge.to_le_bytes());
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(parse_and_walk(bytes).is_err(), "{huge} runs were taken");
    }
}

#[test]
fn a_batch_may_fill_the_entry_limit_and_no_more() {
    let mut builder = BatchBuilder::default();
    let longest = ENTRY_BYTES_MAX - COMMAND_OVERHEAD_BYTES;
    assert_eq!(builder.len_with(longest), ENTRY_BYTES_MAX);
    builder.push(command_id(1, 1, 0), &vec![7; longest]);
    assert!(builder.len_with(0) > ENTRY_BYTES_MAX);
    assert_eq!(builder.len_with(usize::MAX), usize::MAX, "saturates");
    let full = builder.build().expect("one command").bytes().to_vec();
    assert_eq!(full.len(), ENTRY_BYTES_MAX);
    assert_eq!(parse_and_walk(full), Ok(()));
    let bytes = ENTRY_BYTES_MAX + 1;
    assert_eq!(parse_and_walk(vec![1; bytes]), Err(BatchError::TooLong { bytes }));
}

#[test]
#[should_panic(expected = "beyond the entry limit")]
fn a_builder_refuses_a_command_that_does_not_fit() {
    BatchBuilder::default().push(command_id(1, 1, 0), &vec![0; ENTRY_BYTES_MAX]);
}

// ---- time and settings ------------------------------------------------------------------------

#[test]
fn instants_saturate_and_count_microseconds() {
    let start = Instant::from_millis(2);
    assert_eq!(start.after(Duration::from_nanos(1_999)).as_micros(), 2_001);
    assert_eq!(start.after(Duration::MAX), Instant::from_micros(u64::MAX));
    assert_eq!(Instant::from_millis(u64::MAX), Instant::from_micros(u64::MAX));
    assert_eq!(start.since(Instant::ZERO), Duration::from_millis(2));
    assert_eq!(Instant::ZERO.since(start), Duration::ZERO);
    assert_eq!(Instant::from_micros(1_000_005).to_string(), "1.000005s");
}

fn config() -> Config {
    Config::new([1, 2, 3].map(ReplicaId))
}

/// Whether the settings are refused for this field, with the value named.
fn refused(change: impl FnOnce(&mut Config)) -> Option<(&'static str, u64)> {
    let mut changed = config();
    change(&mut changed);
    match changed.check(ReplicaId(1)) {
        Ok(()) => None,
        Err(ConfigError::OutOfRange { field, value, min, max }) => {
            assert!(value < min || value > max, "{field}: {value} lies in {min}..={max}");
            Some((field, value))
        }
        Err(other) => panic!("another error: {other}"),
    }
}

#[test]
fn the_default_settings_are_valid() {
    assert_eq!(config().check(ReplicaId(3)), Ok(()));
}

#[test]
fn each_setting_is_taken_at_its_limits_and_refused_beyond_them() {
    let micros = Duration::from_micros;
    let day = micros(86_400_000_000);
    let time = |heartbeat, election_timeout| {
        move |c: &mut Config| (c.heartbeat, c.election_timeout) = (heartbeat, election_timeout)
    };
    assert_eq!(refused(time(micros(100), micros(300))), None);
    assert_eq!(refused(time(micros(99), micros(300))), Some(("heartbeat", 99)));
    assert_eq!(refused(time(micros(100), micros(299))), Some(("election_timeout", 299)));
    assert_eq!(refused(time(day, 4 * day)), None);
    let long = (day + micros(1), 4 * day + micros(1));
    assert_eq!(refused(time(long.0, 4 * day)), Some(("heartbeat", 86_400_000_001)));
    assert_eq!(refused(time(day, long.1)), Some(("election_timeout", 345_600_000_001)));
    assert_eq!(refused(time(Duration::MAX, Duration::MAX)), Some(("heartbeat", u64::MAX)));

    assert_eq!(refused(|c| c.pipeline_slots = ALPHA), None);
    assert_eq!(refused(|c| c.pipeline_slots = ALPHA + 1), Some(("pipeline_slots", ALPHA + 1)));
    assert_eq!(refused(|c| c.pipeline_slots = 0), Some(("pipeline_slots", 0)));

    let entry = ENTRY_BYTES_MAX;
    let over = |bytes: usize| bytes as u64 + 1;
    assert_eq!(refused(|c| c.batch_bytes = entry), None);
    assert_eq!(refused(|c| c.batch_bytes = entry + 1), Some(("batch_bytes", over(entry))));
    assert_eq!(refused(|c| c.batch_bytes = 0), Some(("batch_bytes", 0)));
    let command = entry - COMMAND_OVERHEAD_BYTES;
    assert_eq!(refused(|c| c.command_bytes = command), None);
    assert_eq!(refused(|c| c.command_bytes = command + 1), Some(("command_bytes", over(command))));
    assert_eq!(refused(|c| c.command_bytes = 0), Some(("command_bytes", 0)));
    assert_eq!(refused(|c| c.unsynced_bytes = entry), None);
    let below = Some(("unsynced_bytes", entry as u64 - 1));
    assert_eq!(refused(|c| c.unsynced_bytes = entry - 1), below);

    for value in [1, usize::MAX] {
        assert_eq!(refused(|c| c.pipeline_bytes = value), None);
        assert_eq!(refused(|c| c.queue_bytes = value), None);
        assert_eq!(refused(|c| c.apply_slots = value as u64), None);
    }
    assert_eq!(refused(|c| c.pipeline_bytes = 0), Some(("pipeline_bytes", 0)));
    assert_eq!(refused(|c| c.queue_bytes = 0), Some(("queue_bytes", 0)));
    assert_eq!(refused(|c| c.apply_slots = 0), Some(("apply_slots", 0)));
}

#[test]
fn settings_with_impossible_members_are_refused() {
    let members = |ids: &[u32]| Config::new(ids.iter().copied().map(ReplicaId));
    let me = ReplicaId(1);
    assert_eq!(members(&[1]).check(me), Ok(()));
    assert_eq!(members(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).check(me), Ok(()));
    let size = |members| Err(MembershipError::Size { members }.into());
    assert_eq!(members(&[]).check(me), size(0));
    assert_eq!(members(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).check(me), size(10));
    let twice = MembershipError::Twice { replica: ReplicaId(2) };
    assert_eq!(members(&[2, 1, 2]).check(me), Err(twice.into()));
    assert_eq!(members(&[2, 3]).check(me), Err(ConfigError::NotMember { replica: me }));
}

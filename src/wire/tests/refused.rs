//! What frames may not say, written as another implementation might write it.

use super::*;

/// Messages of every kind that name the slot, each in another place.
fn naming(slot: Slot) -> Vec<Message> {
    let (ballot, zero) = (Ballot { round: 1, replica: ReplicaId(1) }, Slot(0));
    let (below, standing) = (Slot(slot.0 - 1), Standing { promised: ballot, end: slot });
    let (start, none) = (Standing::default(), Standing::default());
    let slots = Slots { start: below, end: slot };
    let empty = Slots { start: zero, end: zero };
    let runs = vec![Run { slots, ballot }];
    let marked = Announcement { chosen: slot, ..Announcement::default() };
    let ran = Announcement { chosen: zero, runs: runs.into() };
    let entry = || Entry::Noop;
    let promise = |slots, chosen| {
        let (accepted, faulty) = (vec![], vec![]);
        Promise { ballot, slots, last: true, chosen, accepted, faulty }.into()
    };
    let accept = |slot, announcement| Accept { ballot, slot, entry: entry(), announcement }.into();
    let fetched = |slot, chosen| Fetched { slot, proposal: None, chosen }.into();
    let sequence = 1;
    let refused = Refused { incarnation: Incarnation(1), before: standing };
    let canvassed = |start, chosen| {
        let (promised, leader) = (ballot, None);
        CanvassAnswer { sequence, yes: true, promised, leader, start, chosen }.into()
    };
    vec![
        Prepare { ballot, first: slot }.into(),
        promise(slots, zero),
        promise(empty, slot),
        Nack { ballot, promised: ballot, chosen: slot }.into(),
        accept(slot, Announcement::default()),
        accept(zero, marked.clone()),
        accept(zero, ran.clone()),
        Accepted { ballot, slots, chosen: zero }.into(),
        Accepted { ballot, slots: Slots::one(zero), chosen: slot }.into(),
        Behind { ballot, chosen: slot }.into(),
        Heartbeat { ballot, sequence, announcement: marked.clone() }.into(),
        Heartbeat { ballot, sequence, announcement: ran.clone() }.into(),
        HeartbeatAnswer { ballot, sequence, end: slot, start, chosen: zero, priority: 1 }.into(),
        HeartbeatAnswer { ballot, sequence, end: zero, start: standing, chosen: zero, priority: 1 }
            .into(),
        HeartbeatAnswer { ballot, sequence, end: zero, start, chosen: slot, priority: 1 }.into(),
        HandOver { ballot, sequence, announcement: marked }.into(),
        HandOver { ballot, sequence, announcement: ran }.into(),
        Canvass { sequence, chosen: slot }.into(),
        canvassed(standing, zero),
        canvassed(none, slot),
        Fetch { slot, ballot }.into(),
        fetched(slot, zero),
        fetched(zero, slot),
        CatchUp { slots, chosen: zero }.into(),
        CatchUp { slots: Slots::one(zero), chosen: slot }.into(),
        Chosen { slot, ballot, entry: entry(), chosen: zero }.into(),
        Chosen { slot: zero, ballot, entry: entry(), chosen: slot }.into(),
        refused.into(),
    ]
}

/// Whatever slot or mark a message names, it is bounded: no sum of slots overflows later.
#[test]
fn a_slot_that_is_too_high_is_refused_wherever_it_is_named() {
    let told = |message: &Message| {
        let mut buffer = Vec::new();
        encode(CLUSTER, peer(1), message, &mut buffer);
        decode(CLUSTER, Bytes::from(buffer)).map(|_| ())
    };
    for (high, low) in naming(Slot(SLOT_MAX + 1)).iter().zip(&naming(Slot(SLOT_MAX))) {
        assert_eq!(told(low), Ok(()), "{low:?}");
        assert!(matches!(told(high), Err(FrameError::Bounds { .. })), "{high:?}");
    }
}

/// What a frame amounts to that another implementation might write.
fn encoded(header: &header::Header<'_>, payload: &[u8]) -> Result<(), FrameError> {
    let mut buffer = Vec::new();
    write(CLUSTER, peer(1), header, payload, &mut buffer);
    decode(CLUSTER, Bytes::from(buffer)).map(|_| ())
}

/// Headers that contradict themselves.
#[test]
fn impossible_messages_are_refused() {
    let ballot = Ballot { round: 1, replica: ReplicaId(1) };
    let backwards = Slots { start: Slot(9), end: Slot(8) };
    let run =
        |start: u64, end: u64| Run { slots: Slots { start: Slot(start), end: Slot(end) }, ballot };
    let promise = |slots: Slots, accepted: &[Run], faulty: &[Run]| {
        let (accepted, faulty) = (accepted.to_vec(), faulty.to_vec());
        let chosen = Slot(0);
        Promise { ballot, slots, last: true, chosen, accepted, faulty }.into()
    };
    let announced = |runs: Vec<Run>, chosen: u64| {
        let announcement = Announcement { chosen: Slot(chosen), runs: runs.into() };
        Message::Heartbeat(Heartbeat { ballot, sequence: 1, announcement })
    };
    let accepted = |slots| Message::Accepted(Accepted { ballot, slots, chosen: Slot(0) });
    let catch_up = |slots| Message::CatchUp(CatchUp { slots, chosen: Slot(0) });
    let page = Slots::new(Slot(4), Slot(8));
    let impossible = [
        promise(backwards, &[], &[]),
        promise(page, &[run(3, 5)], &[]),
        promise(page, &[], &[run(7, 9)]),
        promise(page, &[run(5, 5)], &[]),
        announced(vec![run(0, ALPHA), run(ALPHA, ALPHA + 1)], 0),
        announced(vec![], SLOT_MAX + 1),
        announced(vec![run(SLOT_MAX, SLOT_MAX + 1)], 0),
        accepted(Slots::new(Slot(3), Slot(3))),
        accepted(backwards),
        accepted(Slots::new(Slot(3), Slot(4 + ALPHA))),
        catch_up(backwards),
        Message::Prepare(Prepare { ballot, first: Slot(u64::MAX) }),
    ];
    for message in &impossible {
        let result = encoded(&header::Header::of(message), &[]);
        assert!(matches!(result, Err(FrameError::Bounds { .. })), "{result:?} of {message:?}");
    }
    let runs = (0..=ALPHA).map(|slot| run(2 * slot, 2 * slot + 1)).collect();
    // Refused while they are read, before there is a list of them.
    let result = encoded(&header::Header::of(&announced(runs, 0)), &[]);
    assert!(matches!(result, Err(FrameError::Header { .. })), "{result:?}");
    let many = header::Header::CatchUp {
        slots: Slots::new(Slot(0), Slot(CATCH_UP_SLOTS_MAX + 1)),
        chosen: Slot(0),
    };
    assert_eq!(
        encoded(&many, &[]),
        Err(FrameError::Bounds { what: "a CatchUp of too many slots" })
    );
    let gone = Message::Fetched(Fetched { slot: Slot(1), proposal: None, chosen: Slot(1) });
    assert_eq!(encoded(&header::Header::of(&gone), &[1]), Err(FrameError::Trailing { bytes: 1 }));
    let chosen = Chosen { slot: Slot(1), ballot, entry: Entry::Noop, chosen: Slot(1) };
    let broken = encoded(&header::Header::of(&Message::Chosen(chosen)), &[1, 2, 3]);
    assert!(matches!(broken, Err(FrameError::Payload(_))), "{broken:?}");
}

#[test]
fn an_overlong_catch_up_is_shortened_when_it_is_sent() {
    let slots = Slots::new(Slot(5), Slot(u64::MAX / 4));
    let frame = frame_of(&Message::CatchUp(CatchUp { slots, chosen: Slot(5) }));
    let slots = Slots::new(Slot(5), Slot(5 + CATCH_UP_SLOTS_MAX));
    let expected = Message::CatchUp(CatchUp { slots, chosen: Slot(5) });
    assert_eq!(decode(CLUSTER, frame), Ok((peer(1), Body::Message(expected))));
}

#[test]
#[should_panic(expected = "an Accepted of no slots")]
fn a_message_that_no_peer_would_take_is_not_sent() {
    let slots = Slots::new(Slot(1), Slot(1));
    frame_of(&Message::Accepted(Accepted { ballot: Ballot::ZERO, slots, chosen: Slot(0) }));
}

/// A Forming of these members, whose quorums are those of so many, as nobody can build one.
fn forged(members: &[Member], quorums_of: u32) -> Result<(), FrameError> {
    let names: Vec<ReplicaId> = (1..=quorums_of).map(ReplicaId).collect();
    let quorums = Quorums::new(&QuorumSystem::Majority, &names).unwrap();
    let list = lists::Listed::forged(members, quorums);
    encoded(&header::Header::Forming { list: Some(list), formed: true }, &[])
}

#[test]
fn a_list_of_members_that_cannot_be_is_refused() {
    let member = |name| Member { replica: ReplicaId(name), disk: DiskId([1; 16]) };
    let bounds = |what| Err(FrameError::Bounds { what });
    assert!(forged(&[member(1), member(2), member(3)], 3).is_ok());
    assert_eq!(forged(&[member(1), member(3), member(2)], 3), bounds("members are out of order"));
    assert_eq!(forged(&[member(1), member(1)], 2), bounds("a member is named twice"));
    assert_eq!(forged(&[member(1), member(2)], 3), bounds("quorums that cannot be"));
    assert_eq!(forged(&[], 3), bounds("quorums that cannot be"));
    // Refused while they are read, before there is a list of them.
    let many: Vec<Member> = (1..=MEMBERS_MAX as u32 + 1).map(member).collect();
    assert!(matches!(forged(&many, 9), Err(FrameError::Header { .. })));
}

#[test]
fn fragments_that_contradict_themselves_are_refused() {
    let good = Fragment {
        to: ReplicaId(2),
        number: 7,
        oldest: 6,
        total_bytes: 1000,
        piece_bytes: 300,
        index: 3,
        bytes: Bytes::from_static(&[1; 100]),
    };
    let decoded = |fragment: &Fragment| {
        let mut buffer = Vec::new();
        encode_fragment(CLUSTER, peer(1), fragment, &mut buffer);
        decode(CLUSTER, Bytes::from(buffer))
    };
    assert_eq!(decoded(&good), Ok((peer(1), Body::Fragment(good.clone()))));
    let changes: [fn(&mut Fragment); 11] = [
        |f| f.total_bytes = 0,
        |f| f.total_bytes = 999,
        |f| f.total_bytes = u32::MAX,
        |f| f.total_bytes = FRAME_BYTES_MAX as u32 + 1,
        |f| f.piece_bytes = 0,
        |f| f.piece_bytes = 255,
        |f| f.piece_bytes = 1001,
        |f| f.index = 4,
        |f| f.index = u32::MAX,
        |f| f.bytes = Bytes::new(),
        |f| f.oldest = 8,
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(matches!(decoded(&bad), Err(FrameError::Bounds { .. })), "change {i}");
    }
}

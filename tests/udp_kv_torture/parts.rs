//! The other parts: the plan of faults, replies, values, and who leads.

use std::collections::BTreeSet;

use crate::torture::history::{value_of, value_text};
use crate::torture::plan::{Fault, Kind, OVER, Plan, ROUND, Target};
use crate::torture::resp::{Malformed, Reply, encode, parse};
use crate::torture::servers::{free_addresses, says};

fn rounds(seed: u64, replicas: usize, count: usize) -> Vec<Vec<Fault>> {
    let mut plan = Plan::new(seed, replicas);
    (0..count).map(|_| plan.next_round()).collect()
}

#[test]
fn the_seed_makes_the_plan() {
    assert_eq!(rounds(1, 3, 50), rounds(1, 3, 50));
    assert_ne!(rounds(1, 3, 50), rounds(2, 3, 50));
}

#[test]
fn each_round_has_faults_and_leaves_time_to_go_on() {
    let all = rounds(1, 5, 1000);
    assert!(OVER < ROUND);
    assert!(all.iter().all(|faults| matches!(faults.len(), 1 | 2)));
    let faults: Vec<&Fault> = all.iter().flatten().collect();
    assert!(faults.iter().all(|fault| fault.begin < fault.end && fault.end <= OVER));
    let name = |fault: &&Fault| fault.kind.to_string().split(' ').take(2).collect::<String>();
    let names: BTreeSet<String> = faults.iter().map(name).collect();
    for name in ["killleader", "killall", "stopleader", "isolatereplica", "weather:"] {
        assert!(names.iter().any(|one| one.starts_with(name)), "no {name} in {names:?}");
    }
}

#[test]
fn a_fault_cuts_the_ways_it_says() {
    let ways = |kind: Kind| -> Vec<(usize, usize)> {
        let all = (0..3).flat_map(|from| (0..3).map(move |to| (from, to)));
        all.filter(|(from, to)| from != to && kind.cuts(1, *from, *to)).collect()
    };
    assert_eq!(ways(Kind::Isolate(Target::Leader)), [(0, 1), (1, 0), (1, 2), (2, 1)]);
    assert_eq!(ways(Kind::Deafen(Target::Leader)), [(0, 1), (2, 1)]);
    assert_eq!(ways(Kind::Mute(Target::Leader)), [(1, 0), (1, 2)]);
    assert_eq!(ways(Kind::Cut(Target::Leader, 2)), [(1, 2)]);
    assert_eq!(ways(Kind::Cut(Target::Leader, 1)), [(1, 0), (1, 2)]);
    assert_eq!(ways(Kind::Stop(Target::Leader)), []);
}

#[test]
fn commands_and_replies_are_those_of_the_protocol() {
    let mut bytes = Vec::new();
    encode(&["SET", "a", "12:v"], &mut bytes);
    assert_eq!(bytes, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n12:v\r\n");
    let bulk = |text: &str| Reply::Bulk(Some(text.as_bytes().to_vec()));
    for (text, reply) in [
        ("+OK\r\n", Reply::Simple("OK".to_owned())),
        ("-TRYAGAIN no leader\r\n", Reply::Error("TRYAGAIN no leader".to_owned())),
        (":-12\r\n", Reply::Integer(-12)),
        ("$-1\r\n", Reply::Bulk(None)),
        ("$0\r\n\r\n", bulk("")),
        ("$4\r\na\r\nb\r\n", bulk("a\r\nb")),
    ] {
        let length = text.len();
        assert_eq!(parse(text.as_bytes()), Ok(Some((reply.clone(), length))));
        assert_eq!(parse(format!("{text}+more").as_bytes()), Ok(Some((reply, length))));
        for cut in 0..length {
            assert_eq!(parse(&text.as_bytes()[..cut]), Ok(None), "{text} cut at {cut}");
        }
    }
    for text in ["\r\n", "x\r\n", ":1x\r\n", "$-2\r\n", "*1\r\n:1\r\n"] {
        assert_eq!(parse(text.as_bytes()), Err(Malformed), "{text:?}");
    }
    let endless = [&b"$99999999\r\n"[..], &[b'x'; 1 << 20]].concat();
    assert_eq!(parse(&endless), Err(Malformed), "it is longer than what is asked for");
}

#[test]
fn a_value_that_was_cut_or_mixed_up_is_none() {
    for value in [1, 96, 97, 12_345] {
        let text = value_text(value);
        assert_eq!(value_of(text.as_bytes()), Some(value));
        assert_eq!(value_of(&text.as_bytes()[..text.len() - 1]), None, "{text}");
        assert_eq!(value_of(format!("{text}v").as_bytes()), None, "{text}");
    }
    assert_eq!(value_of(b""), None);
    assert_eq!(value_of(b"\xff"), None);
}

#[test]
fn who_leads_is_found_among_other_lines() {
    let info = "# replication\r\nid:2\r\nrole:follower\r\nleader: 3\r\nleader_since:1\r\n";
    assert!(says(info, "leader", "3") && says(info, "role", "follower"));
    assert!(!says(info, "leader", "1") && !says(info, "role", "leader"));
}

#[test]
fn free_addresses_are_different_ones() {
    let addresses = free_addresses(10).expect("there are ten free ports");
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 10);
}

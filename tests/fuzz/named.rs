//! Seeds that are made, not found: golden frames, each kind of message to a follower and to a
//! leader, each row of the decision table of recovery, and what else has a name.
//!
//! The bytes are read as `fuzz/src/choices.rs` says: a choice each, in the order in which a target
//! asks. After the first lines of a target's own comes one step after the other.

use std::path::Path;
use std::{fs, str};

/// A target, the name of a seed, and the seed.
pub(crate) type Seed = (&'static str, String, Vec<u8>);

/// Every seed that is made.
pub(crate) fn seeds() -> Vec<Seed> {
    let mut all = frames();
    all.extend(messages());
    for (target, list) in
        [("replica", REPLICA), ("reassembly", REASSEMBLY), ("log_differential", MEDIA)]
    {
        all.extend(list.iter().map(|(name, bytes)| (target, (*name).into(), bytes.to_vec())));
    }
    all.extend(ROWS.iter().map(|(name, bytes)| ("log_bytes", (*name).into(), bytes.to_vec())));
    all
}

/// The golden frames of the wire.
fn frames() -> Vec<Seed> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire");
    let mut seeds = Vec::new();
    for entry in fs::read_dir(directory).expect("the golden frames are there") {
        let path = entry.expect("readable").path();
        let text = fs::read_to_string(&path).expect("golden frames are text");
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        let byte = |pair: &[u8]| {
            let pair = str::from_utf8(pair).expect("digits are ASCII");
            u8::from_str_radix(pair, 16).expect("golden frames are hexadecimal")
        };
        let bytes = digits.as_bytes().chunks(2).map(byte).collect();
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        seeds.push(("frame", name, bytes));
    }
    seeds.sort();
    seeds
}

const KINDS: [&str; 20] = [
    "prepare",
    "promise",
    "nack",
    "accept",
    "accepted",
    "behind",
    "heartbeat",
    "heartbeat_answer",
    "canvass",
    "canvass_answer",
    "fetch",
    "fetched",
    "catch_up",
    "chosen",
    "forming",
    "refused",
    "forward",
    "forward_answer",
    "read_index",
    "read_index_answer",
];

/// One message of each kind, to a replica that follows and to one that leads and has proposed.
fn messages() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (kind, name) in KINDS.iter().enumerate() {
        for (state, before) in [("follower", &[][..]), ("leader", &[22, 10, 3, 4])] {
            // Three members, usual settings; the message, of member 2; sync, wake, drain.
            let mut bytes = vec![0, 0, 0];
            bytes.extend_from_slice(before);
            bytes.extend_from_slice(&[15, kind as u8, 0, 0]);
            bytes.extend_from_slice(&[1, 4, 1, 40, 2, 1, 1, 4, 0, 1]);
            bytes.extend_from_slice(&[4, 0, 23]);
            seeds.push(("replica", format!("{name}_to_a_{state}"), bytes));
        }
    }
    seeds
}

type List = &'static [(&'static str, &'static [u8])];

/// The settings, then steps: see `step` in `fuzz/src/replica/mod.rs`.
const REPLICA: List = &[
    ("alone", &[1, 4, 0, 4, 0, 4, 10, 9, 4, 8, 20, 0, 0, 4]),
    ("forms", &[0, 4, 0, 14, 0, 4, 14, 0, 4, 22]),
    ("five_choose", &[2, 0, 0, 22, 10, 7, 11, 9, 14, 0, 4, 14, 0]),
    ("inputs_pile_up", &[0, 0, 1, 22, 10, 1, 10, 2, 10, 3, 4, 14, 0, 23]),
    ("small_limits", &[0, 3, 2, 22, 10, 210, 10, 210, 10, 210, 4, 14, 0, 8, 10, 1]),
    (
        "commands_given_back_twice",
        &[
            0, 1, 0, 22, 10, 210, 10, 210, 10, 210, 15, 0, 0, 0, 1, 0, 22, 10, 210, 10, 210, 10,
            210, 15, 0, 0, 0, 1, 0, 4,
        ],
    ),
    ("twins", &[0, 0, 12, 22, 10, 5, 4, 14, 0, 0, 0]),
    ("restarts_with_half", &[0, 0, 0, 22, 10, 1, 10, 2, 6, 1, 20, 1, 22, 4]),
    ("rot_of_an_acceptance", &[0, 0, 0, 22, 10, 1, 10, 2, 4, 21, 0, 22, 4, 14, 0]),
    ("marks_of_nobody", &[0, 0, 0, 22, 10, 1, 7, 1, 7, 2, 9, 130, 225, 4]),
    ("rounds_used_up", &[0, 0, 0, 15, 2, 0, 0, 0, 0, 128, 239, 0, 0, 0, 0, 4]),
    ("disk_is_busy", &[0, 0, 0, 15, 3, 0, 0, 1, 0, 255, 0, 0, 0, 15, 3, 0, 0, 1, 1, 254, 0, 0, 0]),
];

/// The transport's frames, then steps: see `step` in `fuzz/src/reassembly.rs`.
const REASSEMBLY: List = &[
    ("in_order", &[2, 0, 0, 4, 2, 255, 12, 1, 2, 255]),
    ("reversed", &[0, 0, 0, 3, 11, 2, 255, 12, 3, 2, 255]),
    ("one_row_twice", &[2, 0, 0, 2, 5, 0, 5, 1, 2, 255, 5, 0]),
    ("every_second_lost", &[2, 0, 0, 5, 15, 1, 2, 255, 12, 3, 2, 255, 12, 3, 2, 255]),
    ("three_senders", &[2, 0, 0, 4, 0, 1, 4, 0, 2, 4, 10, 5, 2, 255, 12, 2, 2, 255]),
    ("cut_short", &[2, 0, 0, 3, 7, 1, 100, 0, 1, 7, 0, 55, 0, 1, 2, 255]),
    ("a_bit_flipped", &[2, 0, 0, 3, 7, 1, 100, 0, 0, 3, 8, 0, 12, 0, 0, 7, 2, 255]),
    ("another_number", &[2, 0, 0, 3, 9, 0, 0, 1, 2, 255]),
    ("another_oldest", &[2, 0, 0, 3, 9, 0, 1, 3, 2, 255]),
    ("another_index", &[2, 0, 0, 3, 9, 0, 2, 1, 2, 255]),
    ("another_total", &[2, 0, 0, 3, 9, 0, 3, 9, 2, 255]),
    ("another_length", &[2, 0, 0, 3, 9, 0, 4, 65, 2, 255]),
    ("another_sender", &[2, 0, 0, 3, 0, 1, 3, 9, 0, 5, 1, 2, 255]),
    ("another_sender_of_all", &[2, 0, 0, 2, 9, 0, 5, 1, 9, 1, 5, 1, 2, 255]),
    ("another_start", &[2, 0, 0, 3, 9, 0, 6, 1, 2, 255]),
    ("other_bytes", &[2, 0, 0, 3, 9, 0, 7, 1, 7, 2, 255]),
    ("the_sender_restarts", &[2, 0, 0, 5, 3, 0, 13, 0, 0, 0, 5, 2, 255, 12, 2, 2, 255]),
    ("the_receiver_restarts", &[2, 0, 0, 5, 2, 20, 13, 3, 2, 255, 12, 3, 2, 255]),
    ("strangers", &[2, 0, 0, 5, 14, 0, 19, 0, 0, 14, 30, 19, 3, 9, 2, 255, 12, 6]),
    ("silence", &[3, 0, 0, 6, 0, 0, 5, 6, 0, 12, 6, 0, 0, 4, 2, 255]),
];

/// Steps: see `step` in `fuzz/src/log_differential.rs`.
const MEDIA: List = &[
    ("starts", &[0, 1, 7, 8, 0, 10, 0, 15, 0, 15, 1, 15, 2]),
    ("rolls", &[0, 8, 0, 16, 0, 24, 0, 32, 0, 40, 12, 0, 48, 0, 56, 11, 0, 64, 0, 72, 13, 15, 1]),
    ("two_syncs_in_the_wrong_order", &[0, 1, 7, 0, 2, 7, 8, 1, 10, 0, 8, 0, 10, 0, 13]),
    ("written_and_killed", &[0, 1, 11, 0, 2, 0, 3, 7, 9, 0, 15, 1, 13]),
    ("written_and_cut", &[0, 1, 11, 0, 2, 0, 3, 7, 9, 0, 15, 2, 13, 0, 4, 11, 15, 5]),
    ("what_cannot_be", &[6, 0, 6, 1, 0, 1, 6, 2, 6, 3, 11]),
    ("read", &[0, 9, 0, 10, 14, 0, 14, 1, 11, 14, 0, 14, 1, 14, 9, 15, 0, 14, 0]),
];

/// The log, then steps of a file and what happens to it: see `step` in `fuzz/src/log_bytes.rs`.
/// Logs: 0 the golden one, 1 three groups, 2 the last of them not synced, 3 many starts, 4 none.
/// Files: 0 to 1 and 3 segments, 2 the superblock. A flip is 0, a mask, two bytes of offset, and
/// the number of the sector among those that hold anything.
const ROWS: List = &[
    ("nothing", &[4]),
    ("segments_without_a_superblock", &[1, 2, 3]),
    ("newer_superblock", &[1, 2, 9, 1, 2, 1, 9]),
    ("both_superblocks_rotten", &[1, 2, 0, 1, 20, 0, 0, 2, 0, 1, 20, 0, 1]),
    ("another_cluster", &[1, 2, 9, 1, 6, 1, 9]),
    ("another_constant", &[1, 2, 9, 1, 18, 1, 9]),
    ("both_superblocks_hold", &[1]),
    ("one_superblock_rotten", &[1, 2, 0, 1, 20, 0, 1]),
    ("the_other_superblock_rotten", &[0, 2, 0, 1, 20, 0, 0]),
    ("listed_segment_missing", &[0, 0, 3]),
    ("last_segment_missing", &[0, 1, 3]),
    ("newer_segment", &[1, 0, 9, 1, 2, 1, 9]),
    ("both_headers_rotten", &[1, 0, 0, 1, 20, 0, 0, 0, 0, 1, 20, 0, 1]),
    ("never_listed_and_rotten", &[1, 1, 7, 200, 3, 1, 2, 3]),
    ("misdirected", &[0, 0, 6, 1]),
    ("foreign", &[1, 0, 9, 1, 4, 1, 9]),
    ("rolled_back", &[1, 0, 9, 1, 16, 2, 248, 0, 0, 9, 0, 0, 0, 0, 0]),
    ("one_header_rotten", &[1, 0, 0, 1, 20, 0, 0]),
    ("stale_and_sealed", &[3]),
    ("whole", &[0]),
    ("rot_below_a_durable_mark", &[1, 0, 0, 1, 44, 1, 2]),
    ("torn_and_named", &[1, 0, 1, 0, 0, 0, 7]),
    ("rot_in_the_last_group", &[1, 0, 0, 1, 44, 1, 6]),
    ("rot_and_not_named", &[1, 0, 0, 1, 44, 1, 2, 0, 0, 1, 20, 0, 10]),
    ("clean_end", &[2, 0, 8, 3]),
    ("torn_and_not_named", &[1, 0, 0, 1, 44, 1, 6, 0, 0, 1, 20, 0, 8]),
    ("torn_and_superblock_in_doubt", &[1, 0, 0, 1, 44, 1, 6, 0, 0, 1, 20, 0, 8, 2, 0, 1, 20, 0, 1]),
    ("cut_short", &[3, 1, 4, 10, 8, 0]),
    ("longer", &[0, 1, 4, 0, 40, 5]),
    ("a_sector_of_another_segment", &[0, 0, 5, 1, 4, 3]),
    ("power_cut", &[2, 0, 8, 1]),
    ("forged_number", &[1, 0, 10, 1, 8, 0, 2, 239]),
    ("forged_mark", &[1, 0, 10, 2, 16, 0, 2, 234]),
    ("forged_length", &[1, 0, 10, 0, 0, 0, 1, 230]),
    ("forged_second_copy", &[1, 0, 11, 0, 8, 2, 239]),
    ("forged_segment_of_a_gibibyte", &[1, 0, 9, 1, 13, 3, 4, 0, 0, 0, 64]),
];

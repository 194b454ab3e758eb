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
    for (target, list) in [
        ("replica", REPLICA),
        ("reassembly", REASSEMBLY),
        ("log_differential", MEDIA),
        ("resp", RESP),
    ] {
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

/// Whether the stream is made by choices, as `fuzz/src/resp/stream.rs` says, or is what follows;
/// how many lengths of reads there are, and these; the stream.
const RESP: List = &[
    (
        "get_and_set",
        b"\x00\x00*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n41\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    ),
    (
        "set_with_options",
        b"\x00\x01\x07set a 1 nx get\r\nset a 2 xx get\r\nset b 3 xx\r\nset a 4 nx xx\r\n\
          set a 5 ex 9\r\n",
    ),
    (
        "set_if_absent_and_swap",
        b"\x00\x00setnx a 1\r\nsetnx a 2\r\ngetset a 3\r\ngetset b 4\r\nget a\r\n",
    ),
    ("numbers", b"\x00\x00incr n\r\nincrby n 41\r\ndecr n\r\ndecrby n 5\r\nget n\r\n"),
    (
        "numbers_overflow",
        b"\x00\x00set n 9223372036854775807\r\nincr n\r\ndecrby n -9223372036854775808\r\n\
          incrby n 9223372036854775808\r\nset n 01\r\nincr n\r\n",
    ),
    (
        "append_and_length",
        b"\x00\x00append a xy\r\nappend a \"z z\"\r\nstrlen a\r\nstrlen b\r\nget a\r\n",
    ),
    (
        "many_keys",
        b"\x00\x01\x10mset a 1 b 2\r\nmset a 1 b\r\nmget a b c a\r\nexists a a c\r\ndbsize\r\n\
          del a a c\r\nflushall\r\nflushall sync\r\nflushall now\r\ndbsize\r\n",
    ),
    (
        "about_the_server",
        b"\x00\x00ping\r\nping you\r\necho me\r\nselect 0\r\nselect 1\r\nselect x\r\n\
          hello 2\r\nhello 3\r\nhello 2 auth\r\ninfo server\r\nconfig get save\r\n\
          config get *\r\nconfig set a b\r\n",
    ),
    (
        "about_commands",
        b"\x00\x00command\r\ncommand count\r\ncommand info get nonsense\r\ncommand docs\r\n\
          command x\r\n",
    ),
    ("quits", b"\x00\x00set a 1\r\nquit\r\nset a 2\r\n"),
    ("a_browser", b"\x00\x00POST / HTTP/1.1\r\nHost: here\r\n\r\nset a 1\r\n"),
    ("unknown_with_line_ends", b"\x00\x00*2\r\n$4\r\nno\r\n\r\n$3\r\n\xff\r\n\r\n\"\\n\" 'x'\r\n"),
    ("wrong_number_of_arguments", b"\x00\x00get\r\nget a b\r\nset a\r\nping a b\r\ndel\r\n"),
    (
        "pipeline_in_odd_reads",
        b"\x00\x03\x01\x05\x02*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\nincr a\r\n\
          *1\r\n$6\r\nDBSIZE\r\n",
    ),
    (
        "quotes",
        b"\x00\x01\x03set \"a\\x00\\n\\\"\" 'b\\'c'\r\nget \"a\\x00\\n\\\"\"\r\nget \"\"\r\n",
    ),
    ("quote_not_closed", b"\x00\x00ping\r\nget \"a\r\nping\r\n"),
    ("quote_in_a_word", b"\x00\x00get a\"b\"c\r\n"),
    (
        "nothing_between",
        b"\x00\x02\x01\x02\r\n \n*0\r\n*-1\r\n*-7\nping\r\n\n*1\r\n$4\r\nping\r\n*0\r\n",
    ),
    ("headers_without_cr", b"\x00\x00*2\n$3\nGET\r\n$1\r\na\r\nping\n"),
    ("array_in_an_array", b"\x00\x00*2\r\n*1\r\n$4\r\nping\r\n"),
    ("nil_as_an_argument", b"\x00\x00*2\r\n$3\r\nget\r\n$-1\r\n"),
    ("number_with_a_sign", b"\x00\x00*+1\r\n$4\r\nping\r\n"),
    ("length_with_a_zero", b"\x00\x00*1\r\n$04\r\nping\r\n"),
    ("longer_than_announced", b"\x00\x00*1\r\n$4\r\npings\r\n"),
    ("half_sent", b"\x00\x00*3\r\n$3\r\nset\r\n$1\r\na\r\n$100\r\nxyz"),
    ("half_a_header", b"\x00\x00ping\r\n*1\r\n$4"),
    ("announces_much", b"\x00\x00*65536\r\n$1048576\r\nx"),
    ("announces_too_much", b"\x00\x00*1048576\r\n$536870912\r\nx"),
    ("announces_the_impossible", b"\x00\x00*1048577\r\n"),
    ("announces_a_long_value", b"\x00\x00*1\r\n$536870913\r\n"),
    ("numbers_beyond_any", b"\x00\x00*99999999999999999999999999\r\n"),
    (
        "short_arguments_one_by_one",
        b"\x00\x01\x07*65536\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\n\
          a\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n",
    ),
    // MSET, twice a word of the greatest length and one a byte longer; then GET.
    ("longest_argument", &[1, 0, 0, 21, 2, 0, 0xf0, 7, 8, 0, 10, 1, 0]),
    ("argument_too_long", &[1, 1, 255, 0, 21, 2, 0, 0xf0, 7, 9, 0, 18, 0]),
    ("request_too_long", &[1, 0, 0, 17, 5, 0, 0xf0, 7, 8, 1, 0xf0, 7, 8, 0xf0, 8, 8, 0, 18, 0]),
    ("grows_too_long", &[1, 0, 0, 21, 2, 0, 0xf0, 7, 8, 0, 0, 2, 0, 1, 0, 13, 1, 0]),
    ("line_too_long", &[1, 0, 11, 10, 1, 0xf0, 7, 5, 0, 18, 0]),
    ("two_thousand_keys", &[1, 0, 18, 16, 255, 0, 18, 6, 255, 1]),
    ("arrays_in_arrays", &[1, 0, 17, 63, 1, 0, 1, 0]),
    // GET with each thing wrong that `array` knows, one after the other.
    ("count_too_high", &[1, 0, 9, 0, 0, 10, 1, 0, 0, 18, 0]),
    ("count_too_low", &[1, 0, 9, 1, 0, 10, 1, 0, 0, 18, 0]),
    ("length_too_high", &[1, 0, 9, 3, 1, 10, 1, 0, 0, 18, 0]),
    ("length_too_low", &[1, 0, 9, 4, 1, 10, 1, 0, 0, 18, 0]),
    ("no_value", &[1, 0, 9, 6, 1, 10, 1, 0, 0, 18, 0]),
    ("log_holds_set", b"\x00\x00\x01\x01\x00\x00\x00a\x01\x00\x00\x00b\x01\x00\x00\x00\x00"),
    ("log_holds_an_unknown_change", b"\x00\x00\x08\x01\x00\x00\x00a"),
    ("log_holds_too_long_a_length", b"\x00\x00\x04\xff\xff\xff\xffa"),
];

//! The targets: where in the results each finds its figure, and what that must be.

use super::{Bound, Found, Target};
use crate::results::Measurement;
use crate::summary::{OURS, Summary};

use Bound::{Least, Most};

/// Who is neither a peer nor a variant of synod.
const FLOOR: &str = "floor";

/// What the figures of a row have in common.
#[derive(Clone, Copy)]
struct Of {
    suite: &'static str,
    metric: &'static str,
    replicas: u64,
    in_flight: u64,
    value_bytes: u64,
}

const CPU: Of = Of {
    suite: "engine",
    metric: "cpu_nanos_per_command",
    replicas: 3,
    in_flight: 256,
    value_bytes: 64,
};
const DURABLE: Of = Of { suite: "durable", metric: "commands_per_second", ..CPU };
const SERVERS: Of = Of { suite: "servers", metric: "commands_per_second", ..CPU };

/// A short log and a long one, by their commands: what is measured of these shows growth, and
/// nothing else.
const LENGTHS: [u64; 2] = [10_000, 1_000_000];

/// Whether a log has that length, rounded up to whole windows.
fn has_length(it: &Measurement, commands: u64) -> bool {
    it.commands == commands.next_multiple_of(it.in_flight.max(1))
}

/// Whether it was measured for the growth with the log.
pub(crate) fn shows_growth(it: &Measurement) -> bool {
    it.suite == CPU.suite && LENGTHS.iter().any(|length| has_length(it, *length))
}

/// The results, to be asked.
struct All<'a>(&'a [Measurement]);

impl All<'_> {
    fn of(&self, of: Of) -> impl DoubleEndedIterator<Item = &Measurement> {
        self.alike(of).filter(|it| !shows_growth(it))
    }

    fn alike(&self, of: Of) -> impl DoubleEndedIterator<Item = &Measurement> {
        self.0.iter().filter(move |it| {
            (it.suite.as_str(), it.metric.as_str()) == (of.suite, of.metric)
                && (it.replicas, it.in_flight) == (of.replicas, of.in_flight)
                && it.value_bytes == of.value_bytes
        })
    }

    /// The last that was measured of this peer.
    fn last(&self, of: Of, peer: &str) -> Option<Summary> {
        self.of(of).rev().find(|it| it.peer == peer).and_then(|it| Summary::of(&it.runs))
    }

    fn median(&self, of: Of, peer: &str) -> Option<f64> {
        Some(self.last(of, peer)?.median)
    }

    /// The medians of all peers: of what is neither synod, in any form, nor a floor.
    fn peers(&self, of: Of) -> Vec<f64> {
        let theirs = |peer: &str| !peer.starts_with(OURS) && !peer.starts_with(FLOOR);
        let theirs = self.of(of).filter(|it| theirs(&it.peer) && it.peer != "udp_kv");
        theirs.filter_map(|it| self.median(of, &it.peer)).collect()
    }

    fn least_of_peers(&self, of: Of) -> Option<f64> {
        self.peers(of).into_iter().min_by(f64::total_cmp)
    }

    fn most_of_peers(&self, of: Of) -> Option<f64> {
        self.peers(of).into_iter().max_by(f64::total_cmp)
    }

    /// The median of a log of this length.
    fn at_length(&self, peer: &str, commands: u64) -> Option<f64> {
        let mut found = self.alike(CPU).rev().filter(|it| has_length(it, commands));
        let found = found.find(|it| it.peer == peer)?;
        Some(Summary::of(&found.runs)?.median)
    }

    /// How much more a command costs in a log of 10^6 than in one of 10^4.
    fn growth(&self, peer: &str) -> Option<f64> {
        let [short, long] = LENGTHS;
        Some(self.at_length(peer, long)? / self.at_length(peer, short)?)
    }
}

fn ratio(ours: Option<f64>, other: Option<f64>) -> Option<Found> {
    Some(Found { figure: ours?, ratio: ours? / other? })
}

fn plain(figure: Option<f64>) -> Option<Found> {
    figure.map(|figure| Found { figure, ratio: figure })
}

fn row(row: impl Into<String>, found: Option<Found>, must: Bound, aim: Option<Bound>) -> Target {
    Target { row: row.into(), must, aim, found, floor: None }
}

impl Target {
    /// The same, with what the floor's figure makes of this one.
    fn above_floor(self, floor: Option<f64>, other: Option<f64>) -> Self {
        Self { floor: ratio(floor, other).map(|it| it.ratio), ..self }
    }
}

/// Every target, in order.
pub(super) fn targets(measurements: &[Measurement]) -> Vec<Target> {
    let all = All(measurements);
    let mut targets = engines(&all);
    targets.extend(durable(&all));
    targets.extend(servers(&all));
    targets.extend(moments(&all));
    targets
}

fn engines(all: &All) -> Vec<Target> {
    let mut rows = Vec::new();
    for (window, must, aim) in [(1, 2.0, 3.0), (16, 4.0, 6.0), (256, 7.0, 9.0), (4096, 7.0, 9.0)] {
        let of = Of { in_flight: window, ..CPU };
        let found = ratio(all.median(of, OURS), all.least_of_peers(of));
        let name = format!("engine, window {window}, to the best peer");
        let row = row(name, found, Most(1.0 / must), Some(Most(1.0 / aim)));
        rows.push(row.above_floor(all.median(of, FLOOR), all.least_of_peers(of)));
    }
    for (window, must) in [(256, 1.7), (4096, 1.5)] {
        let of = Of { in_flight: window, ..CPU };
        let found = ratio(all.median(of, OURS), all.median(of, FLOOR));
        let name = format!("engine, window {window}, to the floor");
        rows.push(row(name, found, Most(must), Some(Most(1.3))));
    }
    let nine = Of { replicas: 9, ..CPU };
    let ours = all.median(nine, OURS);
    let grown = ratio(ours, all.median(CPU, OURS));
    rows.push(row("engine, 9 replicas to 3", grown, Most(2.4), Some(Most(2.0))));
    let cheapest = ratio(ours, all.least_of_peers(nine));
    let cheapest = row("engine, 9 replicas, to the best peer", cheapest, Most(1.0), None);
    rows.push(cheapest.above_floor(all.median(nine, FLOOR), all.least_of_peers(nine)));
    // The figure is the growth; it is judged against the floor's, and aims at a number.
    let (ours, floor) = (all.growth(OURS), all.growth(FLOOR));
    let must = Most(floor.unwrap_or(1.0) + 0.1);
    let found = plain(ours).filter(|_| floor.is_some());
    rows.push(row("engine, 1000000 commands to 10000", found, must, Some(Most(1.1))));
    rows
}

fn durable(all: &All) -> Vec<Target> {
    let one = Of { metric: "p50_micros", in_flight: 1, ..DURABLE };
    let mut rows = vec![row(
        "durable, 1 in flight, p50 to the floor",
        ratio(all.median(one, OURS), all.median(one, FLOOR)),
        Most(1.15),
        Some(Most(1.05)),
    )];
    for (in_flight, must, aim) in [(64, 1.7, 2.0), (1024, 3.3, 4.5)] {
        let of = Of { in_flight, ..DURABLE };
        let found = ratio(all.median(of, OURS), all.most_of_peers(of));
        let name = format!("durable, {in_flight} in flight, commands, to the best peer");
        let row = row(name, found, Least(must), Some(Least(aim)));
        rows.push(row.above_floor(all.median(of, FLOOR), all.most_of_peers(of)));
    }
    let tail = Of { metric: "p99_micros", in_flight: 1024, ..DURABLE };
    let found = ratio(all.median(tail, OURS), all.least_of_peers(tail));
    let row_of_tail = row("durable, 1024 in flight, p99 to the best peer", found, Most(0.5), None);
    rows.push(row_of_tail.above_floor(all.median(tail, FLOOR), all.least_of_peers(tail)));
    for (segments, must, aim) in [("prepared", 0.6, 0.8), ("fresh", 0.4, 0.45)] {
        // The floor is what each of three writers gets of the disk.
        let of = Of { metric: "log_bytes_per_second", value_bytes: 16_384, ..DURABLE };
        let of = Of { in_flight: 64, ..of };
        let ours = all.median(of, &format!("{OURS}-{segments}"));
        let name = format!("durable, 16 KiB values, {segments} segments, to a third of the disk");
        rows.push(row(name, ratio(ours, all.median(of, FLOOR)), Least(must), Some(Least(aim))));
    }
    for (in_flight, metric) in [(1, "1"), (64, "64"), (1024, "1024")] {
        let of = Of { in_flight, ..DURABLE };
        let found = ratio(all.median(of, OURS), all.median(of, "synod-pwrite"));
        let name = format!("durable, {metric} in flight, mapped to pwrite");
        rows.push(row(name, found, Least(0.8), Some(Least(1.0))));
    }
    rows
}

fn servers(all: &All) -> Vec<Target> {
    let mut rows = Vec::new();
    for (clients, must, aim) in [(1, 3.0, 4.0), (64, 5.0, 7.0), (256, 4.0, 5.0)] {
        let of = Of { in_flight: clients, ..SERVERS };
        // Redis replicates without agreement: it is shown, and is no peer.
        let best = ["etcd", "zookeeper"].iter().filter_map(|peer| all.median(of, peer));
        let found = ratio(all.median(of, OURS), best.max_by(f64::total_cmp));
        let name = format!("servers, {clients} clients, to the better of etcd and ZooKeeper");
        rows.push(row(name, found, Least(must), Some(Least(aim))));
    }
    rows
}

/// What is judged as it is, wherever it was measured: the worst of all runs counts.
fn moments(all: &All) -> Vec<Target> {
    let ours = |metric: &str| {
        let found = all.0.iter().rev().find(|it| it.peer == OURS && it.metric == metric);
        found.and_then(|it| Summary::of(&it.runs))
    };
    let worst = |metric| plain(ours(metric).map(|it| it.most));
    let median = |metric| plain(ours(metric).map(|it| it.median));
    // At rest, or with so many clients as there were.
    let elections = |idle: bool| {
        let mut seen = all.0.iter().rev().filter(|it| it.peer == OURS && it.metric == "elections");
        let found = seen.find(|it| (it.in_flight == 0) == idle)?;
        Some(Summary::of(&found.runs)?.most)
    };
    let kind = |of: Of, kind: &str| all.median(of, &format!("{OURS}-{kind}"));
    let many = Of { metric: "operations_per_second", in_flight: 64, ..DURABLE };
    // The suffix is as long as it was made.
    let after_suffix = |empty: bool| {
        let suffix = |it: &Measurement| {
            let megabytes = it.peer.strip_prefix(OURS)?.strip_prefix("-suffix-")?;
            Some(megabytes.strip_suffix("-megabytes")? == "0")
        };
        let mut seen = all.0.iter().rev().filter(|it| it.metric == "gap_millis");
        Some(Summary::of(&seen.find(|it| suffix(it) == Some(empty))?.runs)?.median)
    };
    vec![
        row("gap after a kill, worst, ms", worst("gap_millis"), Most(300.0), Some(Most(220.0))),
        row("gap after a kill, median, ms", median("gap_millis"), Most(300.0), Some(Most(220.0))),
        row("elections in 10 idle minutes", plain(elections(true)), Most(0.0), None),
        row("elections in 10 minutes of load", plain(elections(false)), Most(0.0), None),
        row(
            "reads, 64 in flight, to writes",
            ratio(kind(many, "reads-alone"), kind(many, "writes-alone")),
            Least(5.0),
            Some(Least(10.0)),
        ),
        row("opening a log of 1 GiB, bytes/s", median("opened_bytes_per_second"), Least(1e9), None),
        row(
            "fail-over with 100 MB to without",
            ratio(after_suffix(false), after_suffix(true)),
            Most(1.5),
            None,
        ),
    ]
}

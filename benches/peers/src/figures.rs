//! The figures of docs/PERFORMANCE.md: which measurements each of them shows, and over what. Charts
//! and tables are made from this one list, so they never differ.

use crate::results::Measurement;
use crate::summary::Summary;
use crate::targets::shows_growth;

/// What a figure goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    InFlight,
    Replicas,
    ValueBytes,
    Commands,
}

/// One chart, and one table.
pub(crate) struct Figure {
    /// What its file and its place in the document are called.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What the numbers are.
    pub(crate) unit: &'static str,
    pub(crate) axis: Axis,
    pub(crate) axis_title: &'static str,
    suite: &'static str,
    metric: &'static str,
    /// Replicas, commands in flight and bytes of a value, where the figure does not go along them.
    at: [u64; 3],
}

const ENGINE: Figure = Figure {
    name: "engine-window",
    title: "Engines: processor time by commands proposed at once",
    unit: "ns of processor time per command",
    axis: Axis::InFlight,
    axis_title: "commands proposed at once",
    suite: "engine",
    metric: "cpu_nanos_per_command",
    at: [3, 256, 64],
};

const DURABLE: Figure = Figure {
    name: "durable-throughput",
    title: "Durable: throughput by commands in flight",
    unit: "commands per second",
    axis: Axis::InFlight,
    axis_title: "commands in flight",
    suite: "durable",
    metric: "commands_per_second",
    at: [3, 1, 64],
};

const SERVERS: Figure = Figure {
    name: "servers-throughput",
    title: "Servers: throughput by clients",
    axis_title: "clients, each with one write under way",
    suite: "servers",
    ..DURABLE
};

/// All of them, in the order of the document.
pub(crate) const FIGURES: [Figure; 9] = [
    ENGINE,
    Figure {
        name: "engine-replicas",
        title: "Engines: processor time by replicas, 256 commands at once",
        axis: Axis::Replicas,
        axis_title: "replicas",
        ..ENGINE
    },
    Figure {
        name: "engine-length",
        title: "Engines: processor time by length of the log, 256 commands at once",
        axis: Axis::Commands,
        axis_title: "commands in the log",
        ..ENGINE
    },
    DURABLE,
    Figure {
        name: "durable-tail",
        title: "Durable: 99th percentile of latency by commands in flight",
        unit: "µs, 99th percentile",
        metric: "p99_micros",
        ..DURABLE
    },
    Figure {
        name: "durable-replicas",
        title: "Durable: median latency by replicas, 1 command in flight",
        unit: "µs, median",
        axis: Axis::Replicas,
        axis_title: "replicas, all on one disk",
        metric: "p50_micros",
        ..DURABLE
    },
    Figure {
        name: "durable-values",
        title: "Durable: bytes of commands by their length, 16 in flight",
        unit: "MB of commands per second",
        axis: Axis::ValueBytes,
        axis_title: "bytes of a command",
        at: [3, 16, 64],
        ..DURABLE
    },
    SERVERS,
    Figure {
        name: "servers-tail",
        title: "Servers: 99th percentile of latency by clients",
        unit: "µs, 99th percentile",
        metric: "p99_micros",
        ..SERVERS
    },
];

/// Who is shown in figures, each in a colour of its own.
pub(crate) const PEERS: [(&str, [u8; 3]); 13] = [
    ("synod", [0x00, 0x5a, 0xb5]),
    ("synod-pwrite", [0x56, 0xb4, 0xe9]),
    ("floor", [0x77, 0x77, 0x77]),
    ("omnipaxos", [0xe6, 0x9f, 0x00]),
    ("omnipaxos-batched", [0x9c, 0x6a, 0x00]),
    ("raft", [0xd5, 0x2b, 0x1e]),
    ("raft-batched", [0x84, 0x10, 0x30]),
    ("raft-async", [0xf0, 0x80, 0x80]),
    ("openraft", [0x00, 0x8a, 0x5c]),
    ("etcd", [0x6a, 0x3d, 0x9a]),
    ("etcd-quick", [0xb0, 0x90, 0xd0]),
    ("zookeeper", [0x8c, 0x50, 0x28]),
    ("redis", [0xcc, 0x3d, 0x9c]),
];

/// What a figure shows of one peer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) peer: &'static str,
    pub(crate) colour: [u8; 3],
    /// Where along the axis, and what was measured there, in the unit of the figure.
    pub(crate) points: Vec<(u64, Summary)>,
}

impl Series {
    /// What was measured there.
    pub(crate) fn at(&self, place: u64) -> Option<Summary> {
        self.points.iter().find(|(at, _)| *at == place).map(|(_, summary)| *summary)
    }
}

impl Figure {
    /// What there is to show, the peers in their order.
    pub(crate) fn series(&self, all: &[Measurement]) -> Vec<Series> {
        let series = PEERS.map(|(peer, colour)| {
            let mut points: Vec<(u64, Summary)> = Vec::new();
            for it in all.iter().filter(|it| it.peer == peer && self.shows(it)) {
                let (at, factor) = (self.place(it), self.factor(it));
                let runs: Vec<f64> = it.runs.iter().map(|run| run * factor).collect();
                // The last word counts, if the same was measured twice.
                points.retain(|(known, _)| *known != at);
                points.extend(Summary::of(&runs).map(|summary| (at, summary)));
            }
            points.sort_by_key(|(at, _)| *at);
            Series { peer, colour, points }
        });
        series.into_iter().filter(|series| !series.points.is_empty()).collect()
    }

    /// Everywhere along the axis where somebody was measured.
    pub(crate) fn places(series: &[Series]) -> Vec<u64> {
        let places = series.iter().flat_map(|series| series.points.iter().map(|(at, _)| *at));
        let mut places: Vec<u64> = places.collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    fn shows(&self, it: &Measurement) -> bool {
        // Redis has one member: it is shown for what it is.
        let replicas = if it.peer == "redis" { self.at[0] } else { it.replicas };
        let along = [Axis::Replicas, Axis::InFlight, Axis::ValueBytes];
        let situation = [replicas, it.in_flight, it.value_bytes];
        let mut pairs = along.iter().zip(situation).zip(self.at);
        let fits = pairs.all(|((axis, has), wanted)| *axis == self.axis || has == wanted);
        let growth = self.axis != Axis::Commands && shows_growth(it);
        fits && !growth && it.suite == self.suite && it.metric == self.metric
    }

    fn place(&self, it: &Measurement) -> u64 {
        match self.axis {
            Axis::InFlight => it.in_flight,
            Axis::Replicas => it.replicas,
            Axis::ValueBytes => it.value_bytes,
            Axis::Commands => it.commands,
        }
    }

    /// From the metric's unit to that of the figure.
    fn factor(&self, it: &Measurement) -> f64 {
        match self.axis {
            Axis::ValueBytes => it.value_bytes as f64 / 1e6,
            _ => 1.0,
        }
    }
}

/// A place along the axis, as axis and head of column name it.
pub(crate) fn place_text(axis: Axis, place: u64) -> String {
    match axis {
        Axis::ValueBytes if place >= 1 << 20 && place.is_multiple_of(1 << 20) => {
            format!("{} MiB", place >> 20)
        }
        Axis::ValueBytes if place >= 1 << 10 && place.is_multiple_of(1 << 10) => {
            format!("{} KiB", place >> 10)
        }
        Axis::ValueBytes => format!("{place} B"),
        Axis::Commands => round_figure(place as f64),
        Axis::InFlight | Axis::Replicas => place.to_string(),
    }
}

/// A number at an axis: without digits that say nothing there.
pub(crate) fn round_figure(value: f64) -> String {
    match value {
        _ if value >= 999_999.5 => format!("{} M", (value / 1e5).round() / 10.0),
        _ if value >= 999.5 => format!("{} k", (value / 100.0).round() / 10.0),
        _ => format!("{}", (value * 100.0).round() / 100.0),
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! What there is to draw: messages from end to end, stretches on the replicas' lines, and points.

use std::collections::BTreeMap;

use synod::ballot::Ballot;
use synod::membership::ReplicaId;
use synod::replica::Role;
use synod::sim::{Happened, Loss, Occurrence};
use synod::slot::Slots;
use synod::time::Instant;

use super::window::Window;

/// A message from its sending to its ends.
#[derive(Clone, Debug)]
pub(crate) struct Arrow {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) kind: &'static str,
    pub(crate) label: String,
    pub(crate) text: String,
    pub(crate) sent: Instant,
    /// Arrivals and losses, in their order; more than one if it came twice.
    pub(crate) ends: Vec<(Instant, Option<Loss>)>,
}

/// A stretch in which a replica stands by one ballot in one role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) replica: usize,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) promised: Ballot,
    pub(crate) role: Role,
    /// Whether it begins within the window.
    pub(crate) begins: bool,
}

/// A stretch in which some links are cut.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) links: Vec<(ReplicaId, ReplicaId)>,
}

/// A sync, from its beginning to its end if it had one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sync {
    pub(crate) replica: usize,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) ended: bool,
}

/// A stretch in which a replica stands still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frozen {
    pub(crate) replica: usize,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

/// Something at one moment on one replica's line.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) replica: usize,
    pub(crate) time: Instant,
    pub(crate) what: What,
}

/// What happened at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// For this many times now.
    Starts(u64),
    Crashes,
    Rots,
    StandsStill,
    GoesOn,
    /// By so many microseconds.
    ClockJumps(i64),
    Command,
    /// This slot is chosen, by this replica's disk.
    Chosen(u64),
    Applied(u64),
    /// A message arrived that no replica of the run sent.
    Stray,
}

/// Everything that is drawn.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    pub(crate) replicas: usize,
    pub(crate) arrows: Vec<Arrow>,
    pub(crate) spans: Vec<Span>,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) syncs: Vec<Sync>,
    pub(crate) frozen: Vec<Frozen>,
    pub(crate) points: Vec<Point>,
    /// When the weather became fair.
    pub(crate) repaired: Option<Instant>,
    /// When which claim was broken, and how.
    pub(crate) broken: Option<(Instant, &'static str, String)>,
}

/// What is open while the run is read.
#[derive(Default)]
struct Open {
    arrows: BTreeMap<u64, Arrow>,
    spans: BTreeMap<usize, (Instant, Ballot, Role)>,
    syncs: BTreeMap<usize, Instant>,
    frozen: BTreeMap<usize, Instant>,
    /// How often each replica started.
    starts: BTreeMap<usize, u64>,
    cut: Option<(Instant, Vec<(ReplicaId, ReplicaId)>)>,
}

fn column(replica: ReplicaId) -> usize {
    replica.0.saturating_sub(1) as usize
}

impl Scene {
    /// What there is to draw of the window.
    pub(crate) fn new(replicas: usize, occurrences: &[Occurrence], window: &Window) -> Self {
        let mut scene = Self { replicas, ..Self::default() };
        let mut open = Open::default();
        for one in occurrences {
            scene.take(&mut open, one);
        }
        scene.close(open, window);
        scene
    }

    fn take(&mut self, open: &mut Open, one: &Occurrence) {
        let time = one.time;
        match &one.what {
            Happened::Sent { .. } | Happened::Arrived { .. } | Happened::Lost { .. } => {
                self.take_message(open, one);
            }
            Happened::Started { replica, .. } => {
                let starts = open.starts.entry(column(*replica)).or_default();
                *starts += 1;
                self.point(*replica, time, What::Starts(*starts));
            }
            Happened::Crashed { replica } => {
                self.end_span(open, column(*replica), time);
                self.end_sync(open, column(*replica), time, false);
                self.end_frozen(open, column(*replica), time);
                self.point(*replica, time, What::Crashes);
            }
            Happened::Froze { replica } => {
                open.frozen.insert(column(*replica), time);
                self.point(*replica, time, What::StandsStill);
            }
            Happened::Thawed { replica } => {
                self.end_frozen(open, column(*replica), time);
                self.point(*replica, time, What::GoesOn);
            }
            Happened::Jumped { replica, by_micros } => {
                self.point(*replica, time, What::ClockJumps(*by_micros));
            }
            Happened::Rotted { replica } => self.point(*replica, time, What::Rots),
            Happened::Stood { replica, promised, role } => {
                self.end_span(open, column(*replica), time);
                open.spans.insert(column(*replica), (time, *promised, *role));
            }
            Happened::Proposed { replica, .. } => self.point(*replica, time, What::Command),
            Happened::SyncBegan { replica } => {
                open.syncs.insert(column(*replica), time);
            }
            Happened::Synced { replica, .. } => {
                self.end_sync(open, column(*replica), time, true);
            }
            Happened::Chosen { slot, by, .. } => self.point(*by, time, What::Chosen(slot.0)),
            Happened::Applied { replica, slot } => {
                self.point(*replica, time, What::Applied(slot.0));
            }
            Happened::Cut { links } => {
                self.end_cut(open, time);
                open.cut = (!links.is_empty()).then(|| (time, links.clone()));
            }
            Happened::Repaired => self.repaired = Some(time),
            Happened::Broken { invariant, text } => {
                self.broken = Some((time, *invariant, text.clone()));
            }
            _ => {}
        }
    }

    fn take_message(&mut self, open: &mut Open, one: &Occurrence) {
        let mut end = |message: &u64, loss| {
            if let Some(arrow) = open.arrows.get_mut(message) {
                arrow.ends.push((one.time, loss));
            }
        };
        match &one.what {
            Happened::Sent { message, from, to, kind, ballot, slots, text } => {
                let arrow = Arrow {
                    from: column(*from),
                    to: column(*to),
                    kind,
                    label: label(kind, *ballot, *slots),
                    text: text.clone(),
                    sent: one.time,
                    ends: Vec::new(),
                };
                open.arrows.insert(*message, arrow);
            }
            Happened::Arrived { message: 0, to, .. } => self.point(*to, one.time, What::Stray),
            Happened::Arrived { message, .. } => end(message, None),
            Happened::Lost { message, loss, .. } => end(message, Some(*loss)),
            _ => {}
        }
    }

    fn point(&mut self, replica: ReplicaId, time: Instant, what: What) {
        self.points.push(Point { replica: column(replica), time, what });
    }

    fn end_span(&mut self, open: &mut Open, replica: usize, to: Instant) {
        if let Some((from, promised, role)) = open.spans.remove(&replica) {
            self.spans.push(Span { replica, from, to, promised, role, begins: true });
        }
    }

    fn end_sync(&mut self, open: &mut Open, replica: usize, to: Instant, ended: bool) {
        if let Some(from) = open.syncs.remove(&replica) {
            self.syncs.push(Sync { replica, from, to, ended });
        }
    }

    fn end_frozen(&mut self, open: &mut Open, replica: usize, to: Instant) {
        if let Some(from) = open.frozen.remove(&replica) {
            self.frozen.push(Frozen { replica, from, to });
        }
    }

    fn end_cut(&mut self, open: &mut Open, to: Instant) {
        if let Some((from, links)) = open.cut.take() {
            self.cuts.push(Cut { from, to, links });
        }
    }

    /// Ends what is open, and keeps what the window shows.
    fn close(&mut self, mut open: Open, window: &Window) {
        let after = Instant::from_micros(window.end.as_micros().saturating_add(1));
        for replica in 0..self.replicas {
            self.end_span(&mut open, replica, after);
            self.end_sync(&mut open, replica, after, false);
            self.end_frozen(&mut open, replica, after);
        }
        self.end_cut(&mut open, after);
        let meets = |from: Instant, to: Instant| from <= window.end && to >= window.start;
        let fit = |time: Instant| time.clamp(window.start, window.end);
        self.spans.retain(|span| meets(span.from, span.to) && span.from < span.to);
        for span in &mut self.spans {
            span.begins = window.contains(span.from);
            (span.from, span.to) = (fit(span.from), fit(span.to));
        }
        self.cuts.retain(|cut| meets(cut.from, cut.to) && cut.from < cut.to);
        for cut in &mut self.cuts {
            (cut.from, cut.to) = (fit(cut.from), fit(cut.to));
        }
        self.syncs.retain(|sync| meets(sync.from, sync.to));
        for sync in &mut self.syncs {
            sync.ended &= sync.to <= window.end;
            (sync.from, sync.to) = (fit(sync.from), fit(sync.to));
        }
        self.frozen.retain(|frozen| meets(frozen.from, frozen.to));
        for frozen in &mut self.frozen {
            (frozen.from, frozen.to) = (fit(frozen.from), fit(frozen.to));
        }
        self.points.retain(|point| window.contains(point.time));
        self.repaired = self.repaired.filter(|time| window.contains(*time));
        self.broken = self.broken.take().filter(|(time, ..)| window.contains(*time));
        let seen = |arrow: &Arrow| {
            let mut times = arrow.ends.iter().map(|(time, _)| *time);
            window.contains(arrow.sent) || times.any(|time| window.contains(time))
        };
        self.arrows = open.arrows.into_values().filter(seen).collect();
    }
}

/// What stands beside a message's beginning.
fn label(kind: &str, ballot: Option<Ballot>, slots: Option<Slots>) -> String {
    let mut label = String::from(kind);
    if let Some(ballot) = ballot {
        label.push_str(&format!(" {ballot}"));
    }
    match slots {
        Some(slots) if slots.len() == 1 => label.push_str(&format!(" {}", slots.start)),
        Some(slots) if slots.len() > 1 => label.push_str(&format!(" {slots}")),
        Some(_) | None => {}
    }
    label
}

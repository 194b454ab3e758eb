//! Where on the page a moment stands. Time is not to scale: a moment in which something happens
//! has room for what is written beside it, and a long time of silence takes little.

use std::collections::BTreeMap;

use synod::time::Instant;

/// The height of a line of text.
pub(crate) const LINE: f64 = 12.0;
/// The least and the most between two moments that follow one another.
const STEP: (f64, f64) = (3.0, 44.0);
/// The least between the two ends of a message.
const SLOPE: f64 = 15.0;
/// What lies between two moments usually.
const USUAL: f64 = 9.0;

/// Where the moments of a window stand.
#[derive(Debug)]
pub(crate) struct Axis {
    /// Each moment in which something happens, with its place.
    places: Vec<(Instant, f64)>,
    /// How many microseconds the height of a usual step stands for.
    usual_micros: f64,
}

/// The moments of a window, each with how many lines of text stand above it in which column.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    lines: BTreeMap<Instant, BTreeMap<usize, usize>>,
    /// Moments that must stand well below others, with those.
    below: BTreeMap<Instant, Vec<Instant>>,
}

impl Moments {
    /// Something happens.
    pub(crate) fn add(&mut self, time: Instant) {
        self.lines.entry(time).or_default();
    }

    /// So many lines of text are to stand above a moment, in a column.
    pub(crate) fn reserve(&mut self, time: Instant, column: usize, lines: usize) {
        let reserved = self.lines.entry(time).or_default().entry(column).or_default();
        *reserved = lines.max(*reserved);
    }

    /// A message that is sent at one moment and ends at the other is not to lie flat.
    pub(crate) fn slope(&mut self, from: Instant, to: Instant) {
        self.below.entry(to).or_default().push(from);
    }

    /// Gives every moment its place, from `top` down.
    pub(crate) fn axis(self, top: f64) -> Axis {
        let usual_micros = self.usual_micros();
        let mut places: Vec<(Instant, f64)> = Vec::new();
        let mut bottoms: BTreeMap<usize, f64> = BTreeMap::new();
        for (time, columns) in self.lines {
            let mut place = match places.last() {
                Some((before, above)) => above + step(micros(*before, time), usual_micros),
                None => top,
            };
            for (column, lines) in &columns {
                let bottom = bottoms.get(column).copied().unwrap_or(top - LINE);
                place = place.max(bottom + *lines as f64 * LINE + 1.0);
            }
            for from in self.below.get(&time).into_iter().flatten() {
                let at = places.partition_point(|(moment, _)| moment < from);
                let sent = places.get(at).map_or(f64::NEG_INFINITY, |(_, sent)| *sent);
                place = place.max(sent + SLOPE);
            }
            bottoms.extend(columns.into_keys().map(|column| (column, place)));
            places.push((time, place));
        }
        Axis { places, usual_micros }
    }

    /// The median of the times between two moments.
    fn usual_micros(&self) -> f64 {
        let times: Vec<Instant> = self.lines.keys().copied().collect();
        let mut gaps: Vec<f64> = times.windows(2).map(|pair| micros(pair[0], pair[1])).collect();
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied().unwrap_or(1.0).max(1.0)
    }
}

fn micros(from: Instant, to: Instant) -> f64 {
    to.since(from).as_micros() as f64
}

fn step(micros: f64, usual_micros: f64) -> f64 {
    (micros / usual_micros * USUAL).clamp(STEP.0, STEP.1)
}

impl Axis {
    /// Where a moment stands. Before the first and after the last one: there.
    pub(crate) fn place(&self, time: Instant) -> f64 {
        let after = self.places.partition_point(|(moment, _)| *moment < time);
        let Some(&(later, below)) = self.places.get(after) else { return self.bottom() };
        let Some(&(earlier, above)) = after.checked_sub(1).and_then(|at| self.places.get(at))
        else {
            return below;
        };
        above + (below - above) * micros(earlier, time) / micros(earlier, later).max(1.0)
    }

    /// Where the first moment stands.
    pub(crate) fn top(&self) -> f64 {
        self.places.first().map_or(0.0, |(_, place)| *place)
    }

    /// Where the last moment stands.
    pub(crate) fn bottom(&self) -> f64 {
        self.places.last().map_or(0.0, |(_, place)| *place)
    }

    /// Moments to be written at the margin, at least so far apart.
    pub(crate) fn ticks(&self, apart: f64) -> Vec<(Instant, f64)> {
        let mut ticks: Vec<(Instant, f64)> = Vec::new();
        for place in &self.places {
            if ticks.last().is_none_or(|last| place.1 >= last.1 + apart) {
                ticks.push(*place);
            }
        }
        ticks
    }

    /// Times of silence that take far less room than they should: how many microseconds, and where.
    pub(crate) fn silences(&self) -> Vec<(f64, f64)> {
        let pairs = self.places.windows(2);
        let gaps = pairs.map(|pair| (micros(pair[0].0, pair[1].0), pair[0].1, pair[1].1));
        let long = |micros: &f64| micros / self.usual_micros * USUAL > 4.0 * STEP.1;
        gaps.filter(|(micros, ..)| long(micros))
            .map(|(micros, above, below)| (micros, (above + below) / 2.0))
            .collect()
    }
}

//! Whether a history could have come from one register that does one thing at a time: the search
//! of Wing and Gong, with Lowe's memory of where it was. It knows calls, returns and answers, and
//! nothing of a log.

use std::collections::BTreeSet;

use synod::sim::{History, Operation, Outcome, RegisterCommand, RegisterKind};

/// How many calls a search takes at the most.
pub(crate) const CALLS_MAX: usize = 256;

/// A call of one register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) invoked: u64,
    pub(crate) kind: RegisterKind,
    /// When it returned, and what it answered. A call without may have happened at any time after
    /// it was invoked, or not at all.
    pub(crate) returned: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Linearizable,
    Not,
    /// The search grew too long, or there are too many calls.
    Open,
}

impl Call {
    /// The operation's register and its call; `None` if it certainly never happened.
    pub(crate) fn of(operation: &Operation<u64>) -> Option<(usize, Self)> {
        let RegisterCommand { register, kind } = RegisterCommand::parse(&operation.command);
        let returned = match operation.outcome {
            Outcome::Never => return None,
            Outcome::Unknown => None,
            Outcome::Answered(answer) => {
                Some((operation.returned.expect("an answer has a time"), answer))
            }
        };
        Some((register, Self { invoked: operation.invoked, kind, returned }))
    }

    /// The calls of one register.
    pub(crate) fn all_of(history: &History<u64>, register: usize) -> Vec<Self> {
        let calls = history.operations.iter().filter_map(Self::of);
        calls.filter(|(of, _)| *of == register).map(|(_, call)| call).collect()
    }

    fn is_optional(&self) -> bool {
        self.returned.is_none()
    }

    /// The register after the call, `None` being a value that is not known; nothing if it cannot
    /// have answered so.
    fn step(&self, before: Option<u64>) -> Option<Option<u64>> {
        let answer = self.returned.map(|(_, answer)| answer);
        let after = match self.kind {
            RegisterKind::Read => before.or(answer),
            RegisterKind::Write(value) => Some(value),
            RegisterKind::Add(more) => before.map(|value| value.wrapping_add(more)).or(answer),
        };
        let right = match self.kind {
            RegisterKind::Write(_) => Some(0),
            RegisterKind::Read | RegisterKind::Add(_) => after,
        };
        (answer.is_none() || answer == right).then_some(after)
    }
}

/// Where a search stands: which calls have happened, the register, and the optional call that came
/// last, if nothing has seen its effect yet.
type Point = ([u64; CALLS_MAX / 64], Option<u64>, Option<usize>);

struct Search<'a> {
    calls: &'a [Call],
    seen: BTreeSet<Point>,
    points_max: usize,
}

/// Searches for an order of the calls. `initial` is the register before them; `None` if any value
/// will do.
pub(crate) fn search(calls: &[Call], initial: Option<u64>, points_max: usize) -> Verdict {
    // Nobody misses a read that nobody saw return.
    let useful = |call: &Call| !(call.is_optional() && call.kind == RegisterKind::Read);
    let calls: Vec<Call> = calls.iter().copied().filter(useful).collect();
    if calls.len() > CALLS_MAX {
        return Verdict::Open;
    }
    let mut search = Search { calls: &calls, seen: BTreeSet::new(), points_max };
    search.from(([0; CALLS_MAX / 64], initial, None))
}

impl Search<'_> {
    fn from(&mut self, point: Point) -> Verdict {
        if !self.seen.insert(point) {
            return Verdict::Not;
        }
        if self.seen.len() > self.points_max {
            return Verdict::Open;
        }
        let (done, register, unseen) = point;
        let open = |index: &usize| done[index / 64] >> (index % 64) & 1 == 0;
        let left: Vec<usize> = (0..self.calls.len()).filter(open).collect();
        let returns = left.iter().filter_map(|i| Some((self.calls[*i].returned?.0, *i)));
        let Some((first_return, _)) = returns.clone().min() else { return Verdict::Linearizable };
        // What may come next: whatever was invoked before anything that is left returned. Those
        // that must happen first.
        let mut next: Vec<usize> =
            left.into_iter().filter(|i| self.calls[*i].invoked < first_return).collect();
        next.sort_by_key(|i| self.calls[*i].returned.map_or(u64::MAX, |(at, _)| at));
        for index in next {
            let call = self.calls[index];
            if !self.is_worth_it(unseen, index) {
                continue;
            }
            let Some(after) = call.step(register) else { continue };
            let mut then = done;
            then[index / 64] |= 1 << (index % 64);
            match self.from((then, after, call.is_optional().then_some(index))) {
                Verdict::Not => {}
                found @ (Verdict::Linearizable | Verdict::Open) => return found,
            }
        }
        Verdict::Not
    }

    /// Whether this call may come right after an optional one that nothing has seen. A write would
    /// hide that one: then it might as well not have happened. And of two optional additions in a
    /// row either order is as good.
    fn is_worth_it(&self, unseen: Option<usize>, next: usize) -> bool {
        match (unseen, self.calls[next].kind) {
            (Some(_), RegisterKind::Write(_)) => false,
            (Some(before), RegisterKind::Add(_)) if self.calls[next].is_optional() => {
                matches!(self.calls[before].kind, RegisterKind::Write(_)) || before < next
            }
            _ => true,
        }
    }
}

/// The calls that lie within a stretch of time, as a history of its own that is linearizable if the
/// whole is: what began before the stretch may have happened in it or before, and what ends after
/// it may have happened in it or later.
pub(crate) fn window(calls: &[Call], from: u64, upto: u64) -> Vec<Call> {
    let inside = calls.iter().filter(|call| {
        let ended = call.returned.is_some_and(|(at, _)| at < from);
        call.invoked <= upto && !ended
    });
    let cut = |call: &Call| {
        let whole = call.invoked >= from;
        Call { returned: call.returned.filter(|(at, _)| whole && *at <= upto), ..*call }
    };
    inside.map(cut).collect()
}

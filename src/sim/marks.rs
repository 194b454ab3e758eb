//! What should happen sometimes: a run without these tests little.

/// How often situations came up that the tests must reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// A leader filled a slot with a Noop.
    pub noops: u64,
    /// A leader proposed again what an earlier ballot had proposed.
    pub adoptions: u64,
    /// An entry that phase 1 named was fetched from another replica.
    pub fetches: u64,
    /// A Promise took more than one page.
    pub pages: u64,
    /// A ballot was refused.
    pub nacks: u64,
    /// An acceptor had to catch up, or an Accept came late.
    pub behinds: u64,
    /// A chosen entry was sent out of a log.
    pub caught_up: u64,
    /// Entries were applied out of the log.
    pub applied_from_log: u64,
    /// An entry was learned without having been accepted at its ballot.
    pub learned: u64,
    /// A batch lost its slot to another entry.
    pub superseded: u64,
    /// A command was given back unproposed after it had been taken in.
    pub given_back: u64,
    /// A command was refused because too much waited.
    pub full: u64,
    /// A crash lost records that were not synced.
    pub lost_records: u64,
    /// A restarted replica knew that a slot it may have accepted was lost.
    pub faulty: u64,
    /// A restarted replica knew that a chosen entry was lost.
    pub holes: u64,
    /// A message of an earlier start was refused.
    pub old_lives: u64,
    /// A damaged frame, or a fragment of the past, was refused.
    pub refused_frames: u64,
    /// A replica stopped leading.
    pub deposed: u64,
    /// A client was told who leads instead, and went there.
    pub hints: u64,
    /// A client sent a command again, as a new one.
    pub retried: u64,
    /// A client's patience ended before an answer came.
    pub given_up: u64,
    /// A client's command became unknown because its replica stopped.
    pub stopped: u64,
}

impl Marks {
    /// Adds what another run reached.
    pub fn add(&mut self, other: &Self) {
        let pairs = self.fields_mut().into_iter().zip(other.fields());
        pairs.for_each(|((_, mine), (_, theirs))| *mine += theirs);
    }

    /// Each mark with its name.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, u64); 22] {
        let mut copy = *self;
        copy.fields_mut().map(|(name, count)| (name, *count))
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut u64); 22] {
        [
            ("noops", &mut self.noops),
            ("adoptions", &mut self.adoptions),
            ("fetches", &mut self.fetches),
            ("pages", &mut self.pages),
            ("nacks", &mut self.nacks),
            ("behinds", &mut self.behinds),
            ("caught_up", &mut self.caught_up),
            ("applied_from_log", &mut self.applied_from_log),
            ("learned", &mut self.learned),
            ("superseded", &mut self.superseded),
            ("given_back", &mut self.given_back),
            ("full", &mut self.full),
            ("lost_records", &mut self.lost_records),
            ("faulty", &mut self.faulty),
            ("holes", &mut self.holes),
            ("old_lives", &mut self.old_lives),
            ("refused_frames", &mut self.refused_frames),
            ("deposed", &mut self.deposed),
            ("hints", &mut self.hints),
            ("retried", &mut self.retried),
            ("given_up", &mut self.given_up),
            ("stopped", &mut self.stopped),
        ]
    }
}

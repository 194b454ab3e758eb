//! What must never be, and what must be reached.

/// A claim that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fault {
    Agreement,
    LaterProposal,
    TwoEntries,
    PromiseNotDurable,
    AcceptedNotDurable,
    PrepareNotDurable,
    FalseTag,
    NotChosen,
    NotProposed,
    MarkWithoutRecord,
    Accused,
    Stopped,
}

impl Fault {
    /// Every claim.
    pub(crate) const ALL: [Self; 12] = [
        Self::Agreement,
        Self::LaterProposal,
        Self::TwoEntries,
        Self::PromiseNotDurable,
        Self::AcceptedNotDurable,
        Self::PrepareNotDurable,
        Self::FalseTag,
        Self::NotChosen,
        Self::NotProposed,
        Self::MarkWithoutRecord,
        Self::Accused,
        Self::Stopped,
    ];

    /// What comes of other faults: somebody relies on what is not so.
    pub(crate) const CONSEQUENCES: &[Self] =
        &[Self::Agreement, Self::LaterProposal, Self::TwoEntries, Self::NotChosen];

    /// The claim in words.
    pub(crate) const fn claim(self) -> &'static str {
        match self {
            Self::Agreement => "agreement: one entry is ever chosen for a slot",
            Self::LaterProposal => "P2c: what is chosen, every higher ballot proposes",
            Self::TwoEntries => "a ballot and a slot name one entry",
            Self::PromiseNotDurable => "a promise is durable when it is told",
            Self::AcceptedNotDurable => "an acceptance is durable when it is told, or counted",
            Self::PrepareNotDurable => "a ballot is durable when it is shown",
            Self::FalseTag => "what is learned was proposed at the ballot named with it",
            Self::NotChosen => "what is learned or delivered is chosen",
            Self::NotProposed => "what is accepted was proposed",
            Self::MarkWithoutRecord => "the log holds what the chosen mark covers",
            Self::Accused => "no honest peer is accused",
            Self::Stopped => "no assertion stops a replica",
        }
    }
}

//! The decision table of recovery: what is found on the disk, and what is done about it.
//!
//! Each row has an answer for every question, or a dot where either will do. For every combination
//! of answers that can be, exactly one row fits; a test holds that.

use core::fmt;

/// What recovery does.
///
/// ```
/// use synod::wal::table::{self, Verdict};
///
/// let forms = table::SUPERBLOCK.rows.iter().filter(|row| row.verdict == Verdict::Form);
/// assert_eq!(forms.count(), 1, "a directory is made anew in one case only");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Makes the directory anew, with a DiskId of its own.
    Form,
    /// Uses it.
    Take,
    /// Uses the copy that holds; the other is written over.
    TakeOther,
    /// Leaves it out; it was never part of the log.
    Ignore,
    /// The log ends here.
    End,
    /// The log ends before it: it was never acknowledged. It is sealed, a new segment follows.
    Torn,
    /// Reports each record that does not hold: its slot is Faulty, or a hole if it is chosen.
    Lost,
    /// Does not start.
    Refuse,
}

/// A row of a table: the answers to its questions, and the verdict.
///
/// ```
/// use synod::wal::table::{self, Row, Verdict};
///
/// let clean = table::RECORDS.rows.iter().find(|row| row.name == "clean end");
/// let clean: &Row = clean.expect("there is such a row");
/// assert_eq!(clean.verdict, Verdict::End);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the row is called, here and in the tests.
    pub name: &'static str,
    answers: &'static str,
    /// What is done.
    pub verdict: Verdict,
}

/// One of the tables.
///
/// ```
/// use synod::wal::table::{self, Table};
///
/// let all: [&Table; 3] = [&table::SUPERBLOCK, &table::SEGMENT, &table::RECORDS];
/// for table in all {
///     println!("{table}"); // For people: a line for each row.
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// What it judges.
    pub about: &'static str,
    /// Its questions, a column each.
    pub questions: &'static [&'static str],
    /// Its rows.
    pub rows: &'static [Row],
}

const fn row(answers: &'static str, verdict: Verdict, name: &'static str) -> Row {
    Row { name, answers, verdict }
}

/// The superblock.
pub static SUPERBLOCK: Table = Table {
    about: "the superblock",
    questions: &[
        "is there",
        "segments are there",
        "a copy is newer",
        "a copy holds",
        "both hold",
        "is ours",
    ],
    rows: &[
        row(
            "nn....",
            Verdict::Form,
            "nothing: a new disk, or a wiped one (peers refuse its DiskId)",
        ),
        row("ny....", Verdict::Refuse, "segments without a superblock"),
        row("y.y...", Verdict::Refuse, "newer format"),
        row("y.nn..", Verdict::Refuse, "both copies rotten: the promise may be lost"),
        row("y.ny.n", Verdict::Refuse, "another cluster, replica or constant"),
        row("y.nyyy", Verdict::Take, "both copies hold"),
        row("y.nyny", Verdict::TakeOther, "one copy rotten"),
    ],
};

/// A segment's file and header, for each number from the first listed to the last found.
pub static SEGMENT: Table = Table {
    about: "a segment",
    questions: &[
        "is listed",
        "is there",
        "header is newer",
        "a header holds",
        "number fits",
        "is ours",
        "start is known",
    ],
    rows: &[
        row("nn.....", Verdict::End, "after the last segment"),
        row("yn.....", Verdict::Refuse, "a listed segment is missing"),
        row(".yy....", Verdict::Refuse, "newer format of a segment"),
        row("yynn...", Verdict::Refuse, "both headers of a listed segment rotten"),
        row("nynn...", Verdict::Ignore, "both headers rotten, never listed"),
        row(".ynyn..", Verdict::Refuse, "misdirected: another segment's number"),
        row(".ynyyn.", Verdict::Refuse, "foreign: another cluster, replica or disk"),
        row(".ynyyyn", Verdict::Refuse, "rolled back: the superblock is of an earlier start"),
        row(".ynyyyy", Verdict::Take, "a good header (one copy is enough)"),
    ],
};

/// The next records, where they should lie.
pub static RECORDS: Table = Table {
    about: "the next records",
    questions: &[
        "sealed off",
        "all hold",
        "second copy holds",
        "once durable",
        "a sector unwritten",
        "stray bytes",
        "superblock in doubt",
    ],
    rows: &[
        row("y......", Verdict::Ignore, "stale: above the end that a later start has sealed"),
        row("ny.....", Verdict::Take, "whole"),
        row("nnyy...", Verdict::Lost, "rot below a durable mark, slots named"),
        row("nnyny..", Verdict::Torn, "torn tail, named: a sector was never written"),
        row("nnynn..", Verdict::Lost, "rot in the last group: every bad sector was written"),
        row("nnny...", Verdict::Refuse, "rot or gap below a durable mark, slots not named"),
        row("nnnn.n.", Verdict::End, "clean end"),
        row("nnnn.yn", Verdict::Torn, "torn tail, not named"),
        row(
            "nnnn.yy",
            Verdict::Refuse,
            "torn tail, a superblock copy rotten for no reason: a promise may be lost",
        ),
    ],
};

impl Table {
    /// The row that fits the answers.
    pub(super) fn judge(&self, answers: &[bool]) -> &'static Row {
        self.rows
            .iter()
            .find(|row| row.fits(answers))
            .expect("a test holds that a row fits every combination of answers")
    }
}

impl Row {
    fn fits(&self, answers: &[bool]) -> bool {
        self.answers.bytes().zip(answers).all(|(want, is)| want == b'.' || (want == b'y') == *is)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.about)?;
        for (i, question) in self.questions.iter().enumerate() {
            writeln!(f, "  {}{question}", "| ".repeat(i))?;
        }
        for row in self.rows {
            write!(f, "  ")?;
            row.answers.chars().try_for_each(|answer| write!(f, "{answer} "))?;
            writeln!(f, " {:<9} {}", alloc::format!("{:?}", row.verdict), row.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! The result in a sentence, and the exit code.

use synod::wal::inspect::Inspection;

/// The exit code if something is rotten or lost, or a start would refuse the log.
const ROT: u8 = 1;
/// The exit code for a bad option, or if there is no log.
pub(crate) const NO_LOG: u8 = 2;

/// What the program ends with.
pub(crate) fn code(seen: &Inspection) -> u8 {
    if seen.is_sound() { 0 } else { ROT }
}

/// One word for it.
pub(crate) fn word(seen: &Inspection) -> &'static str {
    match (&seen.refused, seen.is_sound()) {
        (_, true) => "sound",
        (Some(_), false) => "refused",
        (None, false) => "rot",
    }
}

/// The same in a sentence.
pub(crate) fn sentence(seen: &Inspection) -> String {
    let torn = seen.log.as_ref().is_some_and(|log| log.torn);
    match (&seen.refused, seen.is_sound(), seen.changing, torn) {
        (_, true, true, _) => "sound, and being written: it changed while it was read".into(),
        (_, true, false, true) => {
            "sound; its end is torn, as a crash leaves it: a start goes on before that".into()
        }
        (_, true, false, false) => "sound".into(),
        (Some(reason), false, ..) => format!("REFUSED: a start would fail: {reason}"),
        (None, false, ..) => {
            let count = seen.findings.len();
            let findings = if count == 1 { "finding" } else { "findings" };
            format!("ROT: a start would take it, with {count} {findings} (at the end)")
        }
    }
}

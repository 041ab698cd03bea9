//! Lines to the terminal.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};

use crate::ratio::{Ratios, median};

/// For what was asked for.
pub(crate) fn say(line: impl Display) {
    writeln!(stdout(), "{line}").ok();
}

/// For everything else.
pub(crate) fn complain(line: impl Display) {
    writeln!(stderr(), "compare: {line}").ok();
}

pub(crate) fn header(title: &str) {
    say(title);
    say(format_args!(
        "{:<38}{:>7}  {:<13}{:>10}{:>10}",
        "ours : theirs", "ratio", "middle half", "ours/s", "theirs/s"
    ));
}

/// One comparison: `ours` and `theirs` hold a rate for each round.
pub(crate) fn row(what: &str, ours: &[f64], theirs: &[f64], goal: Option<f64>) {
    let ratios = Ratios::of(ours, theirs);
    let (low, high) = ratios.quartiles();
    let verdict = match goal {
        None => String::new(),
        Some(goal) if ratios.median() >= goal => format!("  goal {goal}: reached"),
        Some(goal) => format!("  goal {goal}: MISSED"),
    };
    say(format_args!(
        "{what:<38}{:>7.2}  {:<13}{:>10.0}{:>10.0}{verdict}",
        ratios.median(),
        format!("{low:.2}..{high:.2}"),
        median(ours),
        median(theirs),
    ));
}

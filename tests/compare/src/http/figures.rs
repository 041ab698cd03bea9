//! What is printed of the runs.

use super::variant::Variant::{self, Bare, Moka, Ours, Theirs, Vary};
use super::{Series, Workload};
use crate::ratio::median;
use crate::report::{header, row, say};

/// What is compared with what, and the ratio that was set as a goal.
type Line = (&'static str, Variant, Variant, Workload, Option<f64>);

const LINES: [Line; 7] = [
    (
        "read : tower-sessions, moka",
        Ours,
        Moka,
        Workload::Read,
        Some(1.15),
    ),
    (
        "read : axum without sessions",
        Ours,
        Bare,
        Workload::Read,
        Some(0.95),
    ),
    ("read : tower-sessions", Ours, Theirs, Workload::Read, None),
    (
        "change : tower-sessions",
        Ours,
        Theirs,
        Workload::Write,
        Some(1.5),
    ),
    (
        "change : tower-sessions, moka",
        Ours,
        Moka,
        Workload::Write,
        None,
    ),
    ("only `Vary`, read : axum", Vary, Bare, Workload::Read, None),
    (
        "tower-sessions, moka, read : axum",
        Moka,
        Bare,
        Workload::Read,
        None,
    ),
];

pub(super) fn print(series: &[Series<'_>], pinned: bool) {
    let place = if pinned {
        "the server on one core, wrk and Redis on another"
    } else {
        "not pinned to cores"
    };
    header(&format!("HTTP over Redis; {place}"));
    for line in LINES {
        compare(series, line, |one| &one.rates, line.4);
    }
    // The goals are about requests per second; this is steadier where others use the machine too.
    header("\nThe same by the server's processor time");
    for line in LINES {
        compare(series, line, |one| &one.thrifts, None);
    }
    say("\nHow busy server and Redis were, in parts of a core");
    for one in series {
        say(format_args!(
            "{:<10}{:<8}{:>8.2}{:>8.2}",
            one.server.variant.name(),
            one.workload.path(),
            median(&one.busy.0),
            median(&one.busy.1),
        ));
    }
}

fn compare<'a>(
    series: &'a [Series<'a>],
    (what, ours, theirs, workload, _): Line,
    figures: impl Fn(&'a Series<'a>) -> &'a [f64],
    goal: Option<f64>,
) {
    let of = |variant| {
        series
            .iter()
            .find(|one| one.server.variant == variant && one.workload == workload)
    };
    if let (Some(ours), Some(theirs)) = (of(ours), of(theirs)) {
        row(what, figures(ours), figures(theirs), goal);
    }
}

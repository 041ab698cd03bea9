//! Lines to the terminal. A task that cannot print any more goes on: its exit status still counts.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};

/// For what was asked for.
pub(crate) fn say(line: impl Display) {
    writeln!(stdout(), "{line}").ok();
}

/// For everything else.
pub(crate) fn complain(line: impl Display) {
    writeln!(stderr(), "xtask: {line}").ok();
}

/// A line of a test program, passed on as it is.
pub(crate) fn pass_on(line: &[u8]) {
    let mut out = stdout().lock();
    out.write_all(line).and_then(|()| out.flush()).ok();
}

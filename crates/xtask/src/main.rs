//! The tasks of this repository.
//!
//! - `cargo xtask test`: every test, with private servers, and one closing line `N passed, N failed, N skipped`
//! - `cargo xtask services`: the servers alone, for tests that are run by hand
//! - `cargo xtask bench instructions`: what a request costs, against its budget
//! - `cargo xtask bench compare`: cloakroom beside tower-sessions
//!
//! `cargo xtask help` says more.

mod args;
mod bench;
mod compare;
mod install;
mod output;
mod services;
mod tally;
mod test;
mod valkey;

use std::process::ExitCode;

use args::{Bench, HELP, Task};
use output::{complain, say};

/// What the shell convention calls a mistake in the command line.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Ok(Task::Help) => {
            say(HELP);
            ExitCode::SUCCESS
        }
        Ok(Task::Test(options)) => test::run(&options),
        Ok(Task::Services { install }) => services::serve(install),
        Ok(Task::Bench(Bench::Instructions)) => bench::instructions(),
        Ok(Task::Bench(Bench::Compare(part))) => compare::run(part),
        Err(mistake) => {
            complain(mistake);
            ExitCode::from(USAGE)
        }
    }
}

//! The store against real servers: what the conformance kit cannot ask of just any store.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![expect(
    clippy::wildcard_imports,
    reason = "every test speaks the words of `support`"
)]

mod bad_input;
mod cluster;
mod commands;
mod feed;
mod index;
mod outage;
mod rows;
mod sentinel;
mod support;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let trials = [
        rows::trials(),
        commands::trials(),
        index::trials(),
        bad_input::trials(),
        outage::trials(),
        feed::trials(),
        cluster::trials(),
        sentinel::trials(),
    ];
    let trials = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

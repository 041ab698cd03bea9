//! Named trials over a service, ignored with the reason where it is not installed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may do so, and this is its harness"
)]

use std::process::ExitCode;

use cloakroom_services::{Error, Requirement, require};
use libtest_mimic::{Arguments, Trial};

/// A trial: its name, and what it does with the service's URL.
pub(crate) type Case = (&'static str, fn(String));

/// The cases named, each an async function that takes the URL.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), |url| $crate::harness::on_runtime($name(url)))),*]
    };
}

pub(crate) use cases;

/// Runs an async test body on a runtime of its own.
pub(crate) fn on_runtime(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
        .block_on(body);
}

/// Runs the cases over the shared service.
pub(crate) fn run(service: fn() -> Result<String, Error>, cases: &[Case]) -> ExitCode {
    let arguments = Arguments::from_args();
    let service = if arguments.list {
        Requirement::Ready(String::new())
    } else {
        require(service())
    };
    if let Requirement::Ignored(reason) = &service {
        eprintln!("ignored: {reason}");
    }
    let trials = cases
        .iter()
        .map(|&(name, case)| match &service {
            Requirement::Ready(url) => {
                let url = url.clone();
                Trial::test(name, move || {
                    case(url);
                    Ok(())
                })
            }
            Requirement::Ignored(_) => Trial::test(name, || Ok(())).with_ignored_flag(true),
            Requirement::Failed(reason) => {
                let reason = reason.clone();
                Trial::test(name, move || Err(reason.into()))
            }
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

//! Trials that need a service, and a program that is killed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

use cloakroom_services::{Error, Redis, Requirement, require};
use libtest_mimic::{Completion, Failed, Trial};

/// With this variable set the program is the victim of one of its own tests.
const VICTIM: &str = "CLOAKROOM_SERVICES_VICTIM";

/// One test over a service. Without the service it is ignored, or fails, as [`require`] says.
pub(crate) fn trial<T>(
    service: &str,
    behaviour: &str,
    start: impl Fn() -> Result<T, Error> + Send + 'static,
    test: impl Fn(T) + Send + 'static,
) -> Trial {
    Trial::ignorable_test(format!("{service}::{behaviour}"), move || {
        match require(start()) {
            Requirement::Ready(service) => {
                test(service);
                Ok(Completion::Completed)
            }
            Requirement::Ignored(reason) => Ok(Completion::ignored_with(reason)),
            Requirement::Failed(reason) => Err(Failed::from(reason)),
        }
    })
}

/// Looks for 20 s or until the answer is yes.
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    (0..1_000).any(|_| {
        let done = condition();
        if !done {
            sleep(Duration::from_millis(20));
        }
        done
    })
}

/// Whether a process runs no more; a zombie that nobody collects does not count.
pub(crate) fn is_gone(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

pub(crate) fn is_victim() -> bool {
    std::env::var_os(VICTIM).is_some()
}

/// Starts a server on a thread that ends, says where, and waits to be killed.
pub(crate) fn victim() -> ExitCode {
    let started = std::thread::spawn(Redis::start).join();
    let Ok(Ok(server)) = started else {
        return ExitCode::FAILURE;
    };
    let pid = server.pid().unwrap_or_default();
    let said = writeln!(io::stdout(), "{pid} {}", server.folder().display());
    io::stdin().read_to_end(&mut Vec::new()).ok();
    said.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

pub(crate) fn a_killed_program_takes_its_server_along() {
    let mut program = Command::new(std::env::current_exe().expect("our own path"))
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second copy of this program");
    let mut line = String::new();
    BufReader::new(program.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("its line");
    let (pid, folder) = line.trim().split_once(' ').expect("a pid and a folder");
    let pid = pid.parse().expect("a number");
    assert!(!is_gone(pid));

    program.kill().expect("SIGKILL");
    program.wait().expect("its end");

    assert!(eventually(|| is_gone(pid)));
    assert!(eventually(|| !Path::new(folder).exists()));
}

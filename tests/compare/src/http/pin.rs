//! Who runs on which core: the server alone on one, everybody else on the other.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

const SERVER: &str = "0";
const CLIENTS: &str = "1";

/// Whether there is `taskset`, and both cores are ours.
pub(super) fn is_possible() -> bool {
    [SERVER, CLIENTS].into_iter().all(|core| {
        Command::new("taskset")
            .args(["-c", core, "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

pub(super) fn to_servers_core(program: &OsStr, pinned: bool) -> Command {
    on(SERVER, program, pinned)
}

pub(super) fn to_clients_core_command(program: &OsStr, pinned: bool) -> Command {
    on(CLIENTS, program, pinned)
}

/// Moves a process that runs already, with all its threads.
pub(super) fn to_clients_core(pid: u32) {
    Command::new("taskset")
        .args(["-a", "-c", "-p", CLIENTS, &pid.to_string()])
        .stdout(Stdio::null())
        .status()
        .ok();
}

fn on(core: &str, program: &OsStr, pinned: bool) -> Command {
    if !pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

//! The load: one thread of `wrk`.

use std::fs;
use std::process::{Command, Stdio};

use super::child::Child;
use super::{Workload, pin};
use crate::Result;

/// Connections at once.
const CONNECTIONS: usize = 32;

/// Sessions of a server. They take turns, so that with many more of them than connections no two
/// requests that are under way change the same one: that would measure conflicts.
pub(super) const SESSIONS: usize = 512;

const SECONDS: u32 = 2;

/// Runs inside `wrk`: sends each session in turn, and tells the figures at the end.
const SCRIPT: &str = include_str!("wrk.lua");

pub(super) struct Run {
    pub(super) requests: f64,
    pub(super) seconds: f64,
}

pub(super) fn find() -> Result<()> {
    // It calls asking for its version a failure.
    match Command::new("wrk").arg("--version").output() {
        Ok(_) => Ok(()),
        Err(_) => {
            Err("wrk is not installed: apt-get install -y --no-install-recommends wrk".into())
        }
    }
}

pub(super) fn run(server: &Child, workload: Workload, pinned: bool) -> Result<Run> {
    let script = std::env::temp_dir().join(format!("cloakroom-wrk-{}.lua", std::process::id()));
    fs::write(&script, SCRIPT)?;
    let output = pin::to_clients_core_command("wrk".as_ref(), pinned)
        .args(["-t", "1", "-c", &CONNECTIONS.to_string()])
        .args(["-d", &format!("{SECONDS}s"), "-s"])
        .arg(&script)
        .arg(format!(
            "http://127.0.0.1:{}{}",
            server.port,
            workload.path()
        ))
        .env("COOKIES", &server.cookies)
        .stdin(Stdio::null())
        .output();
    fs::remove_file(&script).ok();
    let told = String::from_utf8_lossy(&output?.stdout).into_owned();
    result(&told).ok_or_else(|| format!("wrk has failed:\n{told}").into())
}

/// The script's last line, `result REQUESTS MICROSECONDS FAILURES`; nothing if any failed.
fn result(told: &str) -> Option<Run> {
    let (_, line) = told.rsplit_once("result ")?;
    let mut figures = line.split_whitespace().map(str::parse::<f64>);
    let (requests, micros, failures) = (figures.next()?, figures.next()?, figures.next()?);
    (failures.ok()? < 1.0).then_some(Run {
        requests: requests.ok()?,
        seconds: micros.ok()? / 1e6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_a_failure_is_none() {
        let run = result("Running...\nresult 500 2000000 0\n").unwrap();
        assert_eq!(
            (run.requests.to_bits(), run.seconds.to_bits()),
            (500_f64.to_bits(), 2_f64.to_bits())
        );
        assert!(result("result 500 2000000 1\n").is_none());
        assert!(result("unable to connect").is_none());
    }
}

//! What happens to a server's process.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{MutexGuard, PoisonError};

use super::Server;
use crate::Failure;
use crate::home;
use crate::process::{self, eventually};

/// Looks of 10 ms each at a server that starts: a minute, because other tests may have the processors.
const START: u32 = 6_000;
/// Looks at a server that was told to do something, before it is killed or given up.
pub(super) const LOOKS: u32 = 2_000;

#[derive(Default)]
pub(super) struct Running {
    pub(super) child: Option<Child>,
    /// What was stopped by a signal and waits for its continuation.
    pub(super) frozen: Vec<u32>,
}

impl Server {
    pub(super) fn start(&self, running: &mut Running) -> Result<(), Failure> {
        let child = self
            .spawn()
            .map_err(|error| self.failure(format!("cannot be started: {error}")))?;
        let pid = child.id();
        home::watch(&[pid]);
        let child = running.child.insert(child);
        let mut ended = None;
        let ready = eventually(START, || {
            ended = child.try_wait().ok().flatten();
            ended.is_some() || (self.plan.is_ready)(pid)
        });
        let failure = match ended {
            None if ready => return Ok(()),
            None => self.failure("runs, but does not answer"),
            Some(status) => self.failure(format!("ended while it started: {status}")),
        };
        self.end(running, "KILL")?;
        Err(failure)
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut words = self.plan.command.iter();
        let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
        let log = OpenOptions::new()
            .create(true)
            .write(true)
            // Fresh at each start: the log of an earlier failure must not explain this one.
            .truncate(true)
            .open(self.folder.log())?;
        Command::new(program)
            .args(words)
            .current_dir(self.folder())
            .env("LC_ALL", "C")
            // MariaDB removes at its start what looks like its own temporary files, whosever they are.
            .env("TMPDIR", self.folder())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C at a terminal is for the tests; they end their servers.
            .process_group(0)
            .spawn()
    }

    /// Whether it ended by this signal, or ran no more; otherwise it has been killed.
    pub(super) fn end(&self, running: &mut Running, signal: &str) -> Result<bool, Failure> {
        let Some(pid) = running.child.as_ref().map(Child::id) else {
            return Ok(true);
        };
        let mut all = process::descendants(pid);
        all.insert(0, pid);
        let main = all.get(..1).unwrap_or_default();
        let kill = signal == "KILL";
        self.signal(signal, if kill { &all } else { main })?;
        self.go_on(running)?;
        let Some(child) = running.child.as_mut() else {
            return Ok(true);
        };
        let ended = eventually(LOOKS, || !matches!(child.try_wait(), Ok(None)));
        if !ended {
            self.signal("KILL", &all)?;
            child.wait().ok();
        }
        home::forget(main);
        running.child = None;
        // A server that is started on the same data must not meet what is left of the old one.
        eventually(LOOKS, || all.iter().copied().all(process::is_gone));
        Ok(ended)
    }

    pub(super) fn go_on(&self, running: &mut Running) -> Result<(), Failure> {
        self.signal("CONT", &running.frozen)?;
        home::forget(running.frozen.get(1..).unwrap_or_default());
        running.frozen.clear();
        Ok(())
    }

    pub(super) fn signal(&self, name: &str, pids: &[u32]) -> Result<(), Failure> {
        process::signal(name, pids)
            .map_err(|error| self.failure(format!("cannot be sent SIG{name}: {error}")))
    }

    pub(super) fn failure(&self, what: impl Into<String>) -> Failure {
        Failure::new(self.service, what).with_log(&self.folder.log())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

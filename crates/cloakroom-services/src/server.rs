//! One server process: start, stop, kill, freeze, thaw, restart.

use std::ffi::OsString;
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::home::{self, Folder};
use crate::port::Port;
use crate::privilege::Identity;
use crate::process::{self, eventually};
use crate::{Error, Failure};

/// Looks of 10 ms each at a server that starts: a minute, because other tests may have the processors.
const START: u32 = 6_000;
/// Looks at a server that was asked to end, before it is killed.
const STOP: u32 = 2_000;
/// How often a start is tried when another program takes the port first.
const TRIES: u32 = 5;

/// How to run one server; what differs between Redis, `PostgreSQL` and `MariaDB`.
pub(crate) struct Plan {
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// Whether the process of this id answers, and not another server on the same port.
    pub(crate) is_ready: Box<dyn Fn(u32) -> bool + Send + Sync>,
    /// The signal that ends it in good order.
    pub(crate) stop: &'static str,
    /// The signal that ends it fast and still clears what the system would keep, such as shared memory.
    pub(crate) discard: &'static str,
    pub(crate) url: String,
}

/// A private server on 127.0.0.1: a process, a port and a folder of its own.
///
/// Every method takes `&self`, so that one test can freeze a server which its other tasks are using. Dropping it ends the
/// process and removes the folder.
pub struct Server {
    service: &'static str,
    plan: Plan,
    running: Mutex<Running>,
    port: Port,
    folder: Folder,
}

#[derive(Default)]
struct Running {
    child: Option<Child>,
    /// What was stopped by a signal and waits for its continuation.
    frozen: Vec<u32>,
}

impl Server {
    /// Starts a server whose plan depends on its port and its folder, and waits until it answers.
    pub(crate) fn launch(
        service: &'static str,
        identity: &Identity,
        plan: impl Fn(u16, &Path) -> Result<Plan, Failure>,
    ) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            let port = Port::reserve(service)?;
            let folder = Folder::new(service, identity)?;
            let server = Self {
                service,
                plan: plan(port.number(), folder.path())?,
                running: Mutex::default(),
                port,
                folder,
            };
            let started = server.start(&mut server.lock());
            match started {
                Err(failure) if failure.is_port_taken() && tries < TRIES => tries += 1,
                Err(failure) => return Err(failure.into()),
                Ok(()) => break Ok(server),
            }
        }
    }

    /// Where clients reach it, with everything they need to log in.
    pub fn url(&self) -> &str {
        &self.plan.url
    }

    /// Its port on 127.0.0.1. It stays the same for the life of this value.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its folder: data, log, settings. It stays the same for the life of this value.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.lock().child.as_ref().map(Child::id)
    }

    /// Whether the process is there, frozen or not.
    pub fn is_running(&self) -> bool {
        let mut running = self.lock();
        let child = running.child.as_mut();
        child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends it in good order and waits for that. Clients are disconnected; data is written.
    ///
    /// # Errors
    ///
    /// If it did not end within 20 s. It has then been killed.
    pub fn stop(&self) -> Result<(), Error> {
        let mut running = self.lock();
        if self.end(&mut running, self.plan.stop)? {
            Ok(())
        } else {
            Err(self.failure("did not stop, was killed").into())
        }
    }

    /// Ends it by SIGKILL, with all its processes, and waits for that.
    ///
    /// # Errors
    ///
    /// If the signal could not be sent.
    pub fn kill(&self) -> Result<(), Error> {
        self.end(&mut self.lock(), "KILL")?;
        Ok(())
    }

    /// Stops it by SIGSTOP, with all its processes, and waits until they stand still: connections stay open, nobody answers.
    ///
    /// # Errors
    ///
    /// If it does not run, or the signal had no effect.
    pub fn freeze(&self) -> Result<(), Error> {
        let mut running = self.lock();
        let Some(pid) = running.child.as_ref().map(Child::id) else {
            return Err(self.failure("cannot be frozen: it does not run").into());
        };
        // The parent first, and then as long as there are new ones: a running server makes children.
        let mut fresh = vec![pid];
        while !fresh.is_empty() {
            self.signal("STOP", &fresh)?;
            running.frozen.append(&mut fresh);
            let mut all = process::descendants(pid);
            all.retain(|pid| !running.frozen.contains(pid) && !process::is_gone(*pid));
            fresh = all;
        }
        home::watch(running.frozen.get(1..).unwrap_or_default());
        let still = || running.frozen.iter().copied().all(process::is_stopped);
        if eventually(STOP, still) {
            Ok(())
        } else {
            Err(self.failure("did not freeze").into())
        }
    }

    /// Lets a frozen server go on. Without effect on one that is not frozen.
    ///
    /// # Errors
    ///
    /// If the signal could not be sent.
    pub fn thaw(&self) -> Result<(), Error> {
        self.go_on(&mut self.lock()).map_err(Error::from)
    }

    /// Starts it again on the same port and data folder, and waits until it answers; one that still runs is stopped first.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn restart(&self) -> Result<(), Error> {
        let mut running = self.lock();
        self.end(&mut running, self.plan.stop)?;
        let mut tries = 1;
        loop {
            match self.start(&mut running) {
                // The system may hold the port for an instant after a kill.
                Err(failure) if failure.is_port_taken() && tries < TRIES => tries += 1,
                result => return result.map_err(Error::from),
            }
        }
    }

    /// The end of its log, for messages.
    pub fn log(&self) -> String {
        self.failure("").log().to_owned()
    }

    fn start(&self, running: &mut Running) -> Result<(), Failure> {
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
    fn end(&self, running: &mut Running, signal: &str) -> Result<bool, Failure> {
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
        let ended = eventually(STOP, || !matches!(child.try_wait(), Ok(None)));
        if !ended {
            self.signal("KILL", &all)?;
            child.wait().ok();
        }
        home::forget(main);
        running.child = None;
        // A server that is started on the same data must not meet what is left of the old one.
        eventually(STOP, || all.iter().copied().all(process::is_gone));
        Ok(ended)
    }

    fn go_on(&self, running: &mut Running) -> Result<(), Failure> {
        self.signal("CONT", &running.frozen)?;
        home::forget(running.frozen.get(1..).unwrap_or_default());
        running.frozen.clear();
        Ok(())
    }

    fn signal(&self, name: &str, pids: &[u32]) -> Result<(), Failure> {
        process::signal(name, pids)
            .map_err(|error| self.failure(format!("cannot be sent SIG{name}: {error}")))
    }

    fn failure(&self, what: impl Into<String>) -> Failure {
        Failure::new(self.service, what).with_log(&self.folder.log())
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("service", &self.service)
            .field("port", &self.port())
            .field("folder", &self.folder())
            .finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If the signal cannot be sent, the watcher ends the process with the program.
        self.end(&mut self.lock(), self.plan.discard).ok();
    }
}

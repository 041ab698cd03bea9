//! What tests see of a server.

use std::fmt;
use std::path::Path;
use std::process::Child;
use std::sync::Mutex;

use super::Plan;
use super::life::{LOOKS, Running};
use crate::home::{self, Folder};
use crate::port::Port;
use crate::privilege::Identity;
use crate::process::{self, eventually};
use crate::{Error, Failure};

/// How often a start is tried when another program takes the port first.
const TRIES: u32 = 5;

/// A private server on 127.0.0.1: a process, a port and a folder of its own.
///
/// Every method takes `&self`, so that one test can freeze a server which its other tasks are using. Dropping it ends the
/// process and removes the folder.
pub struct Server {
    pub(super) service: &'static str,
    pub(super) plan: Plan,
    pub(super) running: Mutex<Running>,
    pub(super) port: Port,
    pub(super) folder: Folder,
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
        if eventually(LOOKS, still) {
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

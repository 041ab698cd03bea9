//! The log on stderr, which waits until the start has succeeded: what is wrong is told in one line,
//! and a warning beside it would be another.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The lines that wait; `None` once nothing waits any more.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Mutex<Option<Vec<u8>>>>);

impl Log {
    /// Begins to log, by `RUST_LOG` or else warnings. Who sets it asks for the log, a start that fails
    /// included: then nothing waits.
    pub(crate) fn begin() -> Self {
        let asked = EnvFilter::try_from_default_env();
        let waiting = asked.is_err().then(Vec::new);
        let log = Self(Arc::new(Mutex::new(waiting)));
        let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(io::stderr().is_terminal() && !plain)
            .with_env_filter(asked.unwrap_or_else(|_| EnvFilter::new("warn")))
            .init();
        log
    }

    /// The start has succeeded: writes what waits, and from now on everything at once.
    pub(crate) fn release(&self) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Nothing is left to do if stderr is closed.
        drop(io::stderr().write_all(&waiting.unwrap_or_default()));
    }
}

impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waiting {
            Some(waiting) => waiting.write(line),
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

//! Why there is no server.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

/// How much of a server's log an error shows, in lines.
const LOG_TAIL: usize = 20;

/// Why there is no server: not installed, or installed and failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The program is not on this machine.
    Missing(Missing),
    /// The program is here and did not do what was asked.
    Failed(Failure),
}

/// A service whose program is not on this machine, and how to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    service: &'static str,
    program: &'static str,
    packages: &'static [&'static str],
    optional: bool,
}

impl Missing {
    pub(crate) const fn new(
        service: &'static str,
        program: &'static str,
        packages: &'static [&'static str],
    ) -> Self {
        Self {
            service,
            program,
            packages,
            optional: false,
        }
    }

    /// The same, for a service that not every Debian release has: its tests may be ignored.
    pub(crate) const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The service: `Redis`, `PostgreSQL`...
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The Debian packages that bring it.
    pub fn packages(&self) -> &'static [&'static str] {
        self.packages
    }

    /// Whether its tests are ignored even where every service is required.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// The command that installs it on Debian.
    pub fn command(&self) -> String {
        format!(
            "apt-get install -y --no-install-recommends {}",
            self.packages.join(" ")
        )
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not installed (no {} found): {}",
            self.service,
            self.program,
            self.command()
        )
    }
}

impl StdError for Missing {}

/// A server that is installed and failed, with the end of its log.
#[derive(Clone, Debug)]
pub struct Failure {
    service: &'static str,
    what: String,
    log: String,
}

impl Failure {
    pub(crate) fn new(service: &'static str, what: impl Into<String>) -> Self {
        Self {
            service,
            what: what.into(),
            log: String::new(),
        }
    }

    /// Adds the last lines of the server's log file.
    pub(crate) fn with_log(mut self, file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.len().saturating_sub(LOG_TAIL);
        self.log = lines.get(tail..).unwrap_or_default().join("\n");
        self
    }

    /// The service: `Redis`, `PostgreSQL`...
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The end of the server's log, empty if it wrote none.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// Whether somebody else took the port between our look and the server's.
    pub(crate) fn is_port_taken(&self) -> bool {
        self.log.contains("in use")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.what)?;
        if self.log.is_empty() {
            Ok(())
        } else {
            write!(f, "\n--- the end of its log\n{}\n---", self.log)
        }
    }
}

impl StdError for Failure {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => missing.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl StdError for Error {}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_service_names_the_command_that_installs_it() {
        let missing = Missing::new("MariaDB", "mariadbd", &["mariadb-server-core", "x"]);
        assert_eq!(
            missing.to_string(),
            "MariaDB is not installed (no mariadbd found): \
             apt-get install -y --no-install-recommends mariadb-server-core x"
        );
    }

    #[test]
    fn a_failure_shows_the_end_of_the_log_only() {
        let file = std::env::temp_dir().join(format!("cloakroom-log-{}", std::process::id()));
        let lines: Vec<String> = (0..50).map(|n| format!("line {n}.")).collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
        let failure = Failure::new("Redis", "ended").with_log(&file);
        std::fs::remove_file(&file).unwrap();
        assert!(failure.to_string().contains("line 49."));
        assert!(failure.to_string().contains("line 30."));
        assert!(!failure.to_string().contains("line 29."));
    }
}

use std::fmt;

/// Why a backend cannot be tested here: its service is not there.
///
/// Its cases are then *ignored*, with this reason and the way to mend it. Where the environment says
/// `CLOAKROOM_REQUIRE_SERVICES=1` they count as failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    what: String,
    install: Option<String>,
}

impl Missing {
    /// What is missing, and the command that installs or starts it.
    ///
    /// ```
    /// use cloakroom_conformance::Missing;
    ///
    /// let missing = Missing::new("no redis-server found", "apt-get install redis-server");
    /// assert_eq!(
    ///     missing.to_string(),
    ///     "no redis-server found; to install it: apt-get install redis-server"
    /// );
    /// ```
    #[must_use]
    pub fn new(what: impl Into<String>, install: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            install: Some(install.into()),
        }
    }
}

impl From<&str> for Missing {
    fn from(what: &str) -> Self {
        Self::from(what.to_owned())
    }
}

impl From<String> for Missing {
    fn from(what: String) -> Self {
        Self {
            what,
            install: None,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.install {
            Some(install) => write!(f, "{}; to install it: {install}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Missing {}

use std::error::Error as StdError;
use std::fmt;

/// Which of four things went wrong in a store (contract rule 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "rule 11 names four, and the layer answers each"
)]
pub enum StoreErrorKind {
    /// Busy, timeout, connection lost, cluster moving: may be tried again. Never absence.
    Unavailable,
    /// This row cannot be read.
    Corrupt,
    /// A format or key id that this node does not know; the row is left untouched.
    Unsupported,
    /// The store will not take this: too large, misconfigured.
    Rejected,
}

/// An error of a store: a kind, a sentence, and the driver's error as its source.
///
/// ```
/// use cloakroom_core::{StoreError, StoreErrorKind};
///
/// let io = std::io::Error::from(std::io::ErrorKind::TimedOut);
/// let error = StoreError::unavailable("no answer within 2 s").with_source(io);
/// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
/// assert!(error.is_retryable());
/// assert!(std::error::Error::source(&error).is_some());
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: Box<str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind. The message must not hold a token, a password or a payload.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Busy, timeout, connection lost.
    #[must_use]
    pub fn unavailable(message: impl Into<Box<str>>) -> Self {
        Self::new(StoreErrorKind::Unavailable, message)
    }

    /// This row cannot be read.
    #[must_use]
    pub fn corrupt(message: impl Into<Box<str>>) -> Self {
        Self::new(StoreErrorKind::Corrupt, message)
    }

    /// A format that this node does not know.
    #[must_use]
    pub fn unsupported(message: impl Into<Box<str>>) -> Self {
        Self::new(StoreErrorKind::Unsupported, message)
    }

    /// Too large, misconfigured.
    #[must_use]
    pub fn rejected(message: impl Into<Box<str>>) -> Self {
        Self::new(StoreErrorKind::Rejected, message)
    }

    /// Keeps the driver's error as the source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Which of the four it is.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later: only for [`StoreErrorKind::Unavailable`].
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unavailable)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            StoreErrorKind::Unavailable => "store unavailable",
            StoreErrorKind::Corrupt => "record corrupt",
            StoreErrorKind::Unsupported => "record of an unsupported format",
            StoreErrorKind::Rejected => "rejected by the store",
        };
        write!(f, "{kind}: {}", self.message)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use http::StatusCode;

/// What went wrong, in the words of the design; each has one status (see [`ErrorKind::status`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store did not answer. Not the same as "no session".
    Unavailable,
    /// The record was written by a newer release, or with a key that this node does not know.
    Unsupported,
    /// The record cannot be decoded and the layer was told to fail then.
    Unreadable,
    /// Others wrote to the session faster than this commit could follow.
    Conflict,
    /// The secret was replaced (renew, login) by another request; the changes were dropped.
    Superseded,
    /// The session has ended.
    Ended,
    /// The request was rolled back; the change would be lost.
    RolledBack,
    /// The response head has left, so that a new token can no longer be told to the client.
    HeadSent,
    /// The session would grow over the layer's limit. Where only the commit finds out, since other
    /// requests have stored something meanwhile, the response is replaced by an empty 413.
    TooLarge,
    /// An attribute does not decode as the asked type.
    Decode,
    /// A value cannot be encoded as JSON (non-finite floats included).
    Encode,
    /// The request carries two different live sessions.
    TwoSessions,
    /// Sessions are disabled by the layer's idle timeout.
    Disabled,
    /// There is no [`SessionLayer`](crate::SessionLayer) around this handler.
    LayerMissing,
    /// The `on_create` hook refused the new session, with this status.
    Refused(StatusCode),
    /// The copy is stale and read-only, since the store is down (`stale_if_error`).
    ReadOnly,
    /// An attribute's name is empty or too long.
    InvalidAttribute,
    /// A [`try_update`](crate::Session::try_update) closure refused the fresh value at the commit.
    UpdateRefused,
    /// The session has no owner.
    NoOwner,
    /// The store will not take the record: too large, misconfigured.
    Rejected,
    /// The store or the layer lacks what the call needs.
    NotSupported,
}

impl ErrorKind {
    /// The kind as one word, for logs, metrics and answers: `unavailable`, `two_sessions`...
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::Unreadable => "unreadable",
            Self::Conflict => "conflict",
            Self::Superseded => "superseded",
            Self::Ended => "ended",
            Self::RolledBack => "rolled_back",
            Self::HeadSent => "head_sent",
            Self::TooLarge => "too_large",
            Self::Decode => "decode",
            Self::Encode => "encode",
            Self::TwoSessions => "two_sessions",
            Self::Disabled => "disabled",
            Self::LayerMissing => "layer_missing",
            Self::Refused(_) => "refused",
            Self::ReadOnly => "read_only",
            Self::InvalidAttribute => "invalid_attribute",
            Self::UpdateRefused => "update_refused",
            Self::NoOwner => "no_owner",
            Self::Rejected => "rejected",
            Self::NotSupported => "not_supported",
        }
    }

    /// The status that an answer should carry.
    ///
    /// ```
    /// use cloakroom::ErrorKind;
    ///
    /// assert_eq!(ErrorKind::Unavailable.status(), 503);
    /// assert_eq!(ErrorKind::Superseded.status(), 409);
    /// ```
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unavailable | Self::Unsupported | Self::ReadOnly => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Superseded | Self::Ended => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TwoSessions | Self::InvalidAttribute | Self::UpdateRefused => {
                StatusCode::BAD_REQUEST
            }
            Self::Disabled => StatusCode::NOT_IMPLEMENTED,
            Self::NoOwner => StatusCode::FORBIDDEN,
            Self::Refused(status) => status,
            Self::Unreadable
            | Self::Conflict
            | Self::RolledBack
            | Self::HeadSent
            | Self::Decode
            | Self::Encode
            | Self::LayerMissing
            | Self::Rejected
            | Self::NotSupported => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of the session layer: a kind, a sentence, and the cause as its source.
///
/// ```
/// use cloakroom::{ErrorKind, Owner, Session};
///
/// async fn handler(session: Session) -> Result<(), cloakroom::Error> {
///     session.insert("seen", true)?;
///     match session.commit().await {
///         Err(error) if error.kind() == ErrorKind::Superseded => Ok(()),
///         other => other,
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    detail: Option<Cow<'static, str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// How long a client is asked to wait when the store is unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Error {
    pub(crate) const fn new(kind: ErrorKind) -> Self {
        Self {
            kind,
            detail: None,
            source: None,
        }
    }

    pub(crate) fn with_detail(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: Some(detail.into()),
            source: None,
        }
    }

    pub(crate) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// How long the client should wait before it tries again: `Some` for unavailable and
    /// unsupported.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.kind.status() {
            StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER),
            _ => None,
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Unavailable => ErrorKind::Unavailable,
            StoreErrorKind::Corrupt => ErrorKind::Unreadable,
            StoreErrorKind::Unsupported => ErrorKind::Unsupported,
            StoreErrorKind::Rejected => ErrorKind::Rejected,
        };
        Self::new(kind).caused_by(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self.kind {
            ErrorKind::Unavailable => "the session store is unavailable",
            ErrorKind::Unsupported => "the session was written by a newer release",
            ErrorKind::Unreadable => "the stored session cannot be read",
            ErrorKind::Conflict => {
                "others changed the session faster than this commit could follow"
            }
            ErrorKind::Superseded => "the session's secret was replaced by another request",
            ErrorKind::Ended => "the session has ended",
            ErrorKind::RolledBack => "the request was rolled back, its changes are dropped",
            ErrorKind::HeadSent => {
                "the response head has left: a new token cannot be sent any more"
            }
            ErrorKind::TooLarge => "the session would grow over its size limit",
            ErrorKind::Decode => "the attribute does not decode as the asked type",
            ErrorKind::Encode => "the value cannot be encoded as JSON",
            ErrorKind::TwoSessions => "the request carries two different live sessions",
            ErrorKind::Disabled => "sessions are disabled (the layer's idle timeout is Disabled)",
            ErrorKind::LayerMissing => {
                "no session layer around this handler: add `.layer(SessionLayer::builder(store)\
                 .build()?)` outside of it"
            }
            ErrorKind::Refused(_) => "the new session was refused by the on_create hook",
            ErrorKind::ReadOnly => {
                "the store is unavailable, this copy of the session is read-only"
            }
            ErrorKind::InvalidAttribute => "an attribute's name is 1 to 255 bytes",
            ErrorKind::UpdateRefused => "the update refused the value that it found at the commit",
            ErrorKind::NoOwner => "the session has no owner",
            ErrorKind::Rejected => "the session store rejected the record",
            ErrorKind::NotSupported => "the session store cannot do this",
        };
        f.write_str(sentence)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

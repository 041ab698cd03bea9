use std::fmt;
use std::ops::Deref;

use http::StatusCode;
use http::request::Parts;

use crate::{Error, Presented, Session};

/// A session that was found live; for handlers that have no use for a new one.
///
/// A request without one is refused with [`NotLive`], which tells a client whose session has timed
/// out so: with axum, status 440 (see
/// [`timed_out_status`](crate::SessionLayerBuilder::timed_out_status)) and `timed_out` as the text;
/// every other outcome is 401.
///
/// ```
/// use cloakroom::LiveSession;
///
/// async fn account(session: LiveSession) -> String {
///     format!("{:?}", session.owner())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct LiveSession(Session);

impl LiveSession {
    /// As [`Session::load`], for a live session only.
    ///
    /// # Errors
    ///
    /// [`NotLive`]: there is none, or it cannot be said.
    pub async fn load(parts: &Parts) -> Result<Self, NotLive> {
        let session = Session::load(parts).await.map_err(NotLive::Failed)?;
        let status = match session.presented() {
            Presented::Active => return Ok(Self(session)),
            Presented::TimedOut { .. } => session.timed_out_status(),
            _ => StatusCode::UNAUTHORIZED,
        };
        Err(NotLive::Presented {
            presented: session.presented(),
            status,
        })
    }

    /// The plain handle.
    #[must_use]
    pub fn into_session(self) -> Session {
        self.0
    }
}

impl Deref for LiveSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

/// Why there is no [`LiveSession`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NotLive {
    /// What the request's token was found to be instead.
    #[non_exhaustive]
    Presented {
        /// The outcome.
        presented: Presented,
        /// The status that the answer should carry.
        status: StatusCode,
    },
    /// It cannot be said: an outage is not an absent session.
    Failed(Error),
}

impl fmt::Display for NotLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Presented { presented, .. } => {
                write!(
                    f,
                    "no live session: the request's token is {}",
                    presented.as_str()
                )
            }
            Self::Failed(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for NotLive {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Presented { .. } => None,
            Self::Failed(error) => Some(error),
        }
    }
}

//! The extractors of axum. The one file that names `axum-core`.

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;

use super::{LiveSession, NotLive, Tagged};
use crate::{Error, Presented, Session};

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::load(parts).await
    }
}

/// `Some` only for a live stored session; an outage stays 503 and a missing layer 500, never `None`.
impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Error> {
        let session = Self::load(parts).await?;
        Ok((session.presented() == Presented::Active).then_some(session))
    }
}

impl<S: Sync, T: 'static> FromRequestParts<S> for Tagged<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::load(parts).await
    }
}

impl<S: Sync, T: 'static> OptionalFromRequestParts<S> for Tagged<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Error> {
        let session = Self::load(parts).await?;
        Ok((session.presented() == Presented::Active).then_some(session))
    }
}

/// The status of [`ErrorKind::status`](crate::ErrorKind::status), the kind as the text, and
/// `Retry-After` where it helps. The cause is not told to the client.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.kind().as_str()));
        *response.status_mut() = self.kind().status();
        if let Some(after) = self.retry_after() {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        response
    }
}

impl<S: Sync> FromRequestParts<S> for LiveSession {
    type Rejection = NotLive;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotLive> {
        Self::load(parts).await
    }
}

/// The ready-made answer to a client whose session has timed out, or is none.
impl IntoResponse for NotLive {
    fn into_response(self) -> Response {
        match self {
            Self::Failed(error) => error.into_response(),
            Self::Presented { presented, status } => {
                let mut response = Response::new(Body::from(presented.as_str()));
                *response.status_mut() = status;
                response
            }
        }
    }
}

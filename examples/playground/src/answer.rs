//! How an error looks on the wire: a status and `{"error": "<kind>"}`.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use cloakroom::{Error, ErrorKind};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

/// An error made by a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    retry_after: Option<Duration>,
}

impl ApiError {
    pub(crate) const BAD_REQUEST: Self = Self::new(StatusCode::BAD_REQUEST, "bad_request");
    pub(crate) const NO_OWNER: Self = Self::new(StatusCode::FORBIDDEN, "no_owner");
    pub(crate) const NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "not_found");
    pub(crate) const METHOD_NOT_ALLOWED: Self =
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    pub(crate) const TOO_LARGE: Self = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large");

    /// Every kind that an answer of the API or of a form may carry.
    pub(crate) const KINDS: &[&str] = &[
        "bad_request",
        "two_sessions",
        "no_owner",
        "not_found",
        "method_not_allowed",
        "superseded",
        "ended",
        "too_large",
        "conflict",
        "unreadable",
        "rolled_back",
        "head_sent",
        "rejected",
        "not_supported",
        "refused",
        "disabled",
        "unavailable",
        "unsupported",
    ];

    const fn new(status: StatusCode, kind: &'static str) -> Self {
        Self {
            status,
            kind,
            retry_after: None,
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            // What the client sent was wrong for this attribute.
            ErrorKind::Decode
            | ErrorKind::Encode
            | ErrorKind::InvalidAttribute
            | ErrorKind::UpdateRefused => return Self::BAD_REQUEST,
            // A read-only copy is what is left while the store is down.
            ErrorKind::ReadOnly => ErrorKind::Unavailable,
            kind => kind,
        };
        if kind.status().is_server_error() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a session could not be used"
            );
        }
        Self {
            status: kind.status(),
            kind: kind.as_str(),
            retry_after: error.retry_after(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": self.kind }));
        self.with(body)
    }
}

impl ApiError {
    /// The answer with this body.
    pub(crate) fn with(self, body: impl IntoResponse) -> Response {
        let mut response = (self.status, body).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_kind() {
        let readme = include_str!("../README.md");
        for kind in ApiError::KINDS {
            assert!(readme.contains(&format!("`{kind}`")), "{kind}");
        }
    }

    #[test]
    fn kinds_have_the_status_of_the_contract() {
        let table = [
            (ErrorKind::TwoSessions, 400, "two_sessions"),
            (ErrorKind::NoOwner, 403, "no_owner"),
            (ErrorKind::Superseded, 409, "superseded"),
            (ErrorKind::Ended, 409, "ended"),
            (ErrorKind::TooLarge, 413, "too_large"),
            (ErrorKind::Conflict, 500, "conflict"),
            (ErrorKind::Unreadable, 500, "unreadable"),
            (ErrorKind::RolledBack, 500, "rolled_back"),
            (ErrorKind::HeadSent, 500, "head_sent"),
            (ErrorKind::Disabled, 501, "disabled"),
            (ErrorKind::Unavailable, 503, "unavailable"),
            (ErrorKind::Unsupported, 503, "unsupported"),
            (ErrorKind::ReadOnly, 503, "unavailable"),
            (ErrorKind::UpdateRefused, 400, "bad_request"),
        ];
        for (kind, status, word) in table {
            let error = ApiError::from(Error::from(kind));
            assert_eq!((error.status.as_u16(), error.kind), (status, word));
            assert!(ApiError::KINDS.contains(&word), "{word}");
            let response = error.into_response();
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                status == 503,
                "{word}"
            );
        }
    }
}

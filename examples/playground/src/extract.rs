//! What handlers take from a request, each refusing in JSON.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use cloakroom::Session;
use http::request::Parts;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::answer::ApiError;
use crate::app::App;

/// The session of the request. Its use is noted in the journal.
pub(crate) struct Current(pub(crate) Session);

impl FromRequestParts<App> for Current {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let session = Session::load(parts).await?;
        app.journal.begin(&session, parts);
        Ok(Self(session))
    }
}

/// The name of an attribute: 1 to 128 characters of `[A-Za-z0-9_.-]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn new(text: impl Into<String>) -> Result<Self, ApiError> {
        let text = text.into();
        let valid = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if valid {
            Ok(Self(text))
        } else {
            Err(ApiError::BAD_REQUEST)
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text).map_err(|_| "a key is 1 to 128 characters of A-Z a-z 0-9 _ . -")
    }
}

/// The parts of the path that stand in braces in the route.
pub(crate) struct InPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for InPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, app).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(_) => Err(ApiError::BAD_REQUEST),
        }
    }
}

/// As [`InPath`], for the name of something: what cannot be read, also as UTF-8, names nothing.
pub(crate) struct NameInPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for NameInPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, app).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(_) => Err(ApiError::NOT_FOUND),
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

/// The waiting time `?ms=N`, at most ten minutes.
pub(crate) struct Wait(pub(crate) Duration);

#[derive(Deserialize)]
struct WaitQuery {
    ms: u64,
}

impl FromRequestParts<App> for Wait {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match Query::<WaitQuery>::from_request_parts(parts, app).await {
            Ok(Query(WaitQuery { ms })) if ms <= 600_000 => Ok(Self(Duration::from_millis(ms))),
            _ => Err(ApiError::BAD_REQUEST),
        }
    }
}

/// A body of any JSON, kept as it was written: 1 stays 1, 1.0 stays 1.0, and no digit is lost.
pub(crate) struct AnyJson(pub(crate) Box<RawValue>);

impl FromRequest<App> for AnyJson {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let Shape(value) = read_json(request).await?;
        Ok(Self(value))
    }
}

/// A body of JSON of one shape.
pub(crate) struct Shape<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Shape<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        read_json(request).await
    }
}

/// The content type is not looked at: `curl -d` says that it sends a form.
async fn read_json<T: DeserializeOwned>(request: Request) -> Result<Shape<T>, ApiError> {
    let body = request.into_body().collect().await;
    // No more than what `body::limited` has let through.
    let body = body.map_err(|_| ApiError::BAD_REQUEST)?.to_bytes();
    serde_json::from_slice(&body)
        .map(Shape)
        .map_err(|_| ApiError::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_a_key() {
        for right in ["a", "A-Z_a.z", &"k".repeat(128)] {
            assert_eq!(Key::new(right).unwrap().as_str(), right);
        }
        for wrong in ["", "a b", "a/b", "ä", "a\n", "..%", &"k".repeat(129)] {
            assert!(Key::new(wrong).is_err(), "{wrong:?}");
        }
    }
}

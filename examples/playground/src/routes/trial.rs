//! Handlers that misbehave on purpose: slow ones, failing ones, a panic, a late write.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use cloakroom::{Error, ErrorKind, Session};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::session::{Data, data};
use crate::answer::ApiError;
use crate::extract::{AnyJson, Current, InPath, Key, Wait};

pub(super) async fn slow_write(
    InPath(key): InPath<Key>,
    Wait(wait): Wait,
    Current(session): Current,
    AnyJson(value): AnyJson,
) -> Result<StatusCode, ApiError> {
    session.insert(key.as_str(), &value)?;
    tokio::time::sleep(wait).await;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
pub(super) struct BeforeAfter {
    before: Data,
    after: Data,
}

/// Nothing reloads in between: within one request a session does not change by itself.
pub(super) async fn slow_read(
    Wait(wait): Wait,
    Current(session): Current,
) -> Result<Json<BeforeAfter>, ApiError> {
    let before = data(&session)?;
    tokio::time::sleep(wait).await;
    let after = data(&session)?;
    Ok(Json(BeforeAfter { before, after }))
}

pub(super) async fn status(
    InPath((code, key)): InPath<(String, Key)>,
    Current(session): Current,
    AnyJson(value): AnyJson,
) -> Result<Response, ApiError> {
    answer_with(&session, &code, &key, &value)
}

/// Sets the attribute and answers with a status of 200 to 599.
pub(super) fn answer_with(
    session: &Session,
    code: &str,
    key: &Key,
    value: &RawValue,
) -> Result<Response, ApiError> {
    let status = StatusCode::from_bytes(code.as_bytes())
        .ok()
        .filter(|status| (200..=599).contains(&status.as_u16()))
        .ok_or(ApiError::BAD_REQUEST)?;
    session.insert(key.as_str(), value)?;
    if matches!(status.as_u16(), 204 | 205 | 304) {
        return Ok(status.into_response());
    }
    Ok((
        status,
        Json(serde_json::json!({ "status": status.as_u16() })),
    )
        .into_response())
}

pub(super) async fn panic(
    InPath(key): InPath<Key>,
    Current(session): Current,
) -> Result<StatusCode, ApiError> {
    set_and_panic(&session, &key)
}

#[expect(
    clippy::panic,
    reason = "the route shows that a panic stores nothing and harms nobody"
)]
pub(super) fn set_and_panic(session: &Session, key: &Key) -> Result<StatusCode, ApiError> {
    session.insert(key.as_str(), true)?;
    panic!("this handler panics on purpose");
}

pub(super) async fn stream(
    InPath(key): InPath<Key>,
    Wait(wait): Wait,
    Current(session): Current,
    AnyJson(value): AnyJson,
) -> Response {
    stream_answer(session, key, wait, value)
}

/// A head at once, a body that ends later and writes just before. By then the layer has released
/// the head: the body commits by itself, and says what came of it.
pub(super) fn stream_answer(
    session: Session,
    key: Key,
    wait: Duration,
    value: Box<RawValue>,
) -> Response {
    let end = async move {
        tokio::time::sleep(wait).await;
        let text = match set_late(&session, &key, &value).await {
            Ok(()) => "ok\n".to_owned(),
            Err(kind) => format!("error: {kind}\n"),
        };
        Ok::<_, std::convert::Infallible>(Bytes::from(text))
    };
    Body::from_stream(futures_util::stream::once(end)).into_response()
}

/// Sets an attribute after the head has left, and commits it.
pub(super) async fn set_late<T: Serialize + Sync + ?Sized>(
    session: &Session,
    key: &Key,
    value: &T,
) -> Result<(), &'static str> {
    session.insert(key.as_str(), value).map_err(late_kind)?;
    session.commit().await.map_err(late_kind)
}

/// After the head has left, the one thing that needs it is a session that is not stored yet.
fn late_kind(error: Error) -> &'static str {
    match error.kind() {
        ErrorKind::HeadSent => "new_session",
        _ => ApiError::from(error).kind,
    }
}

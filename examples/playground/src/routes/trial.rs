//! Handlers that misbehave on purpose: slow ones, failing ones, a panic, a late write.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cloakroom::{ErrorKind, Session};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::session::{Data, data};
use crate::answer::ApiError;
use crate::app::App;
use crate::extract::{AnyJson, Current, InPath, Key, Wait};

/// How long the end of a streamed body waits for its late commit.
const LATE_COMMIT: Duration = Duration::from_secs(2);

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
    State(app): State<App>,
    InPath(key): InPath<Key>,
    Wait(wait): Wait,
    Current(session): Current,
    AnyJson(value): AnyJson,
) -> Response {
    stream_answer(app, session, key, wait, value)
}

/// A head at once, a body that ends later and writes just before. By then the layer has released
/// the head: the write is committed when the last handle is dropped, on a task of the layer's.
pub(super) fn stream_answer(
    app: App,
    session: Session,
    key: Key,
    wait: Duration,
    value: Box<RawValue>,
) -> Response {
    let end = async move {
        tokio::time::sleep(wait).await;
        let text = match session.insert(key.as_str(), &value) {
            Ok(()) => "ok\n".to_owned(),
            Err(error) => format!("error: {}\n", late_kind(error.kind())),
        };
        drop(session);
        // Whoever has seen the end of the body may rely on the write.
        drop(tokio::time::timeout(LATE_COMMIT, app.manager.settled()).await);
        Ok::<_, std::convert::Infallible>(Bytes::from(text))
    };
    Body::from_stream(futures_util::stream::once(end)).into_response()
}

/// After the head has left, the one thing that needs it is a session that is not stored yet.
pub(super) fn late_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::HeadSent => "new_session",
        kind => kind.as_str(),
    }
}

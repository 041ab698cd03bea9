//! A second part of the application that shares the session's id and cookie and has attributes of
//! its own, as a second context of Jetty's.

use axum::Json;
use axum::Router;
use axum::routing::get;
use cloakroom::{SessionLayer, Tagged};
use http::StatusCode;
use serde_json::value::RawValue;

use crate::answer::ApiError;
use crate::app::App;
use crate::extract::{AnyJson, InPath, Key};

/// The scope's tag.
pub(super) struct Other;

pub(super) fn router(sessions: &SessionLayer) -> Router<App> {
    Router::new()
        .route("/api/scope/{key}", get(read).put(write).delete(remove))
        .route_layer(sessions.scope::<Other>("other"))
}

async fn read(
    InPath(key): InPath<Key>,
    session: Tagged<Other>,
) -> Result<Json<Box<RawValue>>, ApiError> {
    let value = session.get(key.as_str())?;
    value.map(Json).ok_or(ApiError::NOT_FOUND)
}

async fn write(
    InPath(key): InPath<Key>,
    session: Tagged<Other>,
    AnyJson(value): AnyJson,
) -> Result<StatusCode, ApiError> {
    session.insert(key.as_str(), &value)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(InPath(key): InPath<Key>, session: Tagged<Other>) -> Result<StatusCode, ApiError> {
    session.remove(key.as_str())?;
    Ok(StatusCode::NO_CONTENT)
}

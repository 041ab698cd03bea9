//! What a `SessionManager` does from outside of any session: find and end one by its id, check which
//! have ended, empty L1, change a schedule, and tell what happens. For operators, as `operate`.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cloakroom::{Event, Owner, Schedule, SessionId, SessionInfo};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::operate::job;
use crate::answer::ApiError;
use crate::app::{App, OpenSocket};
use crate::extract::{InPath, NameInPath, Shape};

#[derive(Serialize)]
pub(super) struct Found {
    /// This node holds a copy.
    cached: bool,
    /// The store says that it lives.
    exists: bool,
    session: Option<Value>,
}

fn shown(info: &SessionInfo) -> Value {
    json!({
        "id": info.id,
        "owner": info.owner.as_ref().map(ToString::to_string),
        "created_at": info.created_at.to_string(),
        "last_used_at": info.last_used_at.to_string(),
        "expires_at": info.expires_at.map(|at| at.to_string()),
        "node": info.node,
    })
}

pub(super) async fn find(
    State(app): State<App>,
    NameInPath(id): NameInPath<SessionId>,
) -> Result<Json<Found>, ApiError> {
    Ok(Json(Found {
        cached: app.manager.is_cached(id),
        exists: app.manager.exists(id).await?,
        session: app.manager.get(id).await?.as_ref().map(shown),
    }))
}

pub(super) async fn destroy(
    State(app): State<App>,
    NameInPath(id): NameInPath<SessionId>,
) -> Result<Json<Value>, ApiError> {
    let destroyed = app.manager.destroy(id).await?;
    Ok(Json(json!({ "destroyed": destroyed })))
}

fn owner(name: String) -> Result<Owner, ApiError> {
    Owner::new(name).map_err(|_| ApiError::BAD_REQUEST)
}

/// The live sessions of an owner, whoever asks.
pub(super) async fn list_owned(
    State(app): State<App>,
    InPath(name): InPath<String>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let sessions = app.manager.owned_by(&owner(name)?).await?;
    Ok(Json(sessions.iter().map(shown).collect()))
}

/// Ends all sessions of an owner, as somebody does whose rights have changed.
pub(super) async fn destroy_owned(
    State(app): State<App>,
    InPath(name): InPath<String>,
) -> Result<Json<Value>, ApiError> {
    let destroyed = app.manager.destroy_owned_by(&owner(name)?, None).await?;
    Ok(Json(json!({ "destroyed": destroyed })))
}

#[derive(Deserialize)]
pub(super) struct Candidates {
    ids: Vec<String>,
}

/// Which of these have ended; those that are due are ended first.
pub(super) async fn expired(
    State(app): State<App>,
    Shape(Candidates { ids }): Shape<Candidates>,
) -> Result<Json<Value>, ApiError> {
    let ids = ids
        .iter()
        .map(|text| text.parse().map_err(|_| ApiError::BAD_REQUEST))
        .collect::<Result<Vec<_>, _>>()?;
    let ended = app.manager.check_expiration(&ids).await?;
    Ok(Json(json!({ "ended": ended })))
}

/// Empties L1; no session ends.
pub(super) async fn reset(State(app): State<App>) -> StatusCode {
    app.manager.reset();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
pub(super) struct NewSchedule {
    schedule: String,
}

pub(super) async fn reschedule(
    State(app): State<App>,
    NameInPath(name): NameInPath<String>,
    Shape(NewSchedule { schedule }): Shape<NewSchedule>,
) -> Result<StatusCode, ApiError> {
    let schedule: Schedule = schedule.parse().map_err(|_| ApiError::BAD_REQUEST)?;
    app.manager.set_schedule(job(&name)?, schedule);
    Ok(StatusCode::NO_CONTENT)
}

/// What happens to sessions on this node from now on, a line of JSON each, until the client or the
/// server has had enough.
pub(super) async fn events(State(app): State<App>) -> Response {
    struct Listening {
        events: cloakroom::EventStream,
        open: OpenSocket,
    }
    let listening = Listening {
        events: app.manager.events(),
        open: app.sockets.enter(),
    };
    let lines = futures_util::stream::unfold(listening, |mut listening| async move {
        let event = tokio::select! {
            () = listening.open.closing() => return None,
            event = listening.events.next() => event?,
        };
        let line = Bytes::from(format!("{}\n", told(&event)));
        Some((Ok::<_, std::convert::Infallible>(line), listening))
    });
    let body = Body::from_stream(lines);
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn told(event: &Event) -> Value {
    match event {
        Event::Created { id } => json!({ "event": "created", "id": id }),
        Event::Loaded { id } => json!({ "event": "loaded", "id": id }),
        Event::Committed {
            id,
            added,
            replaced,
            removed,
            ..
        } => json!({
            "event": "committed", "id": id,
            "added": added, "replaced": replaced, "removed": removed,
        }),
        Event::Touched { id } => json!({ "event": "touched", "id": id }),
        Event::Renewed { id } => json!({ "event": "renewed", "id": id }),
        Event::LoggedIn { id, owner } => {
            json!({ "event": "logged_in", "id": id, "owner": owner.to_string() })
        }
        Event::Ended {
            id,
            reason,
            attributes,
            ..
        } => json!({
            "event": "ended", "id": id, "reason": reason.as_str(), "attributes": attributes,
        }),
        Event::Expired {
            id, at, attributes, ..
        } => json!({
            "event": "expired", "id": id, "at": at.to_string(), "attributes": attributes,
        }),
        Event::Evicted { id } => json!({ "event": "evicted", "id": id }),
        Event::Gone { id } => json!({ "event": "gone", "id": id }),
        Event::CommitFailed { id, kind, late } => {
            json!({ "event": "commit_failed", "id": id, "kind": kind.as_str(), "late": late })
        }
        Event::Missed(missed) => json!({ "event": "missed", "count": missed }),
        other => json!({ "event": format!("{other:?}") }),
    }
}

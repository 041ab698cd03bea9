//! The signed-in owner's sessions.

use axum::Json;
use axum::extract::State;
use cloakroom::{Error, ErrorKind, Owner, Presented, Session, SessionId, SessionManager};
use http::StatusCode;
use serde::Serialize;

use crate::answer::ApiError;
use crate::app::App;
use crate::extract::{Current, NameInPath};

#[derive(Serialize)]
pub(super) struct Row {
    pub(super) id: SessionId,
    pub(super) created_at: String,
    pub(super) last_used_at: String,
    pub(super) current: bool,
}

fn owner(session: &Session) -> Result<Owner, ApiError> {
    session.owner().ok_or(ApiError::NO_OWNER)
}

/// Who holds a replaced secret ends nothing, and is told so as with every other write; to the list,
/// which is a read, there is merely no owner.
fn check_current(session: &Session) -> Result<(), ApiError> {
    match session.presented() {
        Presented::Superseded => Err(Error::from(ErrorKind::Superseded).into()),
        _ => Ok(()),
    }
}

pub(super) async fn list(
    State(app): State<App>,
    Current(session): Current,
) -> Result<Json<Vec<Row>>, ApiError> {
    rows(&app.manager, &session).await.map(Json)
}

/// The live sessions of the session's owner.
pub(super) async fn rows(
    manager: &SessionManager,
    session: &Session,
) -> Result<Vec<Row>, ApiError> {
    let sessions = manager.owned_by(&owner(session)?).await?;
    let rows = sessions.into_iter().map(|info| Row {
        id: info.id,
        created_at: info.created_at.to_string(),
        last_used_at: info.last_used_at.to_string(),
        current: session.id() == Some(info.id),
    });
    Ok(rows.collect())
}

pub(super) async fn destroy(
    State(app): State<App>,
    Current(session): Current,
    id: Result<NameInPath<SessionId>, ApiError>,
) -> Result<StatusCode, ApiError> {
    let id = id.ok().map(|NameInPath(id)| id);
    destroy_one(&app.manager, &session, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one session of the owner. Ids of others look like ids that do not exist, and like what is
/// none.
pub(super) async fn destroy_one(
    manager: &SessionManager,
    session: &Session,
    id: Option<SessionId>,
) -> Result<(), ApiError> {
    check_current(session)?;
    let id = id.ok_or(ApiError::NOT_FOUND)?;
    if session.id() == Some(id) {
        return Ok(session.destroy()?);
    }
    let owner = owner(session)?;
    let theirs = manager
        .get(id)
        .await?
        .is_some_and(|info| info.owner == Some(owner));
    if theirs && manager.destroy(id).await? {
        Ok(())
    } else {
        Err(ApiError::NOT_FOUND)
    }
}

#[derive(Serialize)]
pub(super) struct Destroyed {
    destroyed: usize,
}

pub(super) async fn destroy_others(
    State(app): State<App>,
    Current(session): Current,
) -> Result<Json<Destroyed>, ApiError> {
    let destroyed = destroy_all_others(&app.manager, &session).await?;
    Ok(Json(Destroyed { destroyed }))
}

pub(super) async fn destroy_all_others(
    manager: &SessionManager,
    session: &Session,
) -> Result<usize, ApiError> {
    check_current(session)?;
    let owner = owner(session)?;
    Ok(manager.destroy_owned_by(&owner, session.id()).await?)
}

//! The session as a whole: show, destroy, renew, login, own timeout.

use std::collections::BTreeMap;

use axum::Json;
use cloakroom::{Error, LiveSession, Owner, Presented, Session, SessionId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer::ApiError;
use crate::extract::{Current, Shape};
use crate::options;

/// Attributes as they were stored, by name.
pub(super) type Data = BTreeMap<String, Box<RawValue>>;

/// All attributes; none for a session that may not be seen.
pub(super) fn data(session: &Session) -> Result<Data, Error> {
    if matches!(session.presented(), Presented::Superseded) {
        return Ok(Data::new());
    }
    let mut data = Data::new();
    for name in session.keys()? {
        if let Some(value) = session.get::<Box<RawValue>>(&name)? {
            data.insert(name, value);
        }
    }
    Ok(data)
}

/// Why the presented session was ended, if it was.
pub(super) fn ended_reason(session: &Session) -> Option<String> {
    match session.presented() {
        Presented::Ended { reason, .. } => Some(reason.to_string()),
        _ => None,
    }
}

#[derive(Serialize)]
pub(super) struct Shown {
    presented: &'static str,
    ended_reason: Option<String>,
    id: Option<SessionId>,
    is_new: bool,
    owner: Option<String>,
    created_at: Option<String>,
    expires_at: Option<String>,
    is_stale: bool,
    data: Data,
}

pub(super) async fn show(Current(session): Current) -> Result<Json<Shown>, ApiError> {
    Ok(Json(Shown {
        presented: session.presented().as_str(),
        ended_reason: ended_reason(&session),
        id: session.id(),
        is_new: session.is_new(),
        owner: session.owner().map(|owner| owner.to_string()),
        created_at: session.created_at().map(|at| at.to_string()),
        expires_at: session.expires_at().map(|at| at.to_string()),
        is_stale: session.is_stale(),
        data: data(&session)?,
    }))
}

/// For a live session only: whose session has timed out is told so by the status.
pub(super) async fn live(session: LiveSession) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "id": session.id() }))
}

pub(super) async fn destroy(Current(session): Current) -> Result<StatusCode, ApiError> {
    session.destroy()?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn renew(Current(session): Current) -> Result<StatusCode, ApiError> {
    session.renew()?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Login {
    owner: String,
}

pub(super) async fn login(
    Current(session): Current,
    Shape(Login { owner }): Shape<Login>,
) -> Result<StatusCode, ApiError> {
    sign_in(&session, owner)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs in whoever says so: this is a playground, a real application asks for proof.
pub(super) fn sign_in(session: &Session, owner: String) -> Result<(), ApiError> {
    let owner = Owner::new(owner).map_err(|_| ApiError::BAD_REQUEST)?;
    Ok(session.login(owner)?)
}

#[derive(Deserialize)]
pub(super) struct OwnTimeout {
    idle: String,
}

pub(super) async fn timeout(
    Current(session): Current,
    Shape(OwnTimeout { idle }): Shape<OwnTimeout>,
) -> Result<StatusCode, ApiError> {
    set_timeout(&session, &idle)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `default` goes back to the layer's timeout.
pub(super) fn set_timeout(session: &Session, idle: &str) -> Result<(), ApiError> {
    let timeout = match idle {
        "default" => None,
        idle => Some(options::timeout(idle).map_err(|_| ApiError::BAD_REQUEST)?),
    };
    Ok(session.set_idle_timeout(timeout)?)
}

//! tower-sessions around the handler.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use tower::{Layer, service_fn, util::BoxCloneSyncService};
use tower_sessions::{CachingSessionStore, Expiry, Session, SessionManagerLayer, SessionStore};
use tower_sessions_moka_store::MokaStore;

use super::{App, Op};
use crate::{IDLE_MINUTES, Result};

/// As many sessions as our L1 holds.
const CACHED: u64 = 10_000;

pub(super) fn app(store: impl SessionStore + Clone) -> App {
    // The idle time that ours has. A read does not move it (that would take `always_save`, a write
    // for each request), which makes reads cheaper for them than for us.
    let idle = Expiry::OnInactivity(time::Duration::minutes(i64::from(IDLE_MINUTES)));
    let sessions = SessionManagerLayer::new(store).with_expiry(idle);
    BoxCloneSyncService::new(sessions.layer(service_fn(handle)))
}

pub(super) fn cached(store: impl SessionStore + Clone) -> App {
    app(CachingSessionStore::new(
        MokaStore::new(Some(CACHED)),
        store,
    ))
}

async fn handle(request: Request<()>) -> std::result::Result<Response<()>, Infallible> {
    let done = act(request).await;
    let mut response = Response::new(());
    if done.is_err() {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}

async fn act(request: Request<()>) -> Result<()> {
    let (parts, ()) = request.into_parts();
    let op = parts.extensions.get::<Op>().copied().ok_or("no op")?;
    // What its extractor does.
    let session = parts.extensions.get::<Session>().cloned();
    let session = session.ok_or("no session")?;
    match op {
        Op::Create => session.insert("n", 1_u64).await?,
        Op::Read => {
            session.get::<u64>("n").await?.ok_or("no number")?;
        }
        Op::Write => {
            let n = session.get::<u64>("n").await?.unwrap_or(0);
            session.insert("n", n + 1).await?;
        }
    }
    Ok(())
}

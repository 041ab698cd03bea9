//! Cloakroom around the handler.

use std::convert::Infallible;
use std::time::Duration;

use cloakroom::{Cache, Coherence, Session, SessionLayer, SessionStore};
use http::{Request, Response, StatusCode};
use tower::{Layer, service_fn, util::BoxCloneSyncService};

use super::{App, Op};
use crate::{IDLE_MINUTES, Result};

/// How a session comes to a request.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    Cold,
    /// The default over SQL.
    Verified,
    Bounded,
}

pub(super) fn app(store: impl SessionStore, mode: Mode) -> Result<App> {
    let idle = Duration::from_mins(u64::from(IDLE_MINUTES));
    let builder = SessionLayer::builder(store).idle_timeout(idle);
    let builder = match mode {
        Mode::Cold => builder.cache(Cache::none()),
        Mode::Verified => builder,
        Mode::Bounded => builder.coherence(Coherence::Bounded(Duration::from_mins(5))),
    };
    let sessions = builder.build()?;
    Ok(BoxCloneSyncService::new(sessions.layer(service_fn(handle))))
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
    let session = Session::load(&parts).await?;
    match op {
        Op::Create => session.insert("n", 1_u64)?,
        Op::Read => {
            session.get::<u64>("n")?.ok_or("no number")?;
        }
        Op::Write => {
            session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        }
    }
    Ok(())
}

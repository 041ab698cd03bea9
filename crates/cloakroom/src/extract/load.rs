use std::sync::Arc;

use cloakroom_core::Timestamp;
use http::request::Parts;

use crate::commit::create_first;
use crate::session::{Cell, Scope};
use crate::slot::{Plain, ticket};
use crate::transport::Candidates;
use crate::{Error, ErrorKind, Presented, Session, resolve};

impl Session {
    /// The session of a request: what the extractor does, for tower services without axum.
    ///
    /// The first call of a request reads the token and loads the session; later ones share it. The
    /// layer must be outside of the caller.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LayerMissing`], [`ErrorKind::Disabled`], [`ErrorKind::Unavailable`] (an outage
    /// is never an anonymous session), [`ErrorKind::TwoSessions`], [`ErrorKind::Unsupported`], and
    /// [`ErrorKind::Unreadable`] and [`ErrorKind::Refused`] if the layer is set so.
    ///
    /// ```
    /// use cloakroom::{ErrorKind, Session};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let (parts, ()) = http::Request::new(()).into_parts();
    /// let error = Session::load(&parts).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::LayerMissing);
    /// # });
    /// ```
    pub async fn load(parts: &Parts) -> Result<Self, Error> {
        Self::load_tagged::<Plain>(parts).await
    }

    pub(super) async fn load_tagged<T: 'static>(parts: &Parts) -> Result<Self, Error> {
        let Some((cell, scope)) = ticket::<T>(&parts.extensions) else {
            return Err(ErrorKind::LayerMissing.into());
        };
        load(cell, scope, parts).await
    }
}

async fn load(cell: &Arc<Cell>, scope: &Scope, parts: &Parts) -> Result<Session, Error> {
    let inner = &cell.inner;
    if inner.is_disabled() {
        return Err(ErrorKind::Disabled.into());
    }
    if !cell.is_loaded() {
        let now = inner.now();
        let mut candidates = inner.transports.candidates(&parts.headers);
        if !resolve::at_once(cell, &mut candidates, now) {
            // Boxed, so that a handler's future does not carry what it rarely needs.
            Box::pin(from_store(cell, candidates, now)).await?;
        }
    }
    Ok(Session::new(Arc::clone(cell), scope.clone()))
}

async fn from_store(cell: &Arc<Cell>, candidates: Candidates, now: Timestamp) -> Result<(), Error> {
    let inner = &cell.inner;
    let mut loaded = resolve::request(inner, candidates, now)
        .await
        .inspect_err(|_| cell.refuse())?;
    let absent = loaded.stored.is_none() && loaded.presented != Presented::Superseded;
    loaded.eager = absent && inner.makes_eager();
    let eager = loaded.eager;
    if cell.put(|| loaded) && eager {
        create_first(cell).await?;
    }
    Ok(())
}

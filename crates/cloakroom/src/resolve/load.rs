use std::sync::Arc;

use cloakroom_core::{SessionId, Timestamp};
use tracing::Instrument as _;

use crate::Error;
use crate::cache::Found;
use crate::inner::Inner;

/// Which read of the store will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// One that is under way may be joined.
    Any,
    /// One that begins from now on.
    Fresh,
}

/// One read of the store, shared with others where it may be. The flag says whether it may have
/// begun before this call.
pub(super) async fn load(
    inner: &Arc<Inner>,
    id: SessionId,
    read: Read,
    now: Timestamp,
) -> Result<(Found, bool), Error> {
    let reader = inner.reader(now);
    let span = tracing::debug_span!("session_load", %id);
    let (answer, joined) = if inner.l1.is_on() {
        let load = inner.flights.load(id, read == Read::Fresh, reader);
        load.instrument(span).await
    } else {
        inner.flights.load_alone(id, reader).instrument(span).await
    };
    match answer {
        Ok(found) => Ok((found, joined)),
        Err(error) => {
            if !joined {
                inner.store_failed("load", &error);
            }
            Err(error)
        }
    }
}

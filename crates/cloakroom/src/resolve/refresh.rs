use std::sync::Arc;

use cloakroom_core::Timestamp;

use super::ending::expire_ids;
use super::load::{Read, load};
use crate::cache::{Found, Loaded, Resident, Seen, View};
use crate::inner::Inner;
use crate::record::Unreadable;
use crate::session::Cell;
use crate::{Error, ErrorKind, Origin};

/// A fresh snapshot for a handle that holds a stored session.
pub(crate) async fn reload(cell: &Arc<Cell>) -> Result<(), Error> {
    let inner = &cell.inner;
    let held = cell.read(|state| {
        state
            .stored
            .as_ref()
            .map(|stored| (Arc::clone(&stored.resident), stored.login_seq))
    })?;
    let Some((resident, login_seq)) = held else {
        return Ok(());
    };
    let now = inner.now();
    let loaded = current(inner, &resident, now).await;
    let loaded = match loaded {
        Ok(Some(loaded)) if loaded.snapshot.head.login_seq == login_seq => Ok(loaded),
        Ok(Some(_)) => Err(ErrorKind::Superseded),
        Ok(None) => Err(ErrorKind::Ended),
        Err(error) => return Err(error),
    };
    cell.with(|state| match loaded {
        Ok(loaded) => {
            if let Some(stored) = &mut state.stored {
                stored.snapshot = Arc::clone(&loaded.snapshot);
                stored.times = loaded.times;
            }
            state.origin = Origin::Store;
            Ok(())
        }
        Err(kind) => {
            state.closed = Some(kind);
            Err(kind.into())
        }
    })
}

/// What the store holds of a resident's session now; `None` if it has ended. The resident takes it
/// over.
pub(crate) async fn current(
    inner: &Arc<Inner>,
    resident: &Arc<Resident>,
    now: Timestamp,
) -> Result<Option<Arc<Loaded>>, Error> {
    let id = resident.id();
    match load(inner, id, Read::Fresh, now).await?.0 {
        Found::Live(loaded) if loaded.times.is_due(now) => {
            let ended = expire_ids(inner, &[id], now).await?;
            if ended.contains(&id) {
                return Ok(None);
            }
            match load(inner, id, Read::Fresh, now).await?.0 {
                Found::Live(again) if again.times.is_due(now) => Err(ErrorKind::Unavailable.into()),
                Found::Live(again) => Ok(Some(take_over(inner, resident, again))),
                _ => Ok(None),
            }
        }
        Found::Live(loaded) => Ok(Some(take_over(inner, resident, loaded))),
        Found::Absent | Found::Ended(_) => {
            inner.forget(id);
            Ok(None)
        }
        Found::Unreadable(Unreadable::Newer, _) => Err(ErrorKind::Unsupported.into()),
        Found::Unreadable(Unreadable::Corrupt, _) => Err(ErrorKind::Unreadable.into()),
    }
}

fn take_over(inner: &Inner, resident: &Resident, loaded: Arc<Loaded>) -> Arc<Loaded> {
    let stale = inner.generations.of(resident.id()) != loaded.generation;
    if !stale {
        let seen = Seen {
            epoch: loaded.epoch,
            at: loaded.at,
            stale,
        };
        let view = View {
            snapshot: Arc::clone(&loaded.snapshot),
            times: loaded.times,
            seen,
        };
        resident.install(view, None);
        if inner.generations.of(resident.id()) != loaded.generation {
            // A notice came between the look and the fill.
            resident.distrust();
        }
    }
    loaded
}

//! Tells what a commit has stored: to the log, and to who listens.

use cloakroom_core::SessionId;

use crate::events::Event;
use crate::inner::Inner;
use crate::record::Snapshot;
use crate::session::ChangeLog;

pub(super) fn saved(
    inner: &Inner,
    id: SessionId,
    log: &ChangeLog,
    before: &Snapshot,
    after: &Snapshot,
    conflicts: u32,
) {
    tracing::debug!(%id, conflicts, "session committed");
    if !inner.events.is_heard() {
        return;
    }
    if let Some(owner) = &log.login {
        inner.events.tell(|| Event::LoggedIn {
            id,
            owner: owner.clone(),
        });
    } else if before.head.digest != after.head.digest {
        inner.events.tell(|| Event::Renewed { id });
    }
    let (mut added, mut replaced, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for new in after.body.iter() {
        match before.body.get(new.scope, new.name) {
            None => added.push(new.full_name()),
            Some(json) if json != new.json => replaced.push(new.full_name()),
            Some(_) => {}
        }
    }
    for old in before.body.iter() {
        if after.body.get(old.scope, old.name).is_none() {
            removed.push(old.full_name());
        }
    }
    inner.events.tell(|| Event::Committed {
        id,
        added,
        replaced,
        removed,
        conflicts,
    });
}

pub(super) fn created(inner: &Inner, id: SessionId, log: &ChangeLog, snapshot: &Snapshot) {
    tracing::debug!(%id, "session created");
    inner.events.tell(|| Event::Created { id });
    if let Some(owner) = &log.login {
        inner.events.tell(|| Event::LoggedIn {
            id,
            owner: owner.clone(),
        });
    }
    inner.events.tell(|| Event::Committed {
        id,
        added: snapshot.body.iter().map(|a| a.full_name()).collect(),
        replaced: Vec::new(),
        removed: Vec::new(),
        conflicts: 0,
    });
}

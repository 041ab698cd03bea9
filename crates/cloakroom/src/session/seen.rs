//! The attributes as a request sees them: its own changes on top of the shared snapshot.

use std::sync::Arc;

use super::log::{Lookup, Scope};
use super::state::State;
use crate::record::{Attributes, Snapshot};

/// An attribute's text, found in the log or still to be looked for in the shared snapshot.
pub(super) enum Json {
    Own(Option<Vec<u8>>),
    Snapshot(Option<Arc<Snapshot>>),
}

impl Json {
    pub(super) fn with<T>(
        &self,
        scope: &Scope,
        name: &str,
        look: impl FnOnce(Option<&[u8]>) -> T,
    ) -> T {
        match self {
            Self::Own(json) => look(json.as_deref()),
            Self::Snapshot(None) => look(None),
            Self::Snapshot(Some(snapshot)) => look(snapshot.body.get(scope.as_str(), name)),
        }
    }

    pub(super) fn is_same(&self, other: &Self, scope: &Scope, name: &str) -> bool {
        self.with(scope, name, |one| other.with(scope, name, |two| one == two))
    }

    pub(super) fn into_snapshot(self) -> Option<Arc<Snapshot>> {
        match self {
            Self::Own(_) => None,
            Self::Snapshot(snapshot) => snapshot,
        }
    }
}

pub(super) fn json_of(state: &State, scope: &Scope, name: &str) -> Json {
    for log in std::iter::once(&state.log).chain(&state.pending) {
        match log.lookup(scope, name) {
            Lookup::Value(json) => return Json::Own(Some(json)),
            Lookup::Absent => return Json::Own(None),
            Lookup::Below => {}
        }
    }
    Json::Snapshot(
        state
            .stored
            .as_ref()
            .map(|stored| Arc::clone(&stored.snapshot)),
    )
}

pub(super) fn below_log(state: &State) -> Attributes {
    let base = match &state.stored {
        Some(stored) => stored.snapshot.body.clone(),
        None => Attributes::empty(),
    };
    match &state.pending {
        Some(pending) => pending.overlay(&base),
        None => base,
    }
}

/// All attributes as the request sees them.
pub(super) fn seen(state: &State) -> Attributes {
    state.log.overlay(&below_log(state))
}

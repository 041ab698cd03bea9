//! What the last request did to each session, for the page: a small bounded map that hears the
//! layer's events.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom::{Event, Origin, Session, SessionId};
use http::request::Parts;
use http::{Method, Uri};

/// So many sessions are remembered; the ones that were noted first go first.
const CAPACITY: usize = 1_000;

/// So many effects of one request are kept.
const EFFECTS: usize = 8;

/// What one request did.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `None` for what happened to the session outside of its own requests.
    request: Option<(Method, Uri)>,
    origin: Option<Origin>,
    pub(crate) effects: Vec<String>,
}

impl Entry {
    /// `PUT /api/data/colour`.
    pub(crate) fn request(&self) -> Option<String> {
        let (method, uri) = self.request.as_ref()?;
        Some(format!("{method} {}", uri.path()))
    }

    /// Where the request's copy of the session came from.
    pub(crate) fn origin(&self) -> Option<&'static str> {
        self.origin.map(origin_words)
    }
}

/// An origin in a person's words.
pub(crate) fn origin_words(origin: Origin) -> &'static str {
    match origin {
        Origin::New => "new: no stored session was found",
        Origin::Cache => "hit: the copy in L1 was current",
        Origin::Verified => "hit: the copy in L1, confirmed by a peek",
        Origin::Store => "load: read from the store",
        Origin::Stale => "stale: the copy in L1, since the store is down",
        _ => "from elsewhere",
    }
}

#[derive(Default)]
struct Entries {
    by_id: HashMap<SessionId, Entry>,
    order: VecDeque<SessionId>,
}

/// The journal. Overlapping requests of one session share its entry: it is meant for people.
#[derive(Default)]
pub(crate) struct Journal(Mutex<Entries>);

impl Journal {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::default()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Every change is complete before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request took the session into its hands. A session that is not stored yet has no id: its
    /// entry begins with the event of its creation. The page itself is no news.
    pub(crate) fn begin(&self, session: &Session, parts: &Parts) {
        if let Some(id) = session.id().filter(|_| parts.uri.path() != "/") {
            let entry = Entry {
                request: Some((parts.method.clone(), parts.uri.clone())),
                origin: Some(session.origin()),
                effects: Vec::new(),
            };
            self.entries().put(id, entry);
        }
    }

    /// What the last request did to this session.
    pub(crate) fn last(&self, id: SessionId) -> Option<Entry> {
        self.entries().by_id.get(&id).cloned()
    }

    /// Takes an event of the layer.
    pub(crate) fn hear(&self, event: &Event) {
        let (id, effects) = match event {
            Event::Created { id, .. } => (*id, vec!["created: stored for the first time".into()]),
            Event::Committed {
                id,
                added,
                replaced,
                removed,
                conflicts,
                ..
            } => (*id, committed(added, replaced, removed, *conflicts)),
            Event::Touched { id, .. } => (*id, vec!["touched: the deadline moved on".into()]),
            Event::Renewed { id, .. } => (*id, vec!["renewed: a new secret".into()]),
            Event::LoggedIn { id, owner, .. } => (*id, vec![format!("signed in as {owner}")]),
            Event::Gone { id, .. } => (*id, vec!["gone: the session had ended meanwhile".into()]),
            Event::CommitFailed {
                id: Some(id), kind, ..
            } => (*id, vec![format!("commit failed: {kind}")]),
            _ => return,
        };
        self.entries().add(id, effects);
    }
}

impl Entries {
    fn put(&mut self, id: SessionId, entry: Entry) {
        if self.by_id.insert(id, entry).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > CAPACITY {
            if let Some(oldest) = self.order.pop_front() {
                self.by_id.remove(&oldest);
            }
        }
    }

    fn add(&mut self, id: SessionId, effects: Vec<String>) {
        if !self.by_id.contains_key(&id) {
            self.put(
                id,
                Entry {
                    request: None,
                    origin: None,
                    effects: Vec::new(),
                },
            );
        }
        if let Some(entry) = self.by_id.get_mut(&id) {
            entry.effects.extend(effects);
            let surplus = entry.effects.len().saturating_sub(EFFECTS);
            entry.effects.drain(..surplus);
        }
    }
}

fn committed<N: AsRef<str>>(
    added: &[N],
    replaced: &[N],
    removed: &[N],
    conflicts: u32,
) -> Vec<String> {
    let mut parts = Vec::new();
    for (verb, names) in [
        ("added", added),
        ("replaced", replaced),
        ("removed", removed),
    ] {
        if !names.is_empty() {
            let names: Vec<&str> = names.iter().take(5).map(AsRef::as_ref).collect();
            parts.push(format!("{verb} {}", names.join(", ")));
        }
    }
    let mut effects = vec![match parts.as_slice() {
        [] => "committed".to_owned(),
        parts => format!("committed: {}", parts.join("; ")),
    }];
    if conflicts > 0 {
        effects.push(format!(
            "conflict: replayed {conflicts} time{} over what others had written",
            if conflicts == 1 { "" } else { "s" }
        ));
    }
    effects
}

#[cfg(test)]
mod tests {
    use cloakroom::Timestamp;

    use super::*;

    fn id(n: u64) -> SessionId {
        SessionId::from_parts(Timestamp::from_millis(n), [0; 10])
    }

    #[test]
    fn the_journal_is_bounded_in_both_directions() {
        let mut entries = Entries::default();
        for n in 0..(CAPACITY as u64 + 10) {
            entries.add(id(n), vec!["committed".into()]);
        }
        assert_eq!(entries.by_id.len(), CAPACITY);
        assert!(!entries.by_id.contains_key(&id(0)));
        for _ in 0..100 {
            entries.add(id(500), vec!["touched".into()]);
        }
        assert_eq!(entries.by_id[&id(500)].effects.len(), EFFECTS);
    }

    #[test]
    fn a_commit_is_told_with_its_names_and_conflicts() {
        let effects = committed(&["a", "b"], &[], &["c"], 2);
        assert_eq!(effects[0], "committed: added a, b; removed c");
        assert!(effects[1].contains("2 times"));
    }
}

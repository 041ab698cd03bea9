use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use cloakroom_core::Owner;

use super::name::Name;
use crate::record::{Attributes, AttributesBuilder, Snapshot};
use crate::{Error, Timeout};

/// The name under which a layer's attributes stand in the shared record; `None` is the plain one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope(pub(crate) Option<Arc<str>>);

impl Scope {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// A closure over the name and the JSON text of a value, run again on replay.
pub(crate) type Update = Arc<dyn Fn(&str, Option<&[u8]>) -> Result<Vec<u8>, Error> + Send + Sync>;

/// What a request did to one attribute, in the end.
#[derive(Clone)]
enum Op {
    Set(Vec<u8>),
    Remove,
    Update {
        update: Update,
        /// The provisional value, which the request reads until it is committed.
        json: Vec<u8>,
        /// The snapshot whose value it was computed from: over the same one it is the final value.
        over: Option<Arc<Snapshot>>,
    },
}

#[derive(Clone)]
struct Entry {
    scope: Scope,
    name: Name,
    op: Op,
}

/// What a log says about one attribute.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// The log does not mention it: look below.
    Below,
    Absent,
    Value(Vec<u8>),
}

/// What a request has changed so far: one entry per attribute, and what it wants done to the
/// session itself.
#[derive(Clone, Default)]
pub(crate) struct ChangeLog {
    cleared: Vec<Scope>,
    /// As a rule the only one: it costs no allocation of its own.
    first: Option<Entry>,
    more: Vec<Entry>,
    pub(crate) renew: bool,
    pub(crate) login: Option<Owner>,
    #[expect(
        clippy::option_option,
        reason = "unchanged, back to the layer's, or an own one"
    )]
    pub(crate) idle: Option<Option<Timeout>>,
    /// Raised by each change, so that an update that ran outside the lock sees whether it is late.
    pub(crate) serial: u64,
}

/// The outcome of replaying a log over a set of attributes.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) body: Attributes,
    /// An update refused the value that it found.
    pub(crate) refused: Option<Error>,
}

impl ChangeLog {
    pub(super) const EMPTY: Self = Self {
        cleared: Vec::new(),
        first: None,
        more: Vec::new(),
        renew: false,
        login: None,
        idle: None,
        serial: 0,
    };

    pub(crate) fn is_empty(&self) -> bool {
        self.cleared.is_empty()
            && self.first.is_none()
            && !self.renew
            && self.login.is_none()
            && self.idle.is_none()
    }

    /// Whether committing this log on top of nothing makes a session worth storing: data, an owner
    /// or an own timeout.
    pub(crate) fn makes_a_session(&self) -> bool {
        self.login.is_some()
            || self.idle.is_some_and(|idle| idle.is_some())
            || self.entries().any(|entry| !matches!(entry.op, Op::Remove))
    }

    /// Whether the log changes attributes only.
    pub(crate) fn is_data_only(&self) -> bool {
        !self.renew && self.login.is_none() && self.idle.is_none()
    }

    /// The one entry of most logs.
    fn only(&self) -> Option<&Entry> {
        let is_only = self.more.is_empty() && self.cleared.is_empty();
        self.first.as_ref().filter(|_| is_only)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.first.iter().chain(&self.more)
    }

    fn find(&self, scope: &Scope, name: &str) -> Option<&Op> {
        self.entries()
            .find(|entry| entry.is(scope, name))
            .map(|entry| &entry.op)
    }

    fn put(&mut self, scope: &Scope, name: &str, op: Op) {
        self.serial += 1;
        let mut entries = self.first.iter_mut().chain(&mut self.more);
        if let Some(entry) = entries.find(|entry| entry.is(scope, name)) {
            entry.op = op;
            return;
        }
        let entry = Entry {
            scope: scope.clone(),
            name: name.into(),
            op,
        };
        if self.first.is_none() {
            self.first = Some(entry);
        } else {
            self.more.push(entry);
        }
    }

    /// Forgets what was recorded of the attribute before.
    pub(crate) fn set(&mut self, scope: &Scope, name: &str, json: Vec<u8>) {
        self.put(scope, name, Op::Set(json));
    }

    /// Forgets what was recorded of the attribute before.
    pub(crate) fn remove(&mut self, scope: &Scope, name: &str) {
        self.put(scope, name, Op::Remove);
    }

    /// Records a closure and the value it gave just now, from that in the snapshot `over` or from
    /// an earlier change. After a set it is a set: nothing that another request stores can come
    /// between.
    pub(crate) fn update(
        &mut self,
        scope: &Scope,
        name: &str,
        update: Update,
        json: Vec<u8>,
        over: Option<Arc<Snapshot>>,
    ) {
        let op = match self.find(scope, name) {
            Some(Op::Set(_) | Op::Remove) => Op::Set(json),
            Some(Op::Update {
                update: earlier, ..
            }) => {
                let earlier = Arc::clone(earlier);
                let both = move |name: &str, found: Option<&[u8]>| {
                    let between = earlier(name, found)?;
                    update(name, Some(&between))
                };
                Op::Update {
                    update: Arc::new(both),
                    json,
                    over: None,
                }
            }
            None if self.cleared.contains(scope) => Op::Set(json),
            None => Op::Update { update, json, over },
        };
        self.put(scope, name, op);
    }

    /// Forgets all entries of the scope.
    pub(crate) fn clear(&mut self, scope: &Scope) {
        self.serial += 1;
        let first = self.first.take();
        let all = first.into_iter().chain(self.more.drain(..));
        let mut kept = all.filter(|entry| entry.scope != *scope);
        self.first = kept.next();
        self.more = kept.collect();
        if !self.cleared.contains(scope) {
            self.cleared.push(scope.clone());
        }
    }

    pub(crate) fn lookup(&self, scope: &Scope, name: &str) -> Lookup {
        match self.find(scope, name) {
            Some(Op::Set(json) | Op::Update { json, .. }) => Lookup::Value(json.clone()),
            Some(Op::Remove) => Lookup::Absent,
            None if self.cleared.contains(scope) => Lookup::Absent,
            None => Lookup::Below,
        }
    }

    /// Whether writing it twice comes to the same as writing it once.
    pub(crate) fn is_repeatable(&self) -> bool {
        let is_update = |entry: &Entry| matches!(entry.op, Op::Update { .. });
        !self.renew && self.login.is_none() && !self.entries().any(is_update)
    }

    /// Whether a replay over this snapshot runs no closure.
    pub(crate) fn is_computed_from(&self, now: &Arc<Snapshot>) -> bool {
        self.entries().all(|entry| match &entry.op {
            Op::Update { over, .. } => over.as_ref().is_some_and(|over| Arc::ptr_eq(over, now)),
            Op::Set(_) | Op::Remove => true,
        })
    }

    /// The size that the log can add at most, in encoded bytes.
    pub(crate) fn greatest_growth(&self) -> usize {
        self.entries().map(Entry::encoded_len).sum()
    }

    /// Puts the operations of a later log on top of these.
    pub(crate) fn append(&mut self, later: Self) {
        for scope in &later.cleared {
            self.clear(scope);
        }
        for entry in later.first.into_iter().chain(later.more) {
            let Entry { scope, name, op } = entry;
            match op {
                Op::Update { update, json, over } => {
                    self.update(&scope, name.as_str(), update, json, over);
                }
                op => self.put(&scope, name.as_str(), op),
            }
        }
        self.renew |= later.renew;
        self.login = later.login.or_else(|| self.login.take());
        self.idle = later.idle.or(self.idle);
        self.serial += later.serial + 1;
    }

    /// The attributes as the request sees them: provisional values, no closure is run.
    pub(crate) fn overlay(&self, base: &Attributes) -> Attributes {
        self.apply(base, |entry, _| match &entry.op {
            Op::Set(json) | Op::Update { json, .. } => Some(Cow::Borrowed(json)),
            Op::Remove => None,
        })
    }

    /// Runs the operations over the attributes that are stored now: those of `now`, or none. An
    /// update that was computed from this very snapshot has its value already.
    ///
    /// # Errors
    ///
    /// An update that refuses what it finds leaves the value as it is; its error is kept.
    pub(crate) fn replay(&self, base: &Attributes, now: Option<&Arc<Snapshot>>) -> Replayed {
        let mut refused = None;
        let body = self.apply(base, |entry, found| match &entry.op {
            Op::Set(json) => Some(Cow::Borrowed(json)),
            Op::Remove => None,
            Op::Update {
                json,
                over: Some(over),
                ..
            } if now.is_some_and(|now| Arc::ptr_eq(over, now)) => Some(Cow::Borrowed(json)),
            Op::Update { update, .. } => match update(entry.name.as_str(), found) {
                Ok(json) => Some(Cow::Owned(json)),
                Err(error) => {
                    refused = Some(error);
                    found.map(|found| Cow::Owned(found.to_vec()))
                }
            },
        });
        Replayed { body, refused }
    }

    fn apply<'a>(
        &'a self,
        base: &Attributes,
        mut run: impl FnMut(&'a Entry, Option<&[u8]>) -> Option<Cow<'a, [u8]>>,
    ) -> Attributes {
        if let Some(only) = self.only() {
            let (scope, name) = (only.scope.as_str(), only.name.as_bytes());
            return base.with(scope, name, only.encoded_len(), |found| run(only, found));
        }
        let mut out = AttributesBuilder::with_capacity(base.len() + self.greatest_growth());
        let is_cleared = |scope: &[u8]| {
            let mut cleared = self.cleared.iter();
            cleared.any(|cleared| cleared.as_str().as_bytes() == scope)
        };
        // The first 64 entries that have met the attribute that they are about, a bit each.
        let mut met = 0_u64;
        for kept in base.raw().filter(|kept| !is_cleared(kept.scope)) {
            let mut entries = self.entries().zip(0..);
            match entries.find(|(entry, _)| kept.is(entry.scope.as_str(), entry.name.as_bytes())) {
                None => out.push_raw(kept),
                Some((entry, n)) => {
                    met |= 1_u64.checked_shl(n).unwrap_or(0);
                    if let Some(json) = run(entry, Some(kept.json)) {
                        out.push_changed(kept, &json);
                    }
                }
            }
        }
        if met.count_ones() as usize == self.entries().count() {
            return out.finish();
        }
        for entry in self.entries() {
            let scope = entry.scope.as_str();
            if (is_cleared(scope.as_bytes()) || !base.has(scope, entry.name.as_bytes()))
                && let Some(json) = run(entry, None)
            {
                out.push(scope, entry.name.as_bytes(), &json);
            }
        }
        out.finish()
    }
}

impl Entry {
    fn is(&self, scope: &Scope, name: &str) -> bool {
        self.name.as_bytes() == name.as_bytes() && self.scope == *scope
    }

    fn encoded_len(&self) -> usize {
        let json = match &self.op {
            Op::Set(json) | Op::Update { json, .. } => json.len(),
            Op::Remove => return 0,
        };
        // Three lengths of at most five bytes; attributes are small, so that one to three is usual.
        self.scope.as_str().len() + self.name.as_bytes().len() + json + 15
    }
}

impl fmt::Debug for ChangeLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.entries().map(|entry| entry.name.as_str()).collect();
        f.debug_struct("ChangeLog")
            .field("names", &names)
            .field("cleared", &self.cleared.len())
            .field("renew", &self.renew)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(list: &[(&str, &str)]) -> Attributes {
        let mut builder = AttributesBuilder::with_capacity(0);
        for (name, json) in list {
            builder.push("", name.as_bytes(), json.as_bytes());
        }
        builder.finish()
    }

    fn plus(n: u64) -> Update {
        Arc::new(move |_: &str, found: Option<&[u8]>| {
            let found: u64 = found.map_or(0, |json| serde_json::from_slice(json).unwrap());
            Ok((found + n).to_string().into_bytes())
        })
    }

    fn snapshot(body: Attributes) -> Arc<Snapshot> {
        let digest = cloakroom_core::Digest::from_bytes([0; 32]);
        Arc::new(Snapshot {
            stamp: cloakroom_core::Stamp::first(),
            owner: None,
            head: crate::record::Head::new(digest, cloakroom_core::Timestamp::EPOCH, None),
            body,
        })
    }

    fn show(body: &Attributes) -> String {
        let mut shown = String::new();
        for a in body.iter() {
            shown += &[a.name, "=", std::str::from_utf8(a.json).unwrap(), " "].concat();
        }
        shown
    }

    #[test]
    fn replay_keeps_what_others_wrote_and_runs_updates_again() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        log.set(&scope, "mine", b"1".to_vec());
        log.update(&scope, "n", plus(1), b"1".to_vec(), None);
        log.remove(&scope, "gone");
        let now = body(&[("n", "41"), ("theirs", "true"), ("gone", "0")]);
        assert_eq!(
            show(&log.replay(&now, None).body),
            "n=42 theirs=true mine=1 "
        );
        assert_eq!(show(&log.overlay(&now)), "n=1 theirs=true mine=1 ");
    }

    #[test]
    fn an_update_runs_again_unless_it_was_computed_from_this_very_snapshot() {
        let scope = Scope::default();
        let [read, other] = ["41", "50"].map(|n| snapshot(body(&[("n", n)])));
        let mut log = ChangeLog::default();
        // No such sum: whoever runs the closure is found out.
        log.update(&scope, "n", plus(1), b"0".to_vec(), Some(Arc::clone(&read)));
        assert_eq!(show(&log.replay(&read.body, Some(&read)).body), "n=0 ");
        assert_eq!(show(&log.replay(&other.body, Some(&other)).body), "n=51 ");
        assert_eq!(show(&log.replay(&read.body, None).body), "n=42 ");
        // A value computed from another change of the same request has to be computed again.
        log.update(&scope, "n", plus(1), b"0".to_vec(), Some(Arc::clone(&read)));
        assert_eq!(show(&log.replay(&read.body, Some(&read)).body), "n=43 ");
    }

    #[test]
    fn an_update_after_a_set_is_a_set_and_two_updates_run_in_order() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        log.set(&scope, "a", b"5".to_vec());
        log.update(&scope, "a", plus(1), b"6".to_vec(), None);
        log.update(&scope, "b", plus(1), b"1".to_vec(), None);
        log.update(&scope, "b", plus(10), b"11".to_vec(), None);
        assert_eq!(
            show(&log.replay(&body(&[("a", "100"), ("b", "100")]), None).body),
            "a=6 b=111 "
        );
    }

    #[test]
    fn clear_forgets_what_came_before_and_what_comes_after_stands_on_nothing() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        log.set(&scope, "a", b"1".to_vec());
        log.clear(&scope);
        log.update(&scope, "n", plus(1), b"1".to_vec(), None);
        assert_eq!(
            show(&log.replay(&body(&[("n", "9"), ("x", "1")]), None).body),
            "n=1 "
        );
        assert_eq!(log.lookup(&scope, "a"), Lookup::Absent);
    }

    #[test]
    fn a_refused_update_leaves_the_value_and_is_reported() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        let refuse: Update =
            Arc::new(|_: &str, _: Option<&[u8]>| Err(crate::ErrorKind::UpdateRefused.into()));
        log.update(&scope, "n", refuse, b"1".to_vec(), None);
        let replayed = log.replay(&body(&[("n", "9")]), None);
        assert_eq!(show(&replayed.body), "n=9 ");
        assert!(replayed.refused.is_some());
    }

    #[test]
    fn appending_a_later_log_is_the_same_as_recording_it_here() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        log.update(&scope, "n", plus(1), b"1".to_vec(), None);
        let mut later = ChangeLog::default();
        later.update(&scope, "n", plus(1), b"2".to_vec(), None);
        later.set(&scope, "s", b"0".to_vec());
        log.append(later);
        assert_eq!(
            show(&log.replay(&body(&[("n", "5")]), None).body),
            "n=7 s=0 "
        );
    }
}

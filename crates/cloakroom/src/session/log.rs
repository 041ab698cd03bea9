use std::fmt;
use std::sync::Arc;

use cloakroom_core::Owner;

use crate::record::{Attributes, AttributesBuilder};
use crate::{Error, Timeout};

/// The name under which a layer's attributes stand in the shared record; `None` is the plain one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope(pub(crate) Option<Arc<str>>);

impl Scope {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// A closure over the JSON text of a value, run again on replay.
pub(crate) type Update = Arc<dyn Fn(Option<&[u8]>) -> Result<Vec<u8>, Error> + Send + Sync>;

/// What a request did to one attribute, in the end.
#[derive(Clone)]
enum Op {
    Set(Vec<u8>),
    Remove,
    /// With the provisional value, which the request reads until it is committed.
    Update(Update, Vec<u8>),
}

#[derive(Clone)]
struct Entry {
    scope: Scope,
    name: Box<str>,
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
    entries: Vec<Entry>,
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
    pub(crate) fn is_empty(&self) -> bool {
        self.cleared.is_empty()
            && self.entries.is_empty()
            && !self.renew
            && self.login.is_none()
            && self.idle.is_none()
    }

    /// Whether committing this log on top of nothing makes a session worth storing: data, an owner
    /// or an own timeout.
    pub(crate) fn makes_a_session(&self) -> bool {
        self.login.is_some()
            || self.idle.is_some_and(|idle| idle.is_some())
            || self
                .entries
                .iter()
                .any(|entry| !matches!(entry.op, Op::Remove))
    }

    /// Whether the log changes attributes only.
    pub(crate) fn is_data_only(&self) -> bool {
        !self.renew && self.login.is_none() && self.idle.is_none()
    }

    fn position(&self, scope: &Scope, name: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| *entry.name == *name && entry.scope == *scope)
    }

    fn put(&mut self, scope: &Scope, name: &str, op: Op) {
        self.serial += 1;
        let at = self.position(scope, name);
        if let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) {
            entry.op = op;
        } else {
            self.entries.push(Entry {
                scope: scope.clone(),
                name: name.into(),
                op,
            });
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

    /// Records a closure and the value it gave just now. After a set it is a set: nothing that
    /// another request stores can come between.
    pub(crate) fn update(&mut self, scope: &Scope, name: &str, update: Update, json: Vec<u8>) {
        let at = self.position(scope, name);
        let op = match at
            .and_then(|at| self.entries.get(at))
            .map(|entry| &entry.op)
        {
            Some(Op::Set(_) | Op::Remove) => Op::Set(json),
            Some(Op::Update(earlier, _)) => {
                let earlier = Arc::clone(earlier);
                let both: Update = Arc::new(move |found| {
                    let between = earlier(found)?;
                    update(Some(&between))
                });
                Op::Update(both, json)
            }
            None if self.cleared.contains(scope) => Op::Set(json),
            None => Op::Update(update, json),
        };
        self.put(scope, name, op);
    }

    /// Forgets all entries of the scope.
    pub(crate) fn clear(&mut self, scope: &Scope) {
        self.serial += 1;
        self.entries.retain(|entry| entry.scope != *scope);
        if !self.cleared.contains(scope) {
            self.cleared.push(scope.clone());
        }
    }

    pub(crate) fn lookup(&self, scope: &Scope, name: &str) -> Lookup {
        let at = self.position(scope, name);
        match at
            .and_then(|at| self.entries.get(at))
            .map(|entry| &entry.op)
        {
            Some(Op::Set(json) | Op::Update(_, json)) => Lookup::Value(json.clone()),
            Some(Op::Remove) => Lookup::Absent,
            None if self.cleared.contains(scope) => Lookup::Absent,
            None => Lookup::Below,
        }
    }

    /// The size that the log can add at most, in encoded bytes.
    pub(crate) fn greatest_growth(&self) -> usize {
        self.entries.iter().map(Entry::encoded_len).sum()
    }

    /// Puts the operations of a later log on top of these.
    pub(crate) fn append(&mut self, later: Self) {
        for scope in &later.cleared {
            self.clear(scope);
        }
        for entry in later.entries {
            match entry.op {
                Op::Update(update, json) => self.update(&entry.scope, &entry.name, update, json),
                op => self.put(&entry.scope, &entry.name, op),
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
            Op::Set(json) | Op::Update(_, json) => Some(json.clone()),
            Op::Remove => None,
        })
    }

    /// Runs the operations over what is stored now.
    ///
    /// # Errors
    ///
    /// An update that refuses what it finds leaves the value as it is; its error is kept.
    pub(crate) fn replay(&self, base: &Attributes) -> Replayed {
        let mut refused = None;
        let body = self.apply(base, |entry, found| match &entry.op {
            Op::Set(json) => Some(json.clone()),
            Op::Remove => None,
            Op::Update(update, _) => match update(found) {
                Ok(json) => Some(json),
                Err(error) => {
                    refused = Some(error);
                    found.map(<[u8]>::to_vec)
                }
            },
        });
        Replayed { body, refused }
    }

    fn apply(
        &self,
        base: &Attributes,
        mut run: impl FnMut(&Entry, Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Attributes {
        let mut out = AttributesBuilder::with_capacity(base.len() + self.greatest_growth());
        let is_cleared = |scope: &str| self.cleared.iter().any(|cleared| cleared.as_str() == scope);
        for kept in base.iter().filter(|kept| !is_cleared(kept.scope)) {
            let entry = self
                .entries
                .iter()
                .find(|entry| *entry.name == *kept.name && entry.scope.as_str() == kept.scope);
            match entry {
                None => out.push(kept.scope, kept.name, kept.json),
                Some(entry) => {
                    if let Some(json) = run(entry, Some(kept.json)) {
                        out.push(kept.scope, kept.name, &json);
                    }
                }
            }
        }
        for entry in &self.entries {
            let scope = entry.scope.as_str();
            if (is_cleared(scope) || base.get(scope, &entry.name).is_none())
                && let Some(json) = run(entry, None)
            {
                out.push(scope, &entry.name, &json);
            }
        }
        out.finish()
    }
}

impl Entry {
    fn encoded_len(&self) -> usize {
        let json = match &self.op {
            Op::Set(json) | Op::Update(_, json) => json.len(),
            Op::Remove => return 0,
        };
        // Three lengths of at most five bytes; attributes are small, so that one to three is usual.
        self.scope.as_str().len() + self.name.len() + json + 15
    }
}

impl fmt::Debug for ChangeLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.entries.iter().map(|entry| &*entry.name).collect();
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
            builder.push("", name, json.as_bytes());
        }
        builder.finish()
    }

    fn plus(n: u64) -> Update {
        Arc::new(move |found| {
            let found: u64 = found.map_or(0, |json| serde_json::from_slice(json).unwrap());
            Ok((found + n).to_string().into_bytes())
        })
    }

    fn show(body: &Attributes) -> String {
        body.iter()
            .map(|a| format!("{}={} ", a.name, std::str::from_utf8(a.json).unwrap()))
            .collect()
    }

    #[test]
    fn replay_keeps_what_others_wrote_and_runs_updates_again() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        log.set(&scope, "mine", b"1".to_vec());
        log.update(&scope, "n", plus(1), b"1".to_vec());
        log.remove(&scope, "gone");
        let now = body(&[("n", "41"), ("theirs", "true"), ("gone", "0")]);
        assert_eq!(show(&log.replay(&now).body), "n=42 theirs=true mine=1 ");
        assert_eq!(show(&log.overlay(&now)), "n=1 theirs=true mine=1 ");
    }

    #[test]
    fn an_update_after_a_set_is_a_set_and_two_updates_run_in_order() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        log.set(&scope, "a", b"5".to_vec());
        log.update(&scope, "a", plus(1), b"6".to_vec());
        log.update(&scope, "b", plus(1), b"1".to_vec());
        log.update(&scope, "b", plus(10), b"11".to_vec());
        assert_eq!(
            show(&log.replay(&body(&[("a", "100"), ("b", "100")])).body),
            "a=6 b=111 "
        );
    }

    #[test]
    fn clear_forgets_what_came_before_and_what_comes_after_stands_on_nothing() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        log.set(&scope, "a", b"1".to_vec());
        log.clear(&scope);
        log.update(&scope, "n", plus(1), b"1".to_vec());
        assert_eq!(
            show(&log.replay(&body(&[("n", "9"), ("x", "1")])).body),
            "n=1 "
        );
        assert_eq!(log.lookup(&scope, "a"), Lookup::Absent);
    }

    #[test]
    fn a_refused_update_leaves_the_value_and_is_reported() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        let refuse: Update = Arc::new(|_| Err(crate::ErrorKind::UpdateRefused.into()));
        log.update(&scope, "n", refuse, b"1".to_vec());
        let replayed = log.replay(&body(&[("n", "9")]));
        assert_eq!(show(&replayed.body), "n=9 ");
        assert!(replayed.refused.is_some());
    }

    #[test]
    fn appending_a_later_log_is_the_same_as_recording_it_here() {
        let scope = Scope::default();
        let mut log = ChangeLog::default();
        log.update(&scope, "n", plus(1), b"1".to_vec());
        let mut later = ChangeLog::default();
        later.update(&scope, "n", plus(1), b"2".to_vec());
        later.set(&scope, "s", b"0".to_vec());
        log.append(later);
        assert_eq!(show(&log.replay(&body(&[("n", "5")])).body), "n=7 s=0 ");
    }
}

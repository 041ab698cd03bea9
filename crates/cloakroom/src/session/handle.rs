use std::fmt;
use std::sync::Arc;

use cloakroom_core::{Owner, SessionId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cell::{Cell, Phase, State, Stored};
use super::log::{ChangeLog, Lookup, Scope, Update};
use super::value;
use crate::record::{Attributes, EndReason};
use crate::{Error, ErrorKind, Origin, Presented, Timeout};

/// The session of a request: a snapshot of what was stored, plus what the request has changed.
///
/// Reads see the snapshot and the request's own changes; the session never changes under the
/// handler's feet. Changes are recorded and committed when the response head is ready, before it is
/// released. Where another request has stored something meanwhile, the changes are replayed on top
/// of it: both survive. Clones share everything.
///
/// Nothing is stored, and no cookie is sent, for a visitor whose session holds nothing: a session is
/// stored once it has data, an owner or a timeout of its own.
///
/// # Errors
///
/// All calls fail with [`ErrorKind::RolledBack`] once the request is rolled back (a 5xx, a panic, a
/// client that has gone), with [`ErrorKind::Ended`] after the session has ended, and writes also
/// with [`ErrorKind::Superseded`] if the secret was replaced by another request,
/// [`ErrorKind::ReadOnly`] on a stale copy, and [`ErrorKind::HeadSent`] if they would make a new
/// session after the response head has left.
///
/// ```
/// use cloakroom::Session;
///
/// async fn count(session: Session) -> Result<String, cloakroom::Error> {
///     let n = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
///     Ok(n.to_string())
/// }
/// ```
pub struct Session {
    cell: Arc<Cell>,
    scope: Scope,
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self {
            cell: Arc::clone(&self.cell),
            scope: self.scope.clone(),
        }
    }
}

impl Session {
    pub(crate) fn new(cell: Arc<Cell>, scope: Scope) -> Self {
        Self { cell, scope }
    }

    /// The public name of the session; `None` before the first commit of a new one. Readable also
    /// after the end.
    pub fn id(&self) -> Option<SessionId> {
        self.cell.with(|state| state.last_id)
    }

    /// Whether no stored session was found when this request asked.
    pub fn is_new(&self) -> bool {
        self.cell.with(|state| state.presented != Presented::Active)
    }

    /// What the request's token was found to be.
    pub fn presented(&self) -> Presented {
        self.cell.with(|state| state.presented)
    }

    /// Where this request's copy came from.
    pub fn origin(&self) -> Origin {
        self.cell.with(|state| state.origin)
    }

    /// Whether this is a read-only copy of unknown age, served because the store is down.
    pub fn is_stale(&self) -> bool {
        self.origin() == Origin::Stale
    }

    /// Whom the session belongs to, a login of this request included.
    pub fn owner(&self) -> Option<Owner> {
        self.cell.with(|state| owner(state).cloned())
    }

    /// When the session was created.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.stored(|stored| stored.snapshot.head.created_at)
    }

    /// Last use that the store knows of: exact to the touch interval.
    pub fn last_used_at(&self) -> Option<Timestamp> {
        self.stored(|stored| stored.times.used_at)
    }

    /// When the session ends if it is not used any more; without the store's grace. `None` for a
    /// session that is not stored, or that never ends by itself.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.stored(|stored| stored.times.deadline).flatten()
    }

    /// The idle timeout: this session's own, or the layer's.
    pub fn idle_timeout(&self) -> Timeout {
        let layers = self.cell.inner.config.times.idle;
        self.cell.with(|state| {
            let own = state
                .stored
                .as_ref()
                .and_then(|stored| stored.snapshot.head.idle);
            let pending = state.pending.as_ref().and_then(|pending| pending.idle);
            state.log.idle.or(pending).unwrap_or(own).unwrap_or(layers)
        })
    }

    pub(crate) fn timed_out_status(&self) -> http::StatusCode {
        self.cell.inner.config.timed_out_status
    }

    fn stored<T>(&self, look: impl FnOnce(&Stored) -> T) -> Option<T> {
        self.cell.with(|state| state.stored.as_ref().map(look))
    }

    /// Reads an attribute; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if it is not a `T`; and those of [`Session`].
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        // The snapshot is shared, so that the value is decoded, by the user's code, without a lock.
        let json = self.cell.read(|state| json_of(state, &self.scope, name))?;
        json.with(&self.scope, name, |json| {
            json.map(|json| value::decode(name, json)).transpose()
        })
    }

    /// Whether there is such an attribute.
    ///
    /// # Errors
    ///
    /// Those of [`Session`].
    pub fn contains(&self, name: &str) -> Result<bool, Error> {
        let json = self.cell.read(|state| json_of(state, &self.scope, name))?;
        Ok(json.with(&self.scope, name, |json| json.is_some()))
    }

    /// The names of all attributes, sorted.
    ///
    /// # Errors
    ///
    /// Those of [`Session`].
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let body = self.cell.read(seen)?;
        let scope = self.scope.as_str();
        let mut keys: Vec<String> = body
            .iter()
            .filter(|a| a.scope == scope)
            .map(|a| a.name.to_owned())
            .collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// Sets an attribute. Two requests that set the same one: the last commit wins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if the value has no JSON form (NaN and the infinities included),
    /// [`ErrorKind::TooLarge`] beyond the layer's limit, [`ErrorKind::InvalidAttribute`] for a name
    /// that is empty or longer than 255 bytes; and those of [`Session`]. Nothing is changed then.
    pub fn insert(&self, name: &str, value: impl Serialize) -> Result<(), Error> {
        value::check_name(name)?;
        let json = value::encode(name, &value)?;
        self.cell.write(|state| {
            self.check_size(state, name, json.len())?;
            state.log.set(&self.scope, name, json);
            Ok(())
        })
    }

    /// Removes an attribute; whether it was there.
    ///
    /// # Errors
    ///
    /// Those of [`Session`].
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        value::check_name(name)?;
        self.cell.write_or_nothing(|state| {
            let there =
                json_of(state, &self.scope, name).with(&self.scope, name, |json| json.is_some());
            state.log.remove(&self.scope, name);
            Ok(there)
        })
    }

    /// Removes an attribute and returns it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if it is not a `T`, and then it stays; and those of [`Session`].
    pub fn take<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let found = self.get(name)?;
        self.remove(name)?;
        Ok(found)
    }

    /// Changes an attribute by a closure, which runs again on the fresh value if another request
    /// has stored one before this commit: increments are never lost.
    ///
    /// Returns the provisional value; what is stored in the end may differ, and can be read after
    /// [`commit`](Self::commit). The closure must not do anything but compute.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get) and [`insert`](Self::insert).
    pub fn update<T, F>(&self, name: &str, f: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let done = self.try_update(name, move |found| {
            Ok::<T, std::convert::Infallible>(f(found))
        })?;
        Ok(done.unwrap_or_else(|never| match never {}))
    }

    /// As [`update`](Self::update), with a closure that may refuse what it finds. Then nothing
    /// changes and its error is returned; if it refuses only at the commit, the stored value stays
    /// and [`commit`](Self::commit) answers [`ErrorKind::UpdateRefused`].
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update).
    pub fn try_update<T, E, F>(&self, name: &str, f: F) -> Result<Result<T, E>, Error>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> Result<T, E> + Send + Sync + 'static,
    {
        value::check_name(name)?;
        let f = Arc::new(f);
        loop {
            // The closure runs outside the lock; if somebody else changed the attribute meanwhile,
            // it runs again.
            let (before, serial) = self
                .cell
                .write(|state| Ok((json_of(state, &self.scope, name), state.log.serial)))?;
            let found = before.with(&self.scope, name, |json| {
                json.map(|json| value::decode(name, json)).transpose()
            })?;
            let new = match f(found) {
                Ok(new) => new,
                Err(refused) => return Ok(Err(refused)),
            };
            let json = value::encode(name, &new)?;
            let done = self.cell.write(|state| {
                // A change of another attribute does not matter; it may be the closure's own.
                if state.log.serial != serial
                    && !before.is_same(&json_of(state, &self.scope, name), &self.scope, name)
                {
                    return Ok(false);
                }
                self.check_size(state, name, json.len())?;
                let again = Arc::clone(&f);
                let of: Arc<str> = name.into();
                let update: Update = Arc::new(move |found| {
                    let found = found.map(|json| value::decode(&of, json)).transpose()?;
                    let new = again(found).map_err(|_| ErrorKind::UpdateRefused)?;
                    value::encode(&of, &new)
                });
                state.log.update(&self.scope, name, update, json.clone());
                Ok(true)
            })?;
            if done {
                return Ok(Ok(new));
            }
        }
    }

    /// Removes all attributes. The session stays.
    ///
    /// # Errors
    ///
    /// Those of [`Session`].
    pub fn clear(&self) -> Result<(), Error> {
        self.cell.write_or_nothing(|state| {
            state.log.clear(&self.scope);
            Ok(())
        })
    }

    /// Gives the session a new secret, in the same record; the old one is refused at once, and told
    /// apart as [`Presented::Superseded`] for a while. Without a stored session: nothing.
    ///
    /// OWASP asks for it at every change of privilege; [`login`](Self::login) includes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::HeadSent`] once the response head has left; and those of [`Session`].
    pub fn renew(&self) -> Result<(), Error> {
        if self.cell.phase() != Phase::Running {
            self.cell.read(|_| ())?;
            return Err(ErrorKind::HeadSent.into());
        }
        self.cell.write_or_nothing(|state| {
            if state.stored.is_some() {
                state.log.renew = true;
                state.log.serial += 1;
            }
            Ok(())
        })
    }

    /// Signs an owner in: a new secret, a new absolute period, and the owner.
    ///
    /// A session without an owner keeps its attributes. A session of *another* owner is ended
    /// (reason [`EndReason::Replaced`]) and an empty one with a fresh id is begun. Requests and
    /// sockets that were opened under the old secret can change nothing any more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::HeadSent`] once the response head has left; and those of [`Session`]. The commit
    /// answers [`ErrorKind::Superseded`] (409) if another login was first.
    pub fn login(&self, new: Owner) -> Result<(), Error> {
        if self.cell.phase() != Phase::Running {
            self.cell.read(|_| ())?;
            return Err(ErrorKind::HeadSent.into());
        }
        self.cell.write(|state| {
            if owner(state).is_some_and(|owner| *owner != new) {
                if let Some(stored) = state.stored.take() {
                    state.replaces = Some(stored);
                }
                state.log = ChangeLog::default();
                state.last_id = None;
            }
            state.log.login = Some(new);
            state.log.serial += 1;
            Ok(())
        })
    }

    /// Gives this session an idle timeout of its own; `None` goes back to the layer's. Jetty's
    /// `setMaxInactiveInterval`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidAttribute`] for [`Timeout::Disabled`] and for less than a millisecond;
    /// and those of [`Session`].
    pub fn set_idle_timeout(&self, timeout: Option<Timeout>) -> Result<(), Error> {
        let empty = timeout.is_some_and(|timeout| {
            timeout == Timeout::Disabled
                || timeout
                    .duration()
                    .is_some_and(|after| after.as_millis() == 0)
        });
        if empty {
            let why = "a session's idle timeout is at least a millisecond";
            return Err(Error::with_detail(ErrorKind::InvalidAttribute, why));
        }
        self.cell.write(|state| {
            state.log.idle = Some(timeout);
            state.log.serial += 1;
            Ok(())
        })
    }

    /// Ends the session, on every node. Once called it is performed, whatever comes after: also
    /// when the handler fails or the client has gone. The response removes the cookie. Without a
    /// stored session: nothing is stored, and no cookie is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Superseded`] and [`ErrorKind::ReadOnly`] as in [`Session`].
    pub fn destroy(&self) -> Result<(), Error> {
        self.cell.with(|state| {
            match state.closed {
                Some(ErrorKind::Ended) => return Ok(()),
                Some(kind) => return Err(kind.into()),
                None if state.origin == Origin::Stale => return Err(ErrorKind::ReadOnly.into()),
                None if state.presented == Presented::Superseded => {
                    return Err(ErrorKind::Superseded.into());
                }
                None => {}
            }
            state.log = ChangeLog::default();
            state.eager = false;
            state.take_login_back();
            if state.stored.is_some() {
                state.destroy = Some(EndReason::Logout);
            } else {
                state.closed = Some(ErrorKind::Ended);
            }
            Ok(())
        })
    }

    /// Stores the changes now, before the response; they cannot be rolled back any more. Whatever
    /// head follows carries the cookie of the last stored secret.
    ///
    /// Dropping the future does not tear the commit: it goes on by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] and [`ErrorKind::Conflict`]: nothing was stored, the changes are
    /// kept and tried again with the response. [`ErrorKind::Ended`], [`ErrorKind::Superseded`]: the
    /// changes are dropped. [`ErrorKind::UpdateRefused`]: all but the refused ones are stored.
    pub async fn commit(&self) -> Result<(), Error> {
        crate::commit::explicit(&self.cell).await
    }

    /// Takes a fresh snapshot from the store. The changes recorded so far stay on top of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`] if the session has ended, [`ErrorKind::Superseded`] if somebody has
    /// signed in since, [`ErrorKind::Unavailable`].
    pub async fn reload(&self) -> Result<(), Error> {
        crate::resolve::reload(&self.cell).await
    }

    /// A handle with a snapshot, log and commit of its own, for a task that shall outlive the
    /// request. It shares nothing with this one and sees only what is stored. What is left in it is
    /// committed when its last clone is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::HeadSent`] if the session is not stored yet: a detached handle could not tell
    /// the client its token; and those of [`Session`].
    pub fn detached(&self) -> Result<Self, Error> {
        let (stored, presented) = self.cell.read(|state| {
            let stored = state.stored.as_ref().map(|stored| Stored {
                resident: Arc::clone(&stored.resident),
                in_use: None,
                snapshot: Arc::clone(&stored.snapshot),
                times: stored.times,
                token: None,
                login_seq: stored.login_seq,
                digest: stored.digest,
            });
            (stored, state.now)
        })?;
        let stored = stored.ok_or(ErrorKind::HeadSent)?;
        let state = State::live(stored, self.origin(), presented);
        let inner = Arc::clone(&self.cell.inner);
        let cell = Arc::new(Cell::with_state(inner, Phase::Released, state));
        Ok(Self::new(cell, self.scope.clone()))
    }

    /// Whether the attributes would grow over the layer's limit.
    fn check_size(&self, state: &State, name: &str, json: usize) -> Result<(), Error> {
        let max = self.cell.inner.config.max_bytes;
        let base = state
            .stored
            .as_ref()
            .map_or(0, |stored| stored.snapshot.body.len());
        let pending = state
            .pending
            .as_ref()
            .map_or(0, |pending| pending.greatest_growth());
        let most = base + pending + state.log.greatest_growth() + name.len() + json + 15;
        if most <= max {
            return Ok(());
        }
        // The quick sum counts replaced values twice; this one is exact.
        let mut log = state.log.clone();
        log.set(&self.scope, name, vec![b'0'; json]);
        let exact = log.overlay(&below_log(state)).len();
        if exact <= max {
            return Ok(());
        }
        let detail = format!("{exact} bytes of attributes, {max} are allowed");
        Err(Error::with_detail(ErrorKind::TooLarge, detail))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A handler that panics has not finished what it wanted to store.
        if std::thread::panicking() {
            self.cell.roll_back();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl Cell {
    /// As [`write`](Self::write), for changes that make no session: a handle without one takes
    /// them as done.
    fn write_or_nothing<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let absent =
            self.read(|state| state.stored.is_none() && state.presented != Presented::Superseded)?;
        if absent {
            self.with(change)
        } else {
            self.write(change)
        }
    }
}

/// The owner as the request sees it.
fn owner(state: &State) -> Option<&Owner> {
    let pending = state
        .pending
        .as_ref()
        .and_then(|pending| pending.login.as_ref());
    let stored = state
        .stored
        .as_ref()
        .and_then(|stored| stored.snapshot.owner.as_ref());
    state.log.login.as_ref().or(pending).or(stored)
}

/// An attribute's text, found in the log or still to be looked for in the shared snapshot.
enum Json {
    Own(Option<Vec<u8>>),
    Snapshot(Option<Arc<crate::record::Snapshot>>),
}

impl Json {
    fn with<T>(&self, scope: &Scope, name: &str, look: impl FnOnce(Option<&[u8]>) -> T) -> T {
        match self {
            Self::Own(json) => look(json.as_deref()),
            Self::Snapshot(None) => look(None),
            Self::Snapshot(Some(snapshot)) => look(snapshot.body.get(scope.as_str(), name)),
        }
    }

    fn is_same(&self, other: &Self, scope: &Scope, name: &str) -> bool {
        self.with(scope, name, |one| other.with(scope, name, |two| one == two))
    }
}

fn json_of(state: &State, scope: &Scope, name: &str) -> Json {
    for log in [Some(&state.log), state.pending.as_deref()]
        .into_iter()
        .flatten()
    {
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

fn below_log(state: &State) -> Attributes {
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
fn seen(state: &State) -> Attributes {
    state.log.overlay(&below_log(state))
}

use std::fmt;
use std::sync::Arc;

use cloakroom_core::{Owner, SessionId, Timestamp};

use super::cell::{Cell, Phase};
use super::log::Scope;
use super::shared::SharedLog;
use super::state::{State, Stored};
use crate::record::EndReason;
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
    pub(super) cell: Arc<Cell>,
    pub(super) scope: Scope,
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

    /// When the session ends however much it is used: the absolute timeout after its creation or last
    /// login. A login of this request counts once it is committed. `None` for a session that is not
    /// stored, or without an absolute timeout.
    ///
    /// ```
    /// use cloakroom::Session;
    ///
    /// async fn warn(session: Session) -> Option<String> {
    ///     // `expires_at` moves with each use, up to this one and never beyond.
    ///     Some(format!("please sign in again by {}", session.absolute_deadline()?))
    /// }
    /// ```
    pub fn absolute_deadline(&self) -> Option<Timestamp> {
        let times = &self.cell.inner.config.times;
        self.stored(|stored| times.absolute_deadline(&stored.snapshot.head))
            .flatten()
    }

    /// The idle timeout: this session's own, or the layer's.
    pub fn idle_timeout(&self) -> Timeout {
        let layers = self.cell.inner.config.times.idle;
        self.cell.with(|state| {
            let own = state
                .stored
                .as_ref()
                .and_then(|stored| stored.snapshot.head.idle());
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

    /// Gives the session a new secret, in the same record; the old one is refused at once, and told
    /// apart as [`Presented::Superseded`] for a while. Without a stored session: nothing.
    ///
    /// OWASP asks for it at every change of privilege; [`login`](Self::login) includes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::HeadSent`] once the response head has left; and those of [`Session`].
    pub fn renew(&self) -> Result<(), Error> {
        self.cell.write_before_head(|state| {
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
        self.cell.write_before_head(|state| {
            if owner(state).is_some_and(|owner| *owner != new) {
                if let Some(stored) = state.stored.take() {
                    state.replaces = Some(Box::new(stored));
                }
                state.log = SharedLog::default();
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
    /// A cookie whose age is the timeout ([`MaxAge::Timeout`](crate::MaxAge::Timeout)) is sent again
    /// with this response; after the head has left, with the next one that is due.
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
            state.log = SharedLog::default();
            state.eager = false;
            state.take_login_back();
            // A create that is under way makes one that is then ended.
            if state.stored.is_some() || state.pending.is_some() {
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
    /// [`ErrorKind::Conflict`] and, as a rule, [`ErrorKind::Unavailable`]: nothing was stored, the
    /// changes are kept and tried again with the response. Where the store's reply was lost and a
    /// look could not settle what became of the write, the next commit (that of the response, if
    /// there is no other) looks again before it writes anything; if nothing can be known then
    /// either, it answers 503 and repeats nothing that would count twice. [`ErrorKind::Ended`], [`ErrorKind::Superseded`]: the
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
}

impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.cell.roll_back_by_panic();
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

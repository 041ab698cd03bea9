use std::sync::Arc;

use cloakroom_core::{Digest, SessionId, Times, Timestamp, Token};

use super::SharedLog;
use super::cell::Phase;
use crate::cache::{InUse, Resident};
use crate::record::{EndReason, Snapshot};
use crate::{Error, ErrorKind, Origin, Presented};

/// What the response head must carry.
#[derive(Clone, Debug, Default)]
pub(crate) enum Outgoing {
    #[default]
    Nothing,
    Set(Token),
    Remove,
}

/// The stored session that this request has found, created or signed into.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) resident: Arc<Resident>,
    /// Until the head is released.
    pub(crate) in_use: Option<InUse>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) times: Times,
    /// What the client carries, or is about to be told. A detached handle has none.
    pub(crate) token: Option<Token>,
    /// The login under which the secret was verified.
    pub(crate) login_seq: u32,
    /// The secret's digest when this handle last saw it right.
    pub(crate) digest: Digest,
}

impl Stored {
    pub(crate) fn id(&self) -> SessionId {
        self.resident.id()
    }
}

/// Everything that a request knows about its session once it has asked.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one request"
)]
pub(crate) struct State {
    pub(crate) presented: Presented,
    pub(crate) origin: Origin,
    pub(crate) stored: Option<Stored>,
    pub(crate) log: SharedLog,
    /// The part of the log that a commit is writing just now.
    pub(crate) pending: Option<SharedLog>,
    /// A write whose end is open, of what is `pending`.
    pub(crate) unsettled: Option<Box<crate::commit::Unsettled>>,
    pub(crate) outgoing: Outgoing,
    /// The session that a login of another owner has left behind, to be ended by the commit.
    pub(crate) replaces: Option<Box<Stored>>,
    /// `destroy` was called and is not performed yet.
    pub(crate) destroy: Option<EndReason>,
    /// Why nothing works any more on this handle.
    pub(crate) closed: Option<ErrorKind>,
    /// An absent session shall be created even without changes.
    pub(crate) eager: bool,
    /// The `on_create` hook has run for this new session.
    pub(crate) hooked: bool,
    /// The request was rolled back, and something was lost by it.
    pub(crate) dropped: bool,
    /// The presented token carries another node's name, or none.
    pub(crate) foreign_node: bool,
    /// The id is readable also after the end.
    pub(crate) last_id: Option<SessionId>,
    /// When the handle was made.
    pub(crate) now: Timestamp,
}

impl State {
    pub(crate) fn absent(presented: Presented, now: Timestamp) -> Self {
        Self {
            presented,
            origin: Origin::New,
            stored: None,
            log: SharedLog::default(),
            pending: None,
            unsettled: None,
            outgoing: Outgoing::Nothing,
            replaces: None,
            destroy: None,
            closed: None,
            eager: false,
            hooked: false,
            dropped: false,
            foreign_node: false,
            last_id: None,
            now,
        }
    }

    pub(crate) fn live(stored: Stored, origin: Origin, now: Timestamp) -> Self {
        Self {
            origin,
            last_id: Some(stored.id()),
            stored: Some(stored),
            ..Self::absent(Presented::Active, now)
        }
    }

    /// The client is to be told the token that it has once more.
    pub(crate) fn send_again(&mut self) {
        let stored = self.stored.as_ref();
        if let Some(token) = stored.and_then(|stored| stored.token.clone()) {
            self.outgoing = Outgoing::Set(token);
        }
    }

    /// A commit has stored nothing: its changes are to be committed still.
    pub(crate) fn give_back(&mut self) {
        if let Some(log) = self.pending.take() {
            let later = std::mem::replace(&mut self.log, log);
            self.log.append(later.into_owned());
        }
    }

    /// Whether the handle may still be asked for anything.
    pub(super) fn check_readable(&self, phase: Phase) -> Result<(), Error> {
        match self.closed {
            _ if phase == Phase::RolledBack => Err(ErrorKind::RolledBack.into()),
            Some(kind) => Err(kind.into()),
            None if self.destroy.is_some() => Err(ErrorKind::Ended.into()),
            None => Ok(()),
        }
    }

    /// Whether changes would come to anything, of a handle that may be read.
    pub(super) fn check_writable(&self, phase: Phase) -> Result<(), Error> {
        if self.origin == Origin::Stale {
            return Err(ErrorKind::ReadOnly.into());
        }
        if self.stored.is_none() {
            if self.presented == Presented::Superseded {
                return Err(ErrorKind::Superseded.into());
            }
            if phase != Phase::Running {
                return Err(ErrorKind::HeadSent.into());
            }
        }
        Ok(())
    }

    /// The session is used by this request no more.
    pub(crate) fn take_use(&mut self) -> Option<InUse> {
        self.stored.as_mut()?.in_use.take()
    }

    /// A login as somebody else that is not committed never was: the session is the old one.
    pub(crate) fn take_login_back(&mut self) {
        if let Some(old) = self.replaces.take() {
            self.last_id = Some(old.id());
            self.stored = Some(*old);
        }
    }
}

use std::sync::Arc;

use cloakroom_core::{CreateOutcome, Record, Secret, SessionId, Stamp, Times, Timestamp, Token};

use super::{Done, NowStored, Settled, Work, end, settle, tell};
use crate::cache::{Seen, View};
use crate::inner::Inner;
use crate::lifecycle::Plan;
use crate::record::{Attributes, EndReason, Head, Snapshot};
use crate::session::{Cell, ChangeLog, Phase, Scope, SharedLog, State};
use crate::{Error, ErrorKind, Presented, Session};

/// How many ids are tried; a second one is never needed, unless a clock and a generator are broken.
const ATTEMPTS: u32 = 4;

/// Stores a new session under an id and a secret of our own making; what the client presented is
/// never adopted.
pub(super) async fn create(inner: &Arc<Inner>, work: &mut Work) -> Result<Done, Error> {
    // Before anything is ended or stored: a refusal leaves all as it was.
    let log = match &inner.on_create {
        Some(_) if work.plan == Plan::Create && !work.hooked => {
            filled(inner, work.log.clone(), work.now).await?
        }
        _ => work.log.clone(),
    };
    if let Some(old) = &work.replaces {
        // Before the create, so that of two logins that meet only one goes on.
        let view = old.resident.view();
        let ended = end(
            inner,
            old.id(),
            &view.snapshot,
            EndReason::Replaced,
            work.now,
        )
        .await?;
        if ended.is_none() {
            return Err(ErrorKind::Superseded.into());
        }
        work.replaces = None;
    }
    for _ in 0..ATTEMPTS {
        let id = SessionId::generate(work.now);
        let secret = Secret::generate();
        let mut new = First::new(inner, &log, id, secret, work.now)?;
        if store(inner, &mut new).await? {
            return Ok(Done::Stored(new.keep(inner, &log)));
        }
    }
    Err(Error::with_detail(
        ErrorKind::Conflict,
        "no free session id was found",
    ))
}

/// The hook sees the handler's changes and may add its own, or refuse.
pub(super) async fn filled(
    inner: &Arc<Inner>,
    log: SharedLog,
    now: Timestamp,
) -> Result<SharedLog, Error> {
    let Some(hook) = &inner.on_create else {
        return Ok(log);
    };
    let mut state = State::absent(Presented::None, now);
    state.log = log;
    let cell = Arc::new(Cell::with_state(Arc::clone(inner), Phase::Running, state));
    let verdict = hook(Session::new(Arc::clone(&cell), Scope::default())).await;
    cell.enter(Phase::Released);
    match verdict {
        Ok(()) => Ok(cell.with(|state| state.log.take())),
        Err(refusal) => Err(ErrorKind::Refused(refusal.code()).into()),
    }
}

/// A session that is about to be stored for the first time.
pub(super) struct First {
    pub(super) id: SessionId,
    secret: Secret,
    snapshot: Arc<Snapshot>,
    times: Times,
    refused: Option<Error>,
    epoch: u64,
    generation: u64,
}

impl First {
    pub(super) fn new(
        inner: &Inner,
        log: &ChangeLog,
        id: SessionId,
        secret: Secret,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let config = &inner.config;
        let mut head = Head::new(secret.digest(), now, config.node.as_deref());
        head.set_idle(log.idle.flatten());
        head.login_seq = u32::from(log.login.is_some());
        let replayed = log.replay(&Attributes::none(), None);
        if replayed.body.len() > config.max_bytes {
            return Err(ErrorKind::TooLarge.into());
        }
        let deadline = config.times.deadline(&head, now);
        let times = Times {
            used_at: now,
            deadline,
            expires_at: config.times.expires_at(deadline),
        };
        let snapshot = Arc::new(Snapshot {
            stamp: Stamp::first(),
            owner: log.login.clone(),
            head,
            body: replayed.body,
        });
        Ok(Self {
            id,
            secret,
            snapshot,
            times,
            refused: replayed.refused,
            epoch: inner.coherent.epoch(),
            generation: inner.generations.of(id),
        })
    }

    /// Whether every update has taken what it found.
    pub(super) fn is_plain(&self) -> bool {
        self.refused.is_none()
    }

    pub(super) fn lend(&mut self) -> Record {
        Snapshot::lend(&mut self.snapshot, self.times)
    }

    pub(super) fn take_back(&mut self, record: Record) {
        Snapshot::take_back(&mut self.snapshot, record);
    }

    /// L1 takes over what the store has taken.
    pub(super) fn keep(self, inner: &Inner, log: &ChangeLog) -> NowStored {
        let Self { id, secret, .. } = self;
        inner.stats.creates.add();
        inner.negative.forget_unknown(id);
        let view = View {
            snapshot: self.snapshot,
            times: self.times,
            seen: Seen {
                epoch: self.epoch,
                at: self.times.used_at,
                stale: inner.generations.of(id) != self.generation,
            },
        };
        let snapshot = Arc::clone(&view.snapshot);
        let resident = inner.l1.admit(id, view, &secret, |_| true);
        tell::created(inner, id, log, &snapshot);
        NowStored {
            resident,
            snapshot,
            times: self.times,
            token: Some(Token::new(id, secret)),
            resend: false,
            refused: self.refused,
        }
    }
}

/// Whether the row is stored; not if the id is taken.
async fn store(inner: &Inner, new: &mut First) -> Result<bool, Error> {
    let (id, ours) = (new.id, new.snapshot.stamp);
    let record = new.lend();
    let stored = match inner.store.create(id, &record).await {
        Ok(CreateOutcome::Created) => true,
        Ok(CreateOutcome::Exists(stamp)) => stamp == ours,
        Err(error) => {
            matches!(
                Box::pin(settle(inner, id, ours, error)).await?,
                Settled::Stored
            )
        }
    };
    new.take_back(record);
    Ok(stored)
}

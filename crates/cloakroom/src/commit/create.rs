use std::sync::Arc;

use cloakroom_core::{CreateOutcome, Record, Secret, SessionId, Stamp, Times, Timestamp, Token};

use super::finish::{Done, NowStored};
use super::unsettled::{Failed, Unsettled};
use super::{Settled, Work, end, settle, tell};
use crate::cache::{Seen, View};
use crate::inner::Inner;
use crate::lifecycle::Plan;
use crate::record::{Attributes, Head, Snapshot};
use crate::session::{Cell, ChangeLog, Phase, Scope, SharedLog, State};
use crate::{Error, ErrorKind, Presented, Session};

/// How many ids are tried; a second one is never needed, unless a clock and a generator are broken.
const ATTEMPTS: u32 = 4;

/// Stores a new session under an id and a secret of our own making; what the client presented is
/// never adopted.
pub(super) async fn create(inner: &Arc<Inner>, work: &mut Work) -> Result<Done, Failed> {
    // Before anything is ended or stored: a refusal leaves all as it was.
    let log = match &inner.on_create {
        Some(_) if work.plan == Plan::Create && !work.hooked => {
            filled(inner, work.log.clone(), work.now).await?
        }
        _ => work.log.clone(),
    };
    if let Some(old) = &work.replaces {
        // Before the create, so that of two logins that meet only one goes on.
        end::of_replaced(inner, old, work.now).await?;
        work.replaces = None;
    }
    for _ in 0..ATTEMPTS {
        let id = SessionId::generate(work.now);
        let secret = Secret::generate();
        let new = First::new(inner, &log, id, secret, work.now)?;
        if let Some(new) = store(inner, new).await? {
            return Ok(Done::Stored(new.keep(inner, &log)));
        }
    }
    let why = "no free session id was found";
    Err(Error::with_detail(ErrorKind::Conflict, why).into())
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
    let cell = Arc::new(Cell::for_hook(Arc::clone(inner), state));
    let verdict = hook(Session::new(Arc::clone(&cell), Scope::default())).await;
    cell.with(|_| cell.advance(Phase::Running, Phase::Released));
    match verdict {
        Ok(()) => Ok(cell.with(|state| state.log.take())),
        Err(refusal) => Err(ErrorKind::Refused(refusal.code()).into()),
    }
}

/// A session that is about to be stored for the first time.
#[derive(Debug)]
pub(crate) struct First {
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

    pub(super) fn stamp(&self) -> Stamp {
        self.snapshot.stamp
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
        let resident = inner.l1.admit(id, view, &secret, || true);
        if inner.generations.of(id) != self.generation {
            // An ending that came between the look and the fill found no copy to mark.
            resident.distrust();
        }
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

/// The session, now stored; `None` if the id is taken.
async fn store(inner: &Inner, mut new: First) -> Result<Option<First>, Failed> {
    let (id, ours) = (new.id, new.stamp());
    let record = new.lend();
    let outcome = inner.store.create(id, &record).await;
    new.take_back(record);
    let stored = match outcome {
        Ok(CreateOutcome::Created) => true,
        Ok(CreateOutcome::Exists(stamp)) => stamp == ours,
        Err(error) => match Box::pin(settle(inner, id, ours, error)).await? {
            Settled::Stored => true,
            Settled::Gone => false,
            Settled::Unknown(error) => {
                let open = Some(Box::new(Unsettled::Create(new)));
                return Err(Failed { error, open });
            }
        },
    };
    Ok(stored.then_some(new))
}

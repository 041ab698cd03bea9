use std::sync::Arc;

use cloakroom_core::{CreateOutcome, Secret, SessionId, Stamp, Times, Token};

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
        let (mut snapshot, times, refused) = first(inner, &log, &secret, work)?;
        let epoch = inner.coherent.epoch();
        let generation = inner.generations.of(id);
        if !store(inner, id, &mut snapshot, times).await? {
            continue;
        }
        inner.stats.creates.add();
        inner.negative.forget_unknown(id);
        let stale = inner.generations.of(id) != generation;
        let seen = Seen {
            epoch,
            at: work.now,
            stale,
        };
        let view = View {
            snapshot,
            times,
            seen,
        };
        let resident = inner.l1.admit(id, view.clone(), &secret, |_| true);
        tell::created(inner, id, &log, &view.snapshot);
        return Ok(Done::Stored(NowStored {
            resident,
            snapshot: view.snapshot,
            times,
            token: Some(Token::new(id, secret)),
            resend: false,
            refused,
        }));
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
    now: cloakroom_core::Timestamp,
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

fn first(
    inner: &Inner,
    log: &ChangeLog,
    secret: &Secret,
    work: &Work,
) -> Result<(Arc<Snapshot>, Times, Option<Error>), Error> {
    let config = &inner.config;
    let mut head = Head::new(secret.digest(), work.now, config.node.as_deref());
    head.set_idle(log.idle.flatten());
    head.login_seq = u32::from(log.login.is_some());
    let replayed = log.replay(&Attributes::empty(), None);
    if replayed.body.len() > config.max_bytes {
        return Err(ErrorKind::TooLarge.into());
    }
    let deadline = config.times.deadline(&head, work.now);
    let times = Times {
        used_at: work.now,
        deadline,
        expires_at: config.times.expires_at(deadline),
    };
    let stamp = Stamp::first();
    let snapshot = Arc::new(Snapshot {
        stamp,
        owner: log.login.clone(),
        head,
        body: replayed.body,
    });
    Ok((snapshot, times, replayed.refused))
}

/// Whether the row is stored; not if the id is taken.
async fn store(
    inner: &Inner,
    id: SessionId,
    snapshot: &mut Arc<Snapshot>,
    times: Times,
) -> Result<bool, Error> {
    let ours = snapshot.stamp;
    let record = Snapshot::lend(snapshot, times);
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
    Snapshot::take_back(snapshot, record);
    Ok(stored)
}

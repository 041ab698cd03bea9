use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{Secret, Times, Timestamp, Token};

use super::Base;
use crate::cache::{Resident, View};
use crate::inner::Inner;
use crate::record::{Head, Snapshot};
use crate::session::ChangeLog;
use crate::transport::Refresh;
use crate::{Error, ErrorKind};

/// The record that a commit wants to store.
#[derive(Debug)]
pub(crate) struct Next {
    pub(super) snapshot: Arc<Snapshot>,
    /// What the store has afterwards, as far as is known.
    pub(super) times: Times,
    /// These are the times that it has already.
    pub(super) leaves_times: bool,
    /// When it was made.
    pub(super) at: Timestamp,
    /// The new token that the client must be told.
    pub(super) token: Option<Token>,
    /// It is to be told the one that it has once more.
    pub(super) resend: bool,
    pub(super) refused: Option<Error>,
    /// Nothing would change.
    pub(super) is_same: bool,
}

impl Next {
    /// Whether the secret is a new one.
    pub(super) fn is_renewed(&self) -> bool {
        self.token.is_some()
    }

    /// Whether it only stores other attributes: the client is told nothing.
    pub(super) fn is_plain(&self) -> bool {
        !self.is_same && self.token.is_none() && !self.resend && self.refused.is_none()
    }

    pub(super) fn new(
        inner: &Inner,
        base: &Base,
        log: &ChangeLog,
        current: &View,
        secret: &mut Option<Secret>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let config = &inner.config;
        let old = &current.snapshot;
        let replayed = log.replay(&old.body, Some(old));
        if replayed.body.len() > config.max_bytes && replayed.body.len() > old.body.len() {
            return Err(ErrorKind::TooLarge.into());
        }
        let mut head = old.head.clone();
        // A renew that finds the record renewed meanwhile is dropped: whichever committed is the
        // one token.
        let renews = log.login.is_some() || (log.renew && head.digest == base.digest);
        if renews {
            let secret = secret.get_or_insert_with(Secret::generate);
            head.replace_digest(secret.digest(), now);
        }
        if log.login.is_some() {
            head.login_seq = head.login_seq.wrapping_add(1);
            head.absolute_from = now;
        }
        if let Some(idle) = log.idle {
            head.set_idle(idle);
        }
        let is_same = !renews && head.idle() == old.head.idle() && replayed.body == old.body;
        let mut token = None;
        let mut resend = false;
        if renews {
            let secret = secret.clone();
            token = secret.map(|secret| Token::new(base.resident.id(), secret));
        } else if base.may_send && head.digest == base.digest {
            // Never when the secret has changed meanwhile. What is not sent is due still.
            resend = cookie_is_due(inner, &base.resident, &head, now)
                || age_changes(inner, [&old.head, &head], now);
            if resend {
                head.sent_at = now;
            }
        }
        head.set_node(config.node.as_deref());
        let times = times(inner, &head, now);
        let leaves_times = !renews && may_leave_times(inner, base, current, times, now);
        let times = if leaves_times { current.times } else { times };
        let owner = log.login.clone().or_else(|| old.owner.clone());
        let stamp = old.stamp.next();
        let snapshot = Arc::new(Snapshot {
            stamp,
            owner,
            head,
            body: replayed.body,
        });
        Ok(Self {
            snapshot,
            times,
            leaves_times,
            at: now,
            token,
            resend,
            refused: replayed.refused,
            is_same,
        })
    }
}

/// The times of a session that is used now.
fn times(inner: &Inner, head: &Head, now: Timestamp) -> Times {
    let policy = &inner.config.times;
    let deadline = policy.deadline(head, now);
    Times {
        used_at: now,
        deadline,
        expires_at: policy.expires_at(deadline),
    }
}

/// Within a touch interval a save moves the deadline as little as a read does. A use that lies ahead is
/// of a clock that was put back since: it is corrected.
fn may_leave_times(inner: &Inner, base: &Base, current: &View, new: Times, now: Timestamp) -> bool {
    inner.leaves_times
        && current.times.used_at <= now
        && same_terms(current.times, new)
        && !inner.touch_is_due(base.resident.id(), current, now)
}

/// Whether both follow from the same timeouts, though of different uses.
fn same_terms(stored: Times, new: Times) -> bool {
    let distance = |from: Option<Timestamp>, to: Option<Timestamp>| match (from, to) {
        (Some(from), Some(to)) => Some(to.since(from)),
        (None, None) => Some(Duration::ZERO),
        _ => None,
    };
    let lasts = |times: Times| distance(Some(times.used_at), times.deadline);
    let kept = |times: Times| distance(times.deadline, times.expires_at);
    // At the absolute deadline there is no further to go.
    let same_end = stored.deadline == new.deadline || lasts(stored) == lasts(new);
    same_end && stored.deadline.is_some() == new.deadline.is_some() && kept(stored) == kept(new)
}

/// A cookie with a Max-Age is sent again one touch interval after it was last sent.
pub(super) fn cookie_is_due(
    inner: &Inner,
    resident: &Resident,
    head: &Head,
    now: Timestamp,
) -> bool {
    if inner.transports.refresh() != Refresh::WithUse {
        return false;
    }
    let sent_at = resident.sent_at().min(now);
    now.since(sent_at) >= inner.config.times.touch_interval_of(head)
}

/// Whether the client's cookie has an age that the session's new timeout makes wrong: a browser would
/// drop a session that goes on, long before the cookie is due.
fn age_changes(inner: &Inner, [old, new]: [&Head; 2], now: Timestamp) -> bool {
    let times = &inner.config.times;
    old.idle() != new.idle()
        && inner.transports.follows_timeout()
        && times.lasts(old, now) != times.lasts(new, now)
}

//! The layer's settings after the builder has checked them.

use std::time::Duration;

use cloakroom_core::{Times, Timestamp};
use http::StatusCode;

use crate::Timeout;
use crate::record::Head;

/// The permitted difference between the clocks of a node and of the store.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// How current a copy in L1 is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coherence {
    /// This manager is the only writer. Granted by stores that only one process can write to; a
    /// second manager on the same store turns both to `Push`.
    Exclusive,
    /// The store pushes changes; while its feed is up, copies are used as they are. Other nodes see
    /// a change within milliseconds as a rule, and within the feed's heartbeat limit at worst
    /// (1.25 s with the Redis store).
    Push,
    /// Every use of a copy asks the store for its stamp (one small round trip, no payload).
    Verify,
    /// A copy is used unverified until it is this old: **a request on another node within that time
    /// may not see the previous request's write.**
    Bounded(Duration),
}

/// When a session's changes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitAt {
    /// Before the response head is released: what the client is told is stored.
    ResponseHead,
    /// Changes of existing sessions are written when the last request of the session on this node
    /// leaves, at most so long after the head. Create, renew, login, destroy and `commit()` still
    /// happen at the head.
    ///
    /// **This gives up "stored before answered":** a crash within that time loses the change.
    /// Jetty's `flushOnResponseCommit=false`. Refused with [`Coherence::Verify`] and with
    /// [`Cache::none`], because what waits is found in L1 alone.
    LastExit {
        /// The longest time that a change stays unwritten. Jetty has no such bound.
        at_most: Duration,
    },
}

impl CommitAt {
    /// [`CommitAt::LastExit`] with the default bound of one second.
    #[must_use]
    pub const fn last_exit() -> Self {
        Self::LastExit {
            at_most: Duration::from_secs(1),
        }
    }
}

/// What happens to a record of a known format that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnreadable {
    /// The client starts anew; the row is left to lapse. The default.
    Replace,
    /// The request fails with [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable).
    Fail,
    /// The row is removed and the client starts anew. Jetty's `removeUnloadableSessions`.
    Remove,
}

/// What a shutdown does to the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnShutdown {
    /// What is not yet written is written; sessions stay. The default.
    Flush,
    /// All sessions end: those that this node holds in L1, with the reason
    /// [`EndReason::Shutdown`](crate::EndReason::Shutdown), and beyond those all that have a deadline.
    /// One that never times out and is not in L1 cannot be found, and lives on where the store is
    /// durable. Needs an exclusive store. Jetty's `invalidateOnShutdown`, which ends what its session
    /// cache holds.
    Destroy,
}

/// When a session leaves L1 memory other than by pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Eviction {
    /// Never. The default. Jetty's -1.
    Never,
    /// When its last request leaves. Jetty's 0.
    OnExit,
    /// At the first poll after it was not used for so long.
    Idle(Duration),
}

/// The bounds of L1.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::{Cache, Eviction};
///
/// let cache = Cache::entries(10_000).idle(Duration::from_secs(3600)).eviction(Eviction::OnExit);
/// assert_ne!(cache, Cache::none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    pub(crate) bound: Bound,
    pub(crate) idle: Option<Duration>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) eviction: Eviction,
    pub(crate) save_on_eviction: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    None,
    Entries(u64),
    Bytes(u64),
}

impl Cache {
    const fn new(bound: Bound) -> Self {
        Self {
            bound,
            idle: None,
            ttl: None,
            eviction: Eviction::Never,
            save_on_eviction: false,
        }
    }

    /// At most so many sessions, the least recently used leave first; 0 means [`Cache::none`].
    /// Default: 10,000. Stalwart's `size`.
    #[must_use]
    pub const fn entries(max: u64) -> Self {
        Self::new(if max == 0 {
            Bound::None
        } else {
            Bound::Entries(max)
        })
    }

    /// At most so many bytes of sessions (payload and a fixed overhead for each).
    #[must_use]
    pub const fn bytes(max: u64) -> Self {
        Self::new(if max == 0 {
            Bound::None
        } else {
            Bound::Bytes(max)
        })
    }

    /// No L1: every request loads its own copy. Jetty's `NullSessionCache`.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(Bound::None)
    }

    /// A session leaves L1 when it was not used for so long (on moka's clock). Default: none, and more
    /// than 1,000 years are none. Stalwart's `ttl`.
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// A session leaves L1 so long after it was loaded (on moka's clock). Default: none, and more than
    /// 1,000 years are none.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// When a session leaves L1 other than by pressure. Default: [`Eviction::Never`].
    #[must_use]
    pub const fn eviction(mut self, eviction: Eviction) -> Self {
        self.eviction = eviction;
        self
    }

    /// Whether an idle eviction first stores the exact last use, which the store otherwise knows to
    /// within the touch interval. Default: no. Jetty's `saveOnInactiveEviction`.
    #[must_use]
    pub const fn save_on_eviction(mut self, save: bool) -> Self {
        self.save_on_eviction = save;
        self
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::entries(10_000)
    }
}

/// What the builder has checked.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub(crate) struct Config {
    pub(crate) times: TimePolicy,
    pub(crate) superseded_window: Duration,
    pub(crate) cache: Cache,
    pub(crate) commit_at: CommitAt,
    pub(crate) commit_on_server_error: bool,
    pub(crate) save_on_create: bool,
    pub(crate) eager: bool,
    pub(crate) on_shutdown: OnShutdown,
    pub(crate) on_unreadable: OnUnreadable,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) store_timeout: Duration,
    pub(crate) node: Option<Box<str>>,
    pub(crate) affinity: bool,
    pub(crate) max_bytes: usize,
    pub(crate) max_tombstones: usize,
    pub(crate) trust_forwarded_proto: bool,
    pub(crate) conflict_status: StatusCode,
    pub(crate) two_sessions: TwoSessions,
    pub(crate) outcome_header: Option<http::HeaderName>,
    pub(crate) timed_out_status: StatusCode,
}

impl Config {
    /// The defaults.
    pub(crate) fn new(times: TimePolicy, superseded_window: Duration) -> Self {
        Self {
            times,
            superseded_window,
            cache: Cache::default(),
            commit_at: CommitAt::ResponseHead,
            commit_on_server_error: false,
            save_on_create: false,
            eager: false,
            on_shutdown: OnShutdown::Flush,
            on_unreadable: OnUnreadable::Replace,
            stale_if_error: None,
            store_timeout: Duration::from_secs(2),
            node: None,
            affinity: false,
            max_bytes: 1 << 20,
            max_tombstones: 100_000,
            trust_forwarded_proto: false,
            conflict_status: StatusCode::INTERNAL_SERVER_ERROR,
            two_sessions: TwoSessions::Refuse,
            outcome_header: None,
            timed_out_status: StatusCode::from_u16(440).unwrap_or(StatusCode::UNAUTHORIZED),
        }
    }
}

/// What happens to a request with two different live sessions within one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TwoSessions {
    /// It is answered with 400. The default, as in Jetty.
    Refuse,
    /// The first live one wins.
    FirstWins,
}

/// All arithmetic about deadlines, apart from any I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimePolicy {
    pub(crate) idle: Timeout,
    pub(crate) absolute: Timeout,
    /// `None`: a twelfth of the idle timeout, at most 5 min.
    pub(crate) touch_interval: Option<Duration>,
    pub(crate) retention: Duration,
}

/// The greatest default touch interval, in milliseconds.
const MAX_TOUCH_INTERVAL: u64 = 5 * 60 * 1_000;

impl TimePolicy {
    /// The idle timeout of a session: its own, or the layer's.
    pub(crate) fn idle_of(&self, head: &Head) -> Option<Duration> {
        head.idle().unwrap_or(self.idle).duration()
    }

    /// The longest time between a use and the touch that records it, before the spread.
    pub(crate) fn touch_interval_of(&self, head: &Head) -> Duration {
        Duration::from_millis(self.touch_millis_of(head))
    }

    // From here on in milliseconds: every request asks, and durations have 128 bits.
    fn touch_millis_of(&self, head: &Head) -> u64 {
        let by_default = |idle: Timeout| match idle.duration() {
            Some(idle) => (millis(idle) / 12).min(MAX_TOUCH_INTERVAL),
            None => MAX_TOUCH_INTERVAL,
        };
        let layers = match self.touch_interval {
            Some(interval) => millis(interval),
            None => by_default(self.idle),
        };
        match head.idle() {
            Some(own) => layers.min(by_default(own)),
            None => layers,
        }
    }

    /// The deadline after a use at `now`: use + idle timeout + touch interval, capped by the
    /// absolute deadline.
    pub(crate) fn deadline(&self, head: &Head, now: Timestamp) -> Option<Timestamp> {
        self.deadline_with(head, now, self.touch_millis_of(head))
    }

    fn deadline_with(&self, head: &Head, now: Timestamp, interval: u64) -> Option<Timestamp> {
        let idle = self.idle_of(head).map(|idle| {
            let lasts = millis(idle).saturating_add(interval);
            Timestamp::from_millis(now.as_millis().saturating_add(lasts))
        });
        let absolute = self.absolute_deadline(head);
        match (idle, absolute) {
            (Some(idle), Some(absolute)) => Some(idle.min(absolute)),
            (one, other) => one.or(other),
        }
    }

    pub(crate) fn absolute_deadline(&self, head: &Head) -> Option<Timestamp> {
        self.absolute
            .duration()
            .map(|absolute| head.absolute_from + absolute)
    }

    /// How long a session lasts if it is not used after `now`, without the touch interval; `None`:
    /// without end.
    pub(crate) fn lasts(&self, head: &Head, now: Timestamp) -> Option<Duration> {
        let absolute = self.absolute_deadline(head);
        let absolute = absolute.map(|deadline| deadline.since(now));
        match (self.idle_of(head), absolute) {
            (Some(idle), Some(absolute)) => Some(idle.min(absolute)),
            (one, other) => one.or(other),
        }
    }

    /// The last use that a stored deadline tells of, if it does: one that the absolute timeout has
    /// capped says nothing.
    pub(crate) fn used_at_of(&self, head: &Head, deadline: Option<Timestamp>) -> Option<Timestamp> {
        let deadline = deadline.filter(|at| Some(*at) != self.absolute_deadline(head))?;
        let lasts = millis(self.idle_of(head)?).saturating_add(self.touch_millis_of(head));
        let used_at = deadline.as_millis().checked_sub(lasts)?;
        Some(Timestamp::from_millis(used_at))
    }

    /// When a row with this deadline may be forgotten: after the retention of its tombstone, and
    /// the permitted clock skew.
    pub(crate) fn expires_at(&self, deadline: Option<Timestamp>) -> Option<Timestamp> {
        deadline.map(|deadline| deadline + self.retention + CLOCK_SKEW)
    }

    /// Whether a use at `now` is worth a touch, given what the store knows of the last one.
    ///
    /// `spread` is a number of the session's own: it shortens the interval by up to 10 %, so that
    /// sessions that began together do not touch together.
    pub(crate) fn touch_is_due(
        &self,
        head: &Head,
        stored: Times,
        now: Timestamp,
        spread: u8,
    ) -> bool {
        // A use recorded in the future (a clock that was stepped back) counts as now.
        let used_at = stored.used_at.min(now);
        let interval = self.touch_millis_of(head);
        // A setting has changed since: by the stored deadline a session in steady use would end.
        let is_early = stored.deadline.is_some_and(|stored| {
            self.deadline_with(head, used_at, interval)
                .is_none_or(|deadline| stored < deadline)
        });
        if is_early {
            return true;
        }
        let unused = now.as_millis() - used_at.as_millis();
        let tenth = (interval / 10).saturating_mul(u64::from(spread)) / 255;
        unused >= interval - tenth
    }
}

fn millis(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000);
    whole.saturating_add(u64::from(duration.subsec_millis()))
}

#[cfg(test)]
mod tests {
    use cloakroom_core::Digest;

    use super::*;

    const MIN: Duration = Duration::from_mins(1);

    fn at(minutes: u32) -> Timestamp {
        Timestamp::EPOCH + MIN * minutes
    }

    fn policy(idle: Timeout, absolute: Timeout) -> TimePolicy {
        TimePolicy {
            idle,
            absolute,
            touch_interval: None,
            retention: MIN * 60,
        }
    }

    fn head() -> Head {
        Head::new(Digest::from_bytes([0; 32]), at(0), None)
    }

    /// What is stored after a use.
    fn used(policy: &TimePolicy, used_at: Timestamp) -> Times {
        let deadline = policy.deadline(&head(), used_at);
        Times {
            used_at,
            deadline,
            expires_at: policy.expires_at(deadline),
        }
    }

    #[test]
    fn the_deadline_is_use_plus_idle_plus_touch_interval_capped_by_the_absolute_one() {
        let policy = policy(Timeout::After(MIN * 60), Timeout::After(MIN * 90));
        assert_eq!(policy.touch_interval_of(&head()), MIN * 5);
        assert_eq!(policy.deadline(&head(), at(0)), Some(at(65)));
        assert_eq!(policy.deadline(&head(), at(20)), Some(at(85)));
        assert_eq!(policy.deadline(&head(), at(60)), Some(at(90)));
        assert_eq!(policy.expires_at(Some(at(90))), Some(at(150) + CLOCK_SKEW));
    }

    #[test]
    fn never_and_never_make_no_deadline_and_a_use_is_recorded_all_the_same() {
        let policy = policy(Timeout::Never, Timeout::Never);
        assert_eq!(policy.deadline(&head(), at(0)), None);
        assert_eq!(policy.expires_at(None), None);
        let stored = used(&policy, at(0));
        assert!(!policy.touch_is_due(&head(), stored, at(4), 0));
        assert!(policy.touch_is_due(&head(), stored, at(5), 0));
    }

    #[test]
    fn a_sessions_own_timeout_takes_the_smaller_touch_interval() {
        let policy = policy(Timeout::After(MIN * 60), Timeout::Never);
        let mut own = head();
        own.set_idle(Some(Timeout::After(MIN * 12)));
        assert_eq!(policy.touch_interval_of(&own), MIN);
        assert_eq!(policy.deadline(&own, at(0)), Some(at(13)));
        own.set_idle(Some(Timeout::After(MIN * 6_000)));
        assert_eq!(policy.touch_interval_of(&own), MIN * 5);
        own.set_idle(Some(Timeout::Never));
        assert_eq!(policy.deadline(&own, at(0)), None);
    }

    #[test]
    fn a_touch_is_due_after_the_interval_less_at_most_a_tenth() {
        let policy = policy(Timeout::After(MIN * 60), Timeout::Never);
        let stored = used(&policy, at(0));
        let due = |now, spread| policy.touch_is_due(&head(), stored, now, spread);
        assert!(!due(at(4), 0));
        assert!(due(at(5), 0));
        assert!(due(at(0) + Duration::from_secs(270), 255));
        assert!(!due(at(0) + Duration::from_secs(269), 255));
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_touch_due_and_none_immortal() {
        let policy = policy(Timeout::After(MIN * 60), Timeout::Never);
        assert!(!policy.touch_is_due(&head(), used(&policy, at(60)), at(0), 0));
        let exact = TimePolicy {
            touch_interval: Some(Duration::ZERO),
            ..policy
        };
        assert!(
            exact.touch_is_due(&head(), used(&exact, at(0)), at(0), 0),
            "0 = every use writes"
        );
        assert_eq!(exact.deadline(&head(), at(0)), Some(at(60)));
    }

    #[test]
    fn a_deadline_from_before_a_longer_setting_makes_a_touch_due_at_once() {
        let before = policy(Timeout::After(MIN * 10), Timeout::Never);
        let stored = used(&before, at(0));
        let longer = policy(Timeout::After(MIN * 600), Timeout::Never);
        let never = policy(Timeout::Never, Timeout::Never);
        let shorter = policy(Timeout::After(MIN * 5), Timeout::Never);
        let due = |policy: &TimePolicy| policy.touch_is_due(&head(), stored, at(0), 0);
        assert!(due(&longer) && due(&never));
        assert!(!due(&shorter), "a touch could not bring it forward");
    }
}

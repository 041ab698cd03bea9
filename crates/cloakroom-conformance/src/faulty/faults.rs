use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::{Capabilities, Change, ChangeFeed, ChangeSender, Stamp, StoreErrorKind};

use super::counts::{Counts, Op};
use super::edit::{Corruption, Edit};
use super::gate::{Gate, Turnstile};

/// The script of a [`FaultyStore`](crate::FaultyStore). Clones are handles on the same script.
///
/// Every fault has a number of `times`: so many of the operation's next calls meet it.
/// [`Faults::ALWAYS`] means until [`clear`](Self::clear). Of the faults that decide what a call
/// answers ([`fail`](Self::fail), [`cut`](Self::cut), [`lose_reply`](Self::lose_reply)) a call
/// meets the first that is not used up; delays, gates and false records come on top.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    rules: Vec<Rule>,
    counts: Counts,
    capabilities: Option<Capabilities>,
    scripted_feed: bool,
    feeds: Vec<ChangeSender>,
}

#[derive(Debug)]
struct Rule {
    op: Op,
    times: usize,
    fault: Fault,
}

#[derive(Clone, Debug)]
enum Fault {
    Answer(Answer),
    Delay(Duration),
    Hold(Turnstile),
    HoldReply(Turnstile),
    Edit(Edit),
}

/// What decides the answer of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// Nothing is performed.
    Fail(StoreErrorKind),
    /// The inner future is polled so often, then dropped.
    Cut(usize),
    /// Performed, but the caller never learns it.
    LoseReply,
}

/// What one call meets.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    pub(super) before: Vec<Turnstile>,
    pub(super) answer: Option<Answer>,
    pub(super) after: Vec<Turnstile>,
    pub(super) edits: Vec<Edit>,
}

impl Faults {
    /// As `times`: until [`clear`](Self::clear).
    pub const ALWAYS: usize = usize::MAX;

    /// The next calls answer `Unavailable` and do nothing.
    pub fn fail(&self, op: Op, times: usize) {
        self.fail_with(op, StoreErrorKind::Unavailable, times);
    }

    /// The next calls answer with an error of this kind and do nothing.
    pub fn fail_with(&self, op: Op, kind: StoreErrorKind, times: usize) {
        self.add(op, times, Fault::Answer(Answer::Fail(kind)));
    }

    /// Every call of every operation answers `Unavailable`, until [`clear`](Self::clear).
    pub fn fail_all(&self) {
        for op in Op::ALL {
            self.fail(op, Self::ALWAYS);
        }
    }

    /// The next calls are performed, but answer `Unavailable`.
    pub fn lose_reply(&self, op: Op, times: usize) {
        self.add(op, times, Fault::Answer(Answer::LoseReply));
    }

    /// The next calls are given up in the middle: the inner store's future is polled at most
    /// `polls` times, then dropped, and the answer is `Unavailable`. A call that is ready before
    /// answers as it would have.
    pub fn cut(&self, op: Op, polls: usize, times: usize) {
        self.add(op, times, Fault::Answer(Answer::Cut(polls)));
    }

    /// The next calls sleep before they are performed, by tokio's clock.
    pub fn delay(&self, op: Op, by: Duration, times: usize) {
        self.add(op, times, Fault::Delay(by));
    }

    /// All calls wait at this gate before they are performed, until it is opened.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use cloakroom_conformance::{FaultyStore, Op};
    /// use cloakroom_core::{SessionId, SessionStore};
    /// use cloakroom_memory::MemoryStore;
    ///
    /// let (store, faults) = FaultyStore::new(MemoryStore::new());
    /// let gate = faults.hold(Op::Load);
    /// let load = tokio::spawn(async move { store.load(SessionId::from_bytes([1; 16])).await });
    /// gate.arrived(1).await;
    /// assert!(!load.is_finished());
    /// gate.release();
    /// assert_eq!(load.await.unwrap().unwrap(), None);
    /// # });
    /// ```
    pub fn hold(&self, op: Op) -> Gate {
        let gate = Turnstile::new();
        self.add(op, Self::ALWAYS, Fault::Hold(gate.clone()));
        Gate(gate)
    }

    /// All calls are performed, then wait at this gate before they answer, until it is opened.
    pub fn hold_reply(&self, op: Op) -> Gate {
        let gate = Turnstile::new();
        self.add(op, Self::ALWAYS, Fault::HoldReply(gate.clone()));
        Gate(gate)
    }

    /// The records that the next calls bring back have a corrupt payload. The row in the store is
    /// as it was.
    pub fn corrupt(&self, op: Op, how: Corruption, times: usize) {
        self.add(op, times, Fault::Edit(Edit::Corrupt(how)));
    }

    /// The next calls lie: what they bring back carries this stamp.
    pub fn lie(&self, op: Op, stamp: Stamp, times: usize) {
        self.add(op, times, Fault::Edit(Edit::Stamp(stamp)));
    }

    /// The store pretends to have these capabilities.
    pub fn pretend(&self, capabilities: Capabilities) {
        self.script().capabilities = Some(capabilities);
    }

    /// From here on `changes` gives feeds that say only what [`tell`](Self::tell) says, which is
    /// not even `Live` at first.
    pub fn script_feed(&self) {
        self.script().scripted_feed = true;
    }

    /// Tells a change to all scripted feeds; returns how many there are.
    pub fn tell(&self, change: Change) -> usize {
        let feeds = &mut self.script().feeds;
        feeds.retain(|feed| feed.send(change).is_ok());
        feeds.len()
    }

    /// Lets go of all scripted feeds: their readers hear the end of the feed.
    pub fn close_feeds(&self) {
        self.script().feeds.clear();
    }

    /// How often each operation was called.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.script().counts
    }

    /// As [`counts`](Self::counts), and counts from zero again.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.script().counts)
    }

    /// No more faults: all gates open. Counts, capabilities and feeds stay.
    pub fn clear(&self) {
        for rule in self.script().rules.drain(..) {
            if let Fault::Hold(gate) | Fault::HoldReply(gate) = rule.fault {
                gate.open();
            }
        }
    }

    fn add(&self, op: Op, times: usize, fault: Fault) {
        self.script().rules.push(Rule { op, times, fault });
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says what it meets.
    pub(super) fn plan(&self, op: Op) -> Plan {
        let mut plan = Plan::default();
        let mut script = self.script();
        *script.counts.of_mut(op) += 1;
        script.rules.retain_mut(|rule| {
            if rule.op != op {
                return true;
            }
            match &rule.fault {
                // The first one that is left decides.
                Fault::Answer(_) if plan.answer.is_some() => return true,
                Fault::Hold(gate) | Fault::HoldReply(gate) if gate.is_open() => return false,
                _ if rule.times == 0 => return false,
                Fault::Answer(answer) => plan.answer = Some(*answer),
                Fault::Delay(by) => plan.delay += *by,
                Fault::Hold(gate) => plan.before.push(gate.clone()),
                Fault::HoldReply(gate) => plan.after.push(gate.clone()),
                Fault::Edit(edit) => plan.edits.push(*edit),
            }
            if rule.times != Self::ALWAYS {
                rule.times -= 1;
            }
            rule.times > 0
        });
        plan
    }

    /// Whether the next call of this operation meets nothing.
    pub(super) fn spares(&self, op: Op) -> bool {
        self.script().rules.iter().all(|rule| rule.op != op)
    }

    pub(super) fn capabilities(&self) -> Option<Capabilities> {
        self.script().capabilities
    }

    /// A feed of our own, if it is scripted.
    pub(super) fn feed(&self) -> Option<ChangeFeed> {
        let mut script = self.script();
        script.scripted_feed.then(|| {
            let (sender, feed) = ChangeFeed::channel(64);
            script.feeds.push(sender);
            feed
        })
    }
}

use std::sync::{Mutex, MutexGuard, PoisonError};

use cloakroom_core::{Change, ChangeFeed, ChangeSender};

/// How many notices a manager may be behind before it hears `Lost`.
const CAPACITY: usize = 1_024;

/// The change feeds of an exclusive store: one for each manager in this process.
#[derive(Debug, Default)]
pub(super) struct Feeds(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    senders: Vec<ChangeSender>,
    /// There is one reader, and it was never told of another nor of a break: it knows all changes
    /// by itself.
    alone: bool,
    /// A write was given up while it was on its way: its notice is missing. The number goes up
    /// with each, so that an operation knows whether it began after the last of them.
    given_up: u64,
    settled: u64,
}

impl Feeds {
    /// A feed for one more manager. The first is alone; from the second on nobody is, and every
    /// write is told to everybody.
    pub(super) fn subscribe(&self) -> ChangeFeed {
        let (sender, feed) = ChangeFeed::channel(CAPACITY);
        let mut state = self.state();
        state.senders.retain(|sender| !sender.is_closed());
        state.alone = state.senders.is_empty();
        sender.set_sole(state.alone);
        for other in &state.senders {
            other.set_sole(false);
        }
        if state.given_up == state.settled {
            sender
                .send(Change::Live)
                .expect("the reader is in this function's hands");
        }
        state.senders.push(sender);
        feed
    }

    /// Begins a write. Until it is [settled](Pending::settle), what it does is unknown.
    pub(super) fn begin(&self) -> Pending<'_> {
        Pending {
            feeds: self,
            given_up: self.state().given_up,
            open: true,
        }
    }

    fn tell(state: &mut State, change: Change) {
        state.senders.retain(|sender| sender.send(change).is_ok());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write on its way through the one connection.
#[derive(Debug)]
pub(super) struct Pending<'a> {
    feeds: &'a Feeds,
    given_up: u64,
    open: bool,
}

impl Pending<'_> {
    /// The operation has come back: tells what it changed.
    ///
    /// All operations pass through one queue, so those that were given up before this one began
    /// are through as well: from here on the feed is sure again.
    pub(super) fn settle(mut self, changes: impl IntoIterator<Item = Change>) {
        self.open = false;
        let mut state = self.feeds.state();
        if !state.alone {
            for change in changes {
                Feeds::tell(&mut state, change);
            }
        }
        if state.settled < self.given_up {
            state.settled = self.given_up;
            if state.given_up == state.settled {
                Feeds::tell(&mut state, Change::Live);
            }
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.open {
            let mut state = self.feeds.state();
            state.given_up += 1;
            // Whoever was alone does not know this change, so it needs the notices from now on.
            state.alone = false;
            for sender in &state.senders {
                sender.set_sole(false);
            }
            Feeds::tell(&mut state, Change::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::SessionId;

    use super::*;

    const ENDED: Change = Change::Ended {
        id: SessionId::from_bytes([1; 16]),
    };

    #[tokio::test]
    async fn the_first_manager_is_alone_until_the_second_comes_and_never_again() {
        let feeds = Feeds::default();
        let mut first = feeds.subscribe();
        assert_eq!(first.next().await, Some(Change::Live));
        assert!(first.sole().get());
        let second = feeds.subscribe();
        assert!(!first.sole().get() && !second.sole().get());
        feeds.begin().settle([ENDED]);
        assert_eq!(first.next().await, Some(ENDED));
        drop(second);
        feeds.begin().settle([]);
        assert!(!first.sole().get());
    }

    #[tokio::test]
    async fn a_write_that_was_given_up_is_a_break_until_a_later_one_is_through() {
        let feeds = Feeds::default();
        let mut feed = feeds.subscribe();
        assert_eq!(feed.next().await, Some(Change::Live));
        let earlier = feeds.begin();
        assert!(feed.sole().get());
        drop(feeds.begin());
        assert!(
            !feed.sole().get(),
            "it cannot know what became of that write"
        );
        assert_eq!(feed.next().await, Some(Change::Lost));
        earlier.settle([]);
        let mut late = feeds.subscribe();
        let later = feeds.begin();
        later.settle([]);
        assert_eq!(feed.next().await, Some(Change::Live));
        assert_eq!(late.next().await, Some(Change::Live));
    }
}

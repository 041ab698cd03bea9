use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use crate::{SessionId, Stamp};

/// What a store tells about its records (contract rule 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the layer must handle every notice"
)]
pub enum Change {
    /// The feed is subscribed everywhere: from here on every change is told.
    Live,
    /// A record was written and has this stamp now.
    Saved {
        /// Whose record.
        id: SessionId,
        /// Its stamp after the write.
        stamp: Stamp,
    },
    /// A session has ended: no copy of it may be used unverified.
    Ended {
        /// Whose record.
        id: SessionId,
    },
    /// Everything may have changed (the store was flushed or restored).
    AllGone,
    /// Changes may have been missed; nothing is sure until the next [`Change::Live`].
    Lost,
}

#[derive(Debug, Default)]
struct Shared {
    /// Notices were dropped because the channel was full: the reader hears `Lost`.
    overflowed: AtomicBool,
    /// The store's last word of `Live` and `Lost`, whether it had room or not.
    live: AtomicBool,
    sole: AtomicBool,
}

/// The reading half of a store's change feed. The store drives connection and reconnection.
///
/// A feed counts as lost until it has said [`Change::Live`]. A full channel becomes
/// [`Change::Lost`]; it never blocks the store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use cloakroom_core::{Change, ChangeFeed, SessionId};
///
/// let (sender, mut feed) = ChangeFeed::channel(1);
/// sender.send(Change::Live).unwrap();
/// assert_eq!(feed.next().await, Some(Change::Live));
/// let ended = Change::Ended { id: SessionId::from_bytes([1; 16]) };
/// sender.send(ended).unwrap();
/// sender.send(ended).unwrap();
/// assert_eq!(feed.next().await, Some(Change::Lost), "the second notice had no room");
/// assert_eq!(feed.next().await, Some(Change::Live), "but the subscription stands");
/// assert_eq!(feed.next().await, Some(ended));
/// drop(sender);
/// assert_eq!(feed.next().await, None);
/// # });
/// ```
#[derive(Debug)]
pub struct ChangeFeed {
    receiver: mpsc::Receiver<Change>,
    shared: Arc<Shared>,
    /// `Live` is to be said if the store's last word is that.
    resume: bool,
    /// Something had no room while what is in the channel was waiting there.
    dropped: bool,
}

impl ChangeFeed {
    /// A feed and its sender, with room for `capacity` notices that were not read yet.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0.
    #[must_use]
    pub fn channel(capacity: usize) -> (ChangeSender, Self) {
        let (sender, receiver) = mpsc::channel(capacity);
        let shared = Arc::new(Shared::default());
        (
            ChangeSender {
                sender,
                shared: Arc::clone(&shared),
            },
            Self {
                receiver,
                shared,
                resume: false,
                dropped: false,
            },
        )
    }

    /// The next notice; `None` once the store has let go of the sender. Cancel safe.
    pub async fn next(&mut self) -> Option<Change> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next notice, for hand-written futures; see [`next`](Self::next).
    pub fn poll_next(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Change>> {
        use std::task::Poll;
        // The queue was full when the flag went up, so there is a notice left whose reading brings
        // the reader back here: no waker is needed for the flag itself.
        if self.shared.overflowed.swap(false, Ordering::AcqRel) {
            (self.resume, self.dropped) = (true, true);
            return Poll::Ready(Some(Change::Lost));
        }
        let is_live = || self.shared.live.load(Ordering::Acquire);
        // If only notices were dropped, the subscription still stands.
        if std::mem::take(&mut self.resume) && is_live() {
            return Poll::Ready(Some(Change::Live));
        }
        match self.receiver.poll_recv(cx) {
            // The word that took it back may be the one that had no room.
            Poll::Ready(Some(Change::Live)) if !is_live() => Poll::Ready(Some(Change::Lost)),
            // And so may the one that came after this.
            Poll::Ready(Some(Change::Lost)) => {
                self.resume = self.dropped;
                Poll::Ready(Some(Change::Lost))
            }
            Poll::Pending => {
                self.dropped = false;
                Poll::Pending
            }
            polled @ Poll::Ready(_) => polled,
        }
    }

    /// A reader of whether this feed's manager is the only one on the store; see
    /// [`ChangeSender::set_sole`].
    #[must_use]
    pub fn sole(&self) -> SoleFlag {
        SoleFlag(Arc::clone(&self.shared))
    }
}

/// Whether one manager is alone on its store. Cheap to read at every request.
#[derive(Clone)]
pub struct SoleFlag(Arc<Shared>);

impl SoleFlag {
    /// Whether the manager is alone.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.sole.load(Ordering::Acquire)
    }
}

impl fmt::Debug for SoleFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SoleFlag").field(&self.get()).finish()
    }
}

/// The store's half of a [`ChangeFeed`].
#[derive(Clone, Debug)]
pub struct ChangeSender {
    sender: mpsc::Sender<Change>,
    shared: Arc<Shared>,
}

impl ChangeSender {
    /// Tells a change; never blocks. If there is no room, the reader hears [`Change::Lost`].
    ///
    /// # Errors
    ///
    /// [`FeedGone`] once the reader is dropped: the store may forget this sender.
    pub fn send(&self, change: Change) -> Result<(), FeedGone> {
        match change {
            Change::Live => self.shared.live.store(true, Ordering::Release),
            Change::Lost => self.shared.live.store(false, Ordering::Release),
            _ => {}
        }
        match self.sender.try_send(change) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.shared.overflowed.store(true, Ordering::Release);
                // The reader may have emptied the queue before it could see the flag: this wakes it.
                self.sender.try_send(change).ok();
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(FeedGone),
        }
    }

    /// Whether the reader is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Completes when the reader is gone.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Says that the manager that reads this feed is (or is no longer) alone on the store.
    ///
    /// A store that grants this may leave out the notices of that manager's own writes. It must
    /// take the grant back from everybody before a second manager can write, and never give it
    /// back while the feed lives.
    pub fn set_sole(&self, sole: bool) {
        self.shared.sole.store(sole, Ordering::Release);
    }
}

/// The reader of a feed is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedGone;

impl fmt::Display for FeedGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads this change feed any more")
    }
}

impl std::error::Error for FeedGone {}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(feed: &mut ChangeFeed) -> Vec<Change> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut read = Vec::new();
        while let std::task::Poll::Ready(Some(change)) = feed.poll_next(&mut cx) {
            read.push(change);
        }
        read
    }

    const SAVED: Change = Change::AllGone;

    #[test]
    fn a_break_that_has_no_room_is_the_last_word_all_the_same() {
        for before in [&[SAVED][..], &[Change::Live]] {
            let (sender, mut feed) = ChangeFeed::channel(1);
            sender.send(Change::Live).unwrap();
            if before == [SAVED] {
                assert_eq!(all(&mut feed), [Change::Live]);
                sender.send(SAVED).unwrap();
            }
            sender.send(Change::Lost).unwrap();
            let read = all(&mut feed);
            assert!(!read.contains(&Change::Live), "{read:?}");
            sender.send(Change::Live).unwrap();
            assert_eq!(all(&mut feed).last(), Some(&Change::Live));
        }
    }

    #[test]
    fn a_recovery_that_has_no_room_is_heard_and_is_the_last_word() {
        let (sender, mut feed) = ChangeFeed::channel(1);
        sender.send(Change::Live).unwrap();
        assert_eq!(all(&mut feed), [Change::Live]);
        sender.send(Change::Lost).unwrap();
        sender.send(Change::Live).unwrap();
        assert_eq!(all(&mut feed).last(), Some(&Change::Live));
    }
}

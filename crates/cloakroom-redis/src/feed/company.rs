//! Whether anybody else listens: a notice that only the writer itself would hear is not published.
//!
//! Each subscription is to the channel that all share and then, on the same connection, to one of
//! its own. So if the server counts as many subscriptions of the one as of the other, nobody else
//! listens to the changes; the scripts compare the two in the step in which they write. What is not
//! published the writer tells the readers of its process, when the reply comes.
//!
//! A write whose reply does not come may be carried out at any time, also when all have looked. So
//! the channel that it names is given up for another one, and only then is it told: if it is carried
//! out later still, the counts differ and it is published.
//!
//! This is done only where the count is known to be right: on one server (a cluster's nodes count
//! their own clients only), which counts two connections as two (a proxy may subscribe once for
//! many). In company a script counts once in each beat of the feed, and else publishes at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom_core::{Change, StoreErrorKind};
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;

use super::hub::Hub;
use crate::fault::Fault;

/// What is known of others that listen.
#[derive(Default)]
pub(super) struct Company {
    /// None while it is not known whether the server counts rightly, or nothing is subscribed.
    own: Mutex<Option<Own>>,
    /// The last count found somebody else, and is not long ago.
    met: AtomicBool,
}

/// The channel of a subscription, and where to say which write had no reply.
struct Own {
    channel: Arc<str>,
    doubts: mpsc::UnboundedSender<Doubt>,
}

/// A write that named this channel, and had no reply.
pub(super) type Doubt = (Arc<str>, Change);

impl Company {
    /// From here on scripts may count.
    pub(super) fn begin(&self, channel: Arc<str>, doubts: mpsc::UnboundedSender<Doubt>) {
        *self.own() = Some(Own { channel, doubts });
    }

    /// The subscription has another channel of its own.
    pub(super) fn change(&self, channel: Arc<str>) {
        if let Some(own) = &mut *self.own() {
            own.channel = channel;
        }
    }

    pub(super) fn end(&self) {
        *self.own() = None;
    }

    /// Lets the next write count.
    pub(super) fn count_again(&self) {
        self.met.store(false, Ordering::Relaxed);
    }

    fn own(&self) -> MutexGuard<'_, Option<Own>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// A write is about to be sent that makes this change.
    pub(crate) fn writing(&self, change: Change) -> Writing<'_> {
        let own = if self.company.met.load(Ordering::Relaxed) {
            None
        } else {
            let own = self.company.own();
            own.as_ref().map(|own| Arc::clone(&own.channel))
        };
        Writing {
            hub: self,
            counting: own.map(|own| (own, change)),
        }
    }
}

/// A write under way. If it is dropped before its reply has come, the readers of this process are
/// told of it, since nobody else may do so.
pub(crate) struct Writing<'a> {
    hub: &'a Hub,
    /// None if the script is to publish in any case.
    counting: Option<Doubt>,
}

impl Writing<'_> {
    /// The script's argument.
    pub(crate) fn own_channel(&self) -> &[u8] {
        let counting = self.counting.as_ref();
        counting.map_or(b"", |(channel, _)| channel.as_bytes())
    }

    /// Nothing was written.
    pub(crate) fn nothing(mut self) {
        self.counting = None;
    }

    /// It was written; `told` is what the script says: whether it has published.
    pub(crate) fn done(mut self, told: [u8; 1]) {
        let Some((_, change)) = self.counting.take() else {
            return;
        };
        if told == *b"0" {
            self.hub.tell_if_live(change);
        } else {
            self.hub.company.met.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(doubt) = self.counting.take()
            && let Some(own) = &*self.hub.company.own()
        {
            // If the task is gone the feed is lost, and its readers trust no copy.
            own.doubts.send(doubt).ok();
        }
    }
}

/// Whether the server counts a channel's subscribers as they are: two connections to it as two.
pub(super) async fn counts_rightly(
    one: &mut MultiplexedConnection,
    other: &mut MultiplexedConnection,
    channel: &str,
) -> Result<bool, Fault> {
    one.subscribe(channel).await.map_err(Fault::of)?;
    let alone = count(one, channel).await?;
    other.subscribe(channel).await.map_err(Fault::of)?;
    let both = count(one, channel).await;
    one.unsubscribe(channel).await.map_err(Fault::of)?;
    other.unsubscribe(channel).await.map_err(Fault::of)?;
    Ok((alone, both?) == (1, 2))
}

async fn count(connection: &mut MultiplexedConnection, channel: &str) -> Result<i64, Fault> {
    let mut command = redis::cmd("PUBSUB");
    command.arg("NUMSUB").arg(channel);
    let counted = connection
        .send_packed_command(&command)
        .await
        .and_then(Value::extract_error)
        .map_err(Fault::of)?;
    // A map in RESP3, by the manual; servers send an array all the same.
    let count = match &counted {
        Value::Array(parts) => parts.last(),
        Value::Map(parts) => parts.last().map(|(_, count)| count),
        _ => None,
    };
    let Some(Value::Int(count)) = count else {
        let message = "the server does not count a channel's subscribers";
        return Err(Fault::own(StoreErrorKind::Unsupported, message));
    };
    Ok(*count)
}

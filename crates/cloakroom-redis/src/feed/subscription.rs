//! The connections of a live feed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{Change, Stamp, StoreError, StoreErrorKind};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, try_join_all};
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::beat::{Answer, Beat};
use super::company::{Doubt, counts_rightly};
use super::hub::Hub;
use super::notice;
use super::recent::Recent;
use crate::cluster::Haste;
use crate::dial::Mode;
use crate::fault::Fault;
use crate::server::Server;
use crate::url::{Address, Topology};
use crate::wire::Servers;

/// How often each connection is asked.
const BEAT: Duration = Duration::from_millis(250);

/// How long an answer may take. The next question does not wait for it, so a notice that went
/// missing is known to be missing at most `BEAT + PATIENCE` later.
const PATIENCE: Duration = Duration::from_secs(1);

type Pushes = mpsc::UnboundedSender<PushInfo>;

/// Subscribed everywhere, as of its last answers.
pub(super) struct Subscription {
    posts: Vec<Post>,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
    recent: Recent,
    /// The channel of its own, if the scripts may count its listeners.
    own: Option<Own>,
    /// Of a cluster: changes when a command learnt of other masters.
    shape: Option<watch::Receiver<u64>>,
}

/// A channel that nobody else subscribes to, and the writes that named it and had no reply.
struct Own {
    channel: Arc<str>,
    doubts: mpsc::UnboundedReceiver<Doubt>,
}

/// A connection, what it is asked, and the answer that it gave first.
struct Post {
    connection: MultiplexedConnection,
    beat: Beat,
    first: Answer,
}

/// Why a subscription ended.
pub(super) enum Ended {
    /// Nobody listens any more.
    Unheard,
    Closed,
    Silent,
    Changed,
    Failed(StoreError),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unheard => f.write_str("nobody listens"),
            Self::Closed => f.write_str("a connection was closed"),
            Self::Silent => f.write_str("a server has not answered for a second"),
            Self::Changed => f.write_str("masters or roles have changed"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl Subscription {
    /// Subscribes on every master.
    pub(super) async fn open(hub: &Hub) -> Result<Self, Fault> {
        let (sender, pushes) = mpsc::unbounded_channel();
        let (posts, shape) = match (&hub.topology, &hub.servers) {
            (Topology::Standalone(address), _) => {
                let post = listen_at(hub, address, Mode::Standalone, Beat::Greeting, sender);
                (vec![post.await?], None)
            }
            (Topology::Sentinel { master, .. }, Servers::One(server)) => {
                let sentinels = server.sentinels().ok_or_else(moved)?;
                let (connection, address) = sentinels.ask(&hub.dialer, sender.clone()).await?;
                let beat = Beat::Master(master.clone());
                let watching = Post::new(connection, beat).await?;
                if watching.first != Answer::of(&address) {
                    return Err(moved());
                }
                let post = listen_at(hub, &address, Mode::Standalone, Beat::Greeting, sender);
                (vec![watching, post.await?], None)
            }
            (Topology::Cluster(_), Servers::Many(cluster)) => {
                cluster.refresh(Haste::Share).await?;
                let shape = cluster.shape();
                let masters = cluster.masters();
                let posts = masters.iter().map(|(address, _)| {
                    listen_at(hub, address, Mode::Cluster, Beat::Cluster, sender.clone())
                });
                let posts = try_join_all(posts).await?;
                // Whoever became a master meanwhile is not listened to.
                cluster.refresh(Haste::Ask).await?;
                let agree = posts.windows(2).all(|pair| match pair {
                    [one, other] => one.first == other.first,
                    _ => true,
                });
                if shape.has_changed().unwrap_or(true) || !agree {
                    return Err(moved());
                }
                (posts, Some(shape))
            }
            (Topology::Cluster(_), Servers::One(_))
            | (Topology::Sentinel { .. }, Servers::Many(_)) => return Err(moved()),
        };
        let mut this = Self {
            posts,
            pushes,
            recent: Recent::default(),
            own: None,
            shape,
        };
        if let (Servers::One(server), Some(post)) = (&hub.servers, this.posts.last_mut()) {
            let counting = count_company(hub, server, &mut post.connection);
            match timeout(hub.dialer.connect_timeout, counting).await {
                Ok(Ok(own)) => this.own = own,
                // Its rights do not allow it, for instance: then all is published.
                Ok(Err(fault)) => {
                    let error = fault.into_error();
                    tracing::debug!(%error, "whether others listen is not known");
                }
                Err(_) => return Err(silent(hub)),
            }
        }
        Ok(this)
    }

    /// What is in doubt may be done from here on only where all hear it: the channel that these
    /// writes named is not ours any more. Then they are told.
    async fn settle(&mut self, hub: &Hub, doubts: &[Doubt]) -> Option<Ended> {
        let (Some(own), Some(post)) = (&mut self.own, self.posts.last_mut()) else {
            return None;
        };
        if doubts.iter().any(|(channel, _)| *channel == own.channel) {
            let changing = async {
                let channel = own_channel(hub);
                post.connection.subscribe(&*channel).await?;
                hub.company.change(Arc::clone(&channel));
                let former = std::mem::replace(&mut own.channel, channel);
                post.connection.unsubscribe(&*former).await
            };
            match timeout(PATIENCE, changing).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some(Ended::Failed(Fault::of(error).into_error())),
                Err(_) => return Some(Ended::Silent),
            }
        }
        let heard = doubts.iter().all(|(_, change)| hub.tell(*change));
        (!heard).then_some(Ended::Unheard)
    }

    /// Tells what comes until something is wrong.
    pub(super) async fn listen(&mut self, hub: &Hub) -> Ended {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut answers = FuturesUnordered::new();
        let mut doubts = Vec::new();
        loop {
            tokio::select! {
                push = self.pushes.recv() => match push.as_ref().and_then(|push| read(push, &mut self.recent)) {
                    Some(Heard::Told(change)) => {
                        if !hub.tell(change) {
                            return Ended::Unheard;
                        }
                    }
                    Some(Heard::Nothing) => {}
                    None => return Ended::Closed,
                },
                Some(answer) = answers.next() => {
                    if let Some(end) = answer {
                        return end;
                    }
                }
                () = doubted(self.own.as_mut(), &mut doubts) => {
                    if let Some(end) = self.settle(hub, &doubts).await {
                        return end;
                    }
                    doubts.clear();
                }
                () = changed(self.shape.as_mut()) => return Ended::Changed,
                _ = ticks.tick() => {
                    if !hub.has_readers() {
                        return Ended::Unheard;
                    }
                    hub.company.count_again();
                    answers.extend(self.posts.iter().map(Post::ask));
                }
            }
        }
    }
}

impl Post {
    async fn new(mut connection: MultiplexedConnection, beat: Beat) -> Result<Self, Fault> {
        let first = beat.ask(&mut connection).await?;
        Ok(Self {
            connection,
            beat,
            first,
        })
    }

    /// Asks once; `None` if the answer is as it was.
    fn ask(&self) -> BoxFuture<'static, Option<Ended>> {
        let (mut connection, beat) = (self.connection.clone(), self.beat.clone());
        let first = self.first.clone();
        async move {
            match timeout(PATIENCE, beat.ask(&mut connection)).await {
                Ok(Ok(answer)) if answer == first => None,
                Ok(Ok(_)) => Some(Ended::Changed),
                Ok(Err(fault)) => Some(Ended::Failed(fault.into_error())),
                Err(_) => Some(Ended::Silent),
            }
        }
        .boxed()
    }
}

/// Subscribes on one server.
async fn listen_at(
    hub: &Hub,
    address: &Address,
    mode: Mode,
    beat: Beat,
    pushes: Pushes,
) -> Result<Post, Fault> {
    let (mut connection, greeting) = hub.dialer.dial(address, mode, pushes).await?;
    if matches!(greeting.role.as_str(), "replica" | "slave") {
        return Err(moved());
    }
    let subscribing = async {
        // Invalidation of keys that are never written: all that comes of it is the notice that the
        // server was flushed, which no script of ours can publish. A user who may not ask for it
        // does without.
        let mut tracking = redis::cmd("CLIENT");
        tracking
            .arg("TRACKING")
            .arg("ON")
            .arg("BCAST")
            .arg("PREFIX")
            .arg(&hub.unused);
        let tracked = connection
            .send_packed_command(&tracking)
            .await
            .map_err(Fault::of)?;
        if let Err(error) = tracked.extract_error() {
            tracing::debug!(%error, "the feed will not hear of a flush");
        }
        connection
            .subscribe(&hub.channel)
            .await
            .map_err(Fault::of)?;
        Post::new(connection, beat).await
    };
    timeout(hub.dialer.connect_timeout, subscribing)
        .await
        .unwrap_or_else(|_| {
            let message = format!("the server at {address} does not answer");
            Err(Fault::own(StoreErrorKind::Unavailable, message))
        })
}

/// Subscribes to a channel of its own, after the one that all share, and lets the scripts count, if
/// the server does so rightly.
async fn count_company(
    hub: &Hub,
    server: &Arc<Server>,
    connection: &mut MultiplexedConnection,
) -> Result<Option<Own>, Fault> {
    let channel = own_channel(hub);
    connection.subscribe(&*channel).await.map_err(Fault::of)?;
    let mut other = server.link().await?.connection;
    if !counts_rightly(connection, &mut other, &format!("{channel}:test")).await? {
        return Ok(None);
    }
    let (sender, doubts) = mpsc::unbounded_channel();
    hub.company.begin(Arc::clone(&channel), sender);
    Ok(Some(Own { channel, doubts }))
}

/// A name that no other subscription has.
fn own_channel(hub: &Hub) -> Arc<str> {
    let [one, two] = [Stamp::first().nonce, Stamp::first().nonce];
    format!("{}:own:{one:016x}{two:016x}", hub.channel).into()
}

/// Waits for writes that had no reply.
async fn doubted(own: Option<&mut Own>, doubts: &mut Vec<Doubt>) {
    // The hub holds the sender as long as the subscription is up.
    if let Some(own) = own
        && own.doubts.recv_many(doubts, usize::MAX).await > 0
    {
        return;
    }
    std::future::pending::<()>().await;
}

fn silent(hub: &Hub) -> Fault {
    let millis = hub.dialer.connect_timeout.as_millis();
    let message = format!("the server does not answer within {millis} ms");
    Fault::own(StoreErrorKind::Unavailable, message)
}

enum Heard {
    Told(Change),
    Nothing,
}

/// `None` for the end of a connection.
fn read(push: &PushInfo, recent: &mut Recent) -> Option<Heard> {
    match push.kind {
        PushKind::Disconnection => None,
        PushKind::Message => Some(match push.data.as_slice() {
            [_, Value::BulkString(message)] if !recent.is_first(message) => Heard::Nothing,
            [_, Value::BulkString(message)] => match notice::read(message) {
                Some(change) => Heard::Told(change),
                // Somebody else writes on our channel, perhaps a later release: be careful.
                None => Heard::Told(Change::AllGone),
            },
            _ => Heard::Told(Change::AllGone),
        }),
        // With nothing under the prefix that is tracked, only a flush invalidates.
        PushKind::Invalidate => Some(Heard::Told(Change::AllGone)),
        _ => Some(Heard::Nothing),
    }
}

async fn changed(shape: Option<&mut watch::Receiver<u64>>) {
    // The sender lives as long as the cluster's map, which the hub holds.
    match shape {
        Some(shape) => drop(shape.changed().await),
        None => std::future::pending().await,
    }
}

fn moved() -> Fault {
    let message = "masters or roles changed while the feed was being subscribed";
    Fault::own(StoreErrorKind::Unavailable, message)
}

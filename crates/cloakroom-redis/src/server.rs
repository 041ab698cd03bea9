//! One server, and the one connection to it that all operations share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind};
use tokio::sync::watch::Sender;
use tokio::time::timeout;

use crate::dial::{Dialer, Mode};
use crate::fault::Fault;
use crate::sentinel::{self, Sentinels};
use crate::url::Address;

/// First and longest pause between attempts to connect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How often the sentinels are asked whether the master is still the same.
const WATCH: Duration = Duration::from_secs(1);

/// How a server is found.
#[derive(Clone, Debug)]
pub(crate) enum Locate {
    Fixed(Address, Mode),
    /// Whatever these sentinels call the master: asked at each connection, and every [`WATCH`].
    Master(Arc<Sentinels>),
}

/// A connection that was up, with a number by which it is told from the next one.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) connection: MultiplexedConnection,
    pub(crate) address: Arc<Address>,
}

#[derive(Clone)]
enum State {
    /// Nobody has asked yet.
    Idle,
    Connecting,
    Up(Link),
    /// The last attempt failed; the next one follows after a pause.
    Down(Fault),
}

/// Connects at the first use and whenever the connection is lost, with growing pauses. Callers
/// wait for an attempt that is under way, but not through a pause: then they fail at once.
///
/// The connection is multiplexed: the driver's own task reads every reply in order, also those
/// that nobody waits for any more. So dropping a future of ours leaves no unread reply behind.
pub(crate) struct Server {
    locate: Locate,
    dialer: Arc<Dialer>,
    state: Sender<State>,
    numbers: AtomicU64,
}

impl Server {
    pub(crate) fn new(locate: Locate, dialer: Arc<Dialer>) -> Arc<Self> {
        Arc::new(Self {
            locate,
            dialer,
            state: Sender::new(State::Idle),
            numbers: AtomicU64::new(0),
        })
    }

    /// Who names the master, if somebody does.
    pub(crate) fn sentinels(&self) -> Option<&Sentinels> {
        match &self.locate {
            Locate::Fixed(..) => None,
            Locate::Master(sentinels) => Some(sentinels),
        }
    }

    /// The connection, once it is up. The caller sets the deadline.
    ///
    /// # Errors
    ///
    /// Why the last attempt to connect failed.
    pub(crate) async fn link(self: &Arc<Self>) -> Result<Link, Fault> {
        let mut changes = None;
        loop {
            match &*self.state.borrow() {
                State::Up(link) => return Ok(link.clone()),
                State::Down(fault) => return Err(fault.clone()),
                State::Idle | State::Connecting => {}
            }
            // Subscribed before the second look, so that no change slips through in between.
            let Some(changes) = &mut changes else {
                changes = Some(self.state.subscribe());
                self.start(|state| matches!(state, State::Idle));
                continue;
            };
            if changes.changed().await.is_err() {
                continue;
            }
            self.start(|state| matches!(state, State::Idle));
        }
    }

    /// Gives up the connection of this number, if it is still in use, and makes another one.
    pub(crate) fn discard(self: &Arc<Self>, number: u64) {
        self.start(|state| matches!(state, State::Up(link) if link.number == number));
    }

    /// Gives up whatever connection there is.
    pub(crate) fn discard_any(self: &Arc<Self>) {
        self.start(|state| matches!(state, State::Up(_)));
    }

    fn start(self: &Arc<Self>, from: impl FnOnce(&State) -> bool) {
        let runtime = tokio::runtime::Handle::try_current();
        let started = self.state.send_if_modified(|state| {
            if !from(state) {
                return false;
            }
            *state = match runtime {
                Ok(_) => State::Connecting,
                Err(_) => State::Idle,
            };
            true
        });
        if let (true, Ok(runtime)) = (started, runtime) {
            runtime.spawn(connect(Arc::downgrade(self)));
        }
    }

    async fn open(self: &Arc<Self>) -> Result<Link, Fault> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let this = Arc::downgrade(self);
        let push = move |info: PushInfo| -> Result<(), ()> {
            if info.kind == PushKind::Disconnection
                && let Some(this) = this.upgrade()
            {
                this.discard(number);
            }
            Ok(())
        };
        let (address, mode) = match &self.locate {
            Locate::Fixed(address, mode) => (address.clone(), *mode),
            Locate::Master(sentinels) => {
                let (_, address) = sentinels.ask(&self.dialer, unheard).await?;
                (address, Mode::Standalone)
            }
        };
        let (connection, greeting) = self.dialer.dial(&address, mode, push).await?;
        tracing::debug!(%address, version = %greeting.version, "connected");
        Ok(Link {
            number,
            connection,
            address: Arc::new(address),
        })
    }
}

/// Tries until it is up, or until nobody holds the server any more.
async fn connect(server: Weak<Server>) {
    let mut unfinished = Unfinished(Weak::clone(&server));
    let mut pause = PAUSE.0;
    loop {
        let Some(this) = server.upgrade() else { return };
        match this.open().await {
            Ok(link) => {
                unfinished.0 = Weak::new();
                let up = (link.number, Arc::clone(&link.address));
                this.state.send_replace(State::Up(link));
                if let Locate::Master(sentinels) = &this.locate {
                    let (sentinels, dialer) = (Arc::clone(sentinels), Arc::clone(&this.dialer));
                    drop(this);
                    watch(&server, &sentinels, &dialer, up).await;
                }
                return;
            }
            Err(fault) => {
                tracing::debug!(error = %fault.clone().into_error(), "no connection");
                this.state.send_replace(State::Down(fault));
            }
        }
        drop(this);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// While this connection is up: gives it up as soon as the sentinels name another master. The old one
/// may still be there, and take writes that nobody will read. A feed hears of it sooner, where there is one.
async fn watch(
    server: &Weak<Server>,
    sentinels: &Sentinels,
    dialer: &Dialer,
    (number, address): (u64, Arc<Address>),
) {
    let mut connection = None;
    loop {
        tokio::time::sleep(WATCH).await;
        let is_up = |server: &Server| match &*server.state.borrow() {
            State::Up(link) => link.number == number,
            State::Idle | State::Connecting | State::Down(_) => false,
        };
        if !server.upgrade().is_some_and(|server| is_up(&server)) {
            return;
        }
        let (kept, named) = match connection.take() {
            None => match sentinels.ask(dialer, unheard).await {
                Ok((connection, named)) => (connection, named),
                // No word is no reason to leave.
                Err(_) => continue,
            },
            Some(mut connection) => {
                let asked = sentinel::master(&mut connection, sentinels.name());
                match timeout(dialer.connect_timeout, asked).await {
                    Ok(Ok(named)) => (connection, named),
                    // Asked anew, others too, at the next turn.
                    Ok(Err(_)) | Err(_) => continue,
                }
            }
        };
        if named != *address {
            tracing::info!(master = %named, was = %address, "the sentinels name another master");
            if let Some(server) = server.upgrade() {
                server.discard(number);
            }
            return;
        }
        connection = Some(kept);
    }
}

/// What a sentinel says unasked.
#[expect(
    clippy::unnecessary_wraps,
    reason = "so the driver wants a listener to be"
)]
fn unheard(_: PushInfo) -> Result<(), ()> {
    Ok(())
}

/// If the runtime dies under an attempt to connect, the next user must begin another.
struct Unfinished(Weak<Server>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(server) = self.0.upgrade() {
            server.state.send_if_modified(|state| {
                let pending = matches!(state, State::Connecting | State::Down(_));
                if pending {
                    *state = State::Idle;
                }
                pending
            });
        }
    }
}

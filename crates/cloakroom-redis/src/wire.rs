//! Brings a script to the right server, within one deadline, and its reply back.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use redis::{Cmd, Value};
use tokio::time::{Instant, timeout_at};

use crate::cluster::Cluster;
use crate::dial::{Dialer, Mode};
use crate::fault::{Fault, Redirect};
use crate::keys;
use crate::options::{RedisOptions, Wait};
use crate::reply::{self, Reply};
use crate::script::Call;
use crate::sentinel::Sentinels;
use crate::server::{Link, Locate, Server};
use crate::url::Topology;

/// How often one operation follows a redirect.
const REDIRECTS: u32 = 5;

/// The pause before a read is tried again; doubled each time.
const PAUSE: Duration = Duration::from_millis(25);

/// All servers of a store.
#[derive(Clone)]
pub(crate) enum Servers {
    One(Arc<Server>),
    Many(Arc<Cluster>),
}

pub(crate) struct Wire {
    pub(crate) servers: Servers,
    pub(crate) command_timeout: Duration,
    read_retries: u32,
    wait: Option<Wait>,
}

/// Which connection an operation is using, for the case that it runs out of time there.
type InUse = Option<(Arc<Server>, u64)>;

impl Wire {
    pub(crate) fn new(options: &RedisOptions, dialer: &Arc<Dialer>) -> Self {
        let one = |locate| Servers::One(Server::new(locate, Arc::clone(dialer)));
        let servers = match &options.parsed.topology {
            Topology::Standalone(address) => one(Locate::Fixed(address.clone(), Mode::Standalone)),
            Topology::Sentinel { sentinels, master } => {
                let sentinels = Sentinels::new(sentinels.clone(), master.clone());
                one(Locate::Master(Arc::new(sentinels)))
            }
            Topology::Cluster(seeds) => {
                Servers::Many(Cluster::new(seeds.clone(), Arc::clone(dialer)))
            }
        };
        Self {
            servers,
            command_timeout: options.command_timeout,
            read_retries: options.read_retries,
            wait: options.wait,
        }
    }

    /// By when an operation that begins now has to be done, however many scripts it takes.
    #[expect(
        clippy::disallowed_methods,
        reason = "a deadline is one of the runtime's timers, on the runtime's clock"
    )]
    pub(crate) fn deadline(&self) -> Instant {
        let now = Instant::now();
        // Beyond what the clock can tell there is no deadline: a generation is as good.
        let far = Duration::from_hours(24 * 365 * 30);
        now + self.command_timeout.min(far)
    }

    /// Runs a script and returns its reply, which is sure to belong to it.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the deadline passes: what became of a write is open then.
    pub(crate) async fn run(&self, call: &Call<'_>, by: Instant) -> Result<Reply, StoreError> {
        let mut in_use = None;
        match timeout_at(by, self.attempts(call, &mut in_use)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(fault)) => Err(fault.into_error()),
            Err(_) => {
                // A peer that vanished without a word is not noticed otherwise for minutes.
                if let Some((server, number)) = in_use {
                    server.discard(number);
                }
                self.stale();
                Err(StoreError::unavailable(format!(
                    "no answer within {} ms",
                    self.command_timeout.as_millis()
                )))
            }
        }
    }

    async fn attempts(&self, call: &Call<'_>, in_use: &mut InUse) -> Result<Reply, Fault> {
        let (mut redirects, mut retries) = (REDIRECTS, self.read_retries);
        let mut pause = PAUSE;
        let mut directed = None;
        loop {
            let fault = match self.attempt(call, directed.take(), in_use).await {
                Ok(reply) => return Ok(reply),
                Err((fault, None)) => fault,
                Err((fault, Some((server, link)))) => {
                    if fault.breaks_link {
                        server.discard(link.number);
                    }
                    directed = self.follow(&fault, call, &link);
                    fault
                }
            };
            *in_use = None;
            if fault.stale_map {
                self.stale();
            }
            if directed.is_some() && redirects > 0 {
                redirects -= 1;
                continue;
            }
            if !call.repeatable || !fault.is_passing() || retries == 0 {
                return Err(fault);
            }
            retries -= 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        directed: Option<(Arc<Server>, bool)>,
        in_use: &mut InUse,
    ) -> Result<Reply, (Fault, Option<(Arc<Server>, Link)>)> {
        let (server, asking) = match directed {
            Some(directed) => directed,
            None => (
                self.server(call).await.map_err(|fault| (fault, None))?,
                false,
            ),
        };
        let mut link = server.link().await.map_err(|fault| (fault, None))?;
        *in_use = Some((Arc::clone(&server), link.number));
        let wait = self.wait.filter(|_| !call.repeatable);
        let reply = exchange(&mut link, call, asking, wait).await;
        reply.map_err(|fault| (fault, Some((server, link))))
    }

    async fn server(&self, call: &Call<'_>) -> Result<Arc<Server>, Fault> {
        match &self.servers {
            Servers::One(server) => Ok(Arc::clone(server)),
            Servers::Many(cluster) => cluster.server(keys::slot(call.key)).await,
        }
    }

    /// Where a redirect leads, and whether we have to say that we were sent.
    fn follow(&self, fault: &Fault, call: &Call<'_>, link: &Link) -> Option<(Arc<Server>, bool)> {
        let Servers::Many(cluster) = &self.servers else {
            return None;
        };
        match fault.redirect.as_ref()? {
            Redirect::Moved(to) => Some((
                cluster.moved(keys::slot(call.key), to, &link.address)?,
                false,
            )),
            Redirect::Ask(to) => Some((cluster.server_at(to, &link.address)?, true)),
        }
    }

    /// Something showed that roles or slots may have changed.
    fn stale(&self) {
        if let Servers::Many(cluster) = &self.servers {
            cluster.refresh_later();
        }
    }
}

/// Sends a call and reads its reply, on this connection.
async fn exchange(
    link: &mut Link,
    call: &Call<'_>,
    asking: bool,
    wait: Option<Wait>,
) -> Result<Reply, Fault> {
    let value = match send(link, call.by_hash(), asking, wait).await {
        // Boxed, as all that is rare: a future is moved about as a whole.
        Err(fault) if fault.unknown_script => {
            Box::pin(send(link, call.by_code(), asking, wait)).await?
        }
        other => other?,
    };
    let asked = call.args.first().copied().unwrap_or_default();
    Reply::read(value, asked).ok_or_else(Fault::out_of_step)
}

async fn send(
    link: &mut Link,
    command: Cmd,
    asking: bool,
    wait: Option<Wait>,
) -> Result<Value, Fault> {
    if !asking && wait.is_none() {
        let value = link.connection.send_packed_command(&command).await;
        return value.and_then(Value::extract_error).map_err(Fault::of);
    }
    Box::pin(send_beside(link, command, asking, wait)).await
}

/// As [`send`], with a word before or after it.
async fn send_beside(
    link: &mut Link,
    command: Cmd,
    asking: bool,
    wait: Option<Wait>,
) -> Result<Value, Fault> {
    let mut pipeline = redis::pipe();
    if asking {
        pipeline.cmd("ASKING");
    }
    pipeline.add_command(command);
    if let Some(wait) = wait {
        let millis = u64::try_from(wait.timeout.as_millis()).unwrap_or(u64::MAX);
        pipeline.cmd("WAIT").arg(wait.replicas).arg(millis);
    }
    let mut values = link
        .connection
        .send_packed_commands(&pipeline, 0, pipeline.len())
        .await
        .map_err(Fault::of)?
        .into_iter();
    if asking {
        values.next();
    }
    let value = values.next().ok_or_else(Fault::out_of_step)?;
    let value = value.extract_error().map_err(Fault::of)?;
    match (wait, values.next()) {
        (Some(wait), Some(Value::Int(reached)))
            if reached < i64::from(wait.replicas) && reply::has_written(&value) =>
        {
            let message = format!(
                "the master has the write, but only {reached} of {} replicas confirmed it",
                wait.replicas
            );
            Err(Fault::own(StoreErrorKind::Unavailable, message).without_consequence())
        }
        (None, _) | (Some(_), Some(Value::Int(_))) => Ok(value),
        // Refused, by the rights of the user perhaps: the promise is not kept.
        (Some(_), answer) if reply::has_written(&value) => {
            let why = answer.ok_or_else(Fault::out_of_step)?.extract_error();
            Err(why
                .map_or_else(Fault::of, |_| Fault::out_of_step())
                .without_consequence())
        }
        (Some(_), _) => Ok(value),
    }
}

//! Asks sentinels who the master is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloakroom_core::StoreErrorKind;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use tokio::time::timeout;

use crate::dial::{Dialer, Mode, text};
use crate::fault::Fault;
use crate::url::Address;

/// How long the others wait for the one that is asked first.
const HEAD_START: Duration = Duration::from_millis(250);

/// The sentinels of a master.
#[derive(Debug)]
pub(crate) struct Sentinels {
    addresses: Vec<Address>,
    name: String,
    /// The one that has answered last: who is dead or far away is not asked first each time.
    favourite: AtomicUsize,
}

impl Sentinels {
    pub(crate) fn new(addresses: Vec<Address>, name: String) -> Self {
        Self {
            addresses,
            name,
            favourite: AtomicUsize::new(0),
        }
    }

    /// What they call the master.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The connection to the first one that answers, with its answer. The next one is asked as well when
    /// one has failed, or not answered within [`HEAD_START`].
    ///
    /// # Errors
    ///
    /// The last sentinel's, if none answers and knows the master.
    pub(crate) async fn ask(
        &self,
        dialer: &Dialer,
        push: impl AsyncPushSender + Clone,
    ) -> Result<(MultiplexedConnection, Address), Fault> {
        let first = self.favourite.load(Ordering::Relaxed);
        let places = (0..self.addresses.len()).cycle().skip(first);
        let mut places = places.take(self.addresses.len());
        let mut asked = FuturesUnordered::new();
        let mut failure = Fault::own(StoreErrorKind::Unavailable, "there is no sentinel to ask");
        loop {
            let next = places.next();
            let last = next.is_none();
            if let Some((place, address)) = next.and_then(|at| Some((at, self.addresses.get(at)?)))
            {
                let push = push.clone();
                asked.push(async move { (place, self.ask_one(dialer, address, push).await) });
            }
            let answer = if last {
                asked.next().await
            } else {
                match timeout(HEAD_START, asked.next()).await {
                    Ok(answer) => answer,
                    Err(_) => continue,
                }
            };
            match answer {
                Some((place, Ok(found))) => {
                    self.favourite.store(place, Ordering::Relaxed);
                    return Ok(found);
                }
                Some((_, Err(fault))) => failure = fault,
                None if last => return Err(failure),
                None => {}
            }
        }
    }

    async fn ask_one(
        &self,
        dialer: &Dialer,
        address: &Address,
        push: impl AsyncPushSender,
    ) -> Result<(MultiplexedConnection, Address), Fault> {
        let asked = async {
            let (mut connection, _) = dialer.dial(address, Mode::Sentinel, push).await?;
            let master = master(&mut connection, &self.name).await?;
            Ok((connection, master))
        };
        timeout(dialer.connect_timeout, asked)
            .await
            .unwrap_or_else(|_| {
                let message = format!("the sentinel at {address} does not answer");
                Err(Fault::own(StoreErrorKind::Unavailable, message))
            })
    }
}

/// Asks this sentinel.
///
/// # Errors
///
/// `Rejected` if it knows no master of this name.
pub(crate) async fn master(
    connection: &mut MultiplexedConnection,
    name: &str,
) -> Result<Address, Fault> {
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let value = connection
        .send_packed_command(&command)
        .await
        .and_then(Value::extract_error)
        .map_err(Fault::of)?;
    let address = match &value {
        Value::Array(parts) => match parts.as_slice() {
            [host, port] => text(host).zip(text(port)).and_then(|(host, port)| {
                let host = host.to_owned();
                port.parse().ok().map(|port| Address { host, port })
            }),
            _ => None,
        },
        _ => None,
    };
    address.ok_or_else(|| {
        let message = format!("the sentinels know no master called {name}");
        Fault::own(StoreErrorKind::Rejected, message)
    })
}

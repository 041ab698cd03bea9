//! Asks sentinels who the master is.

use cloakroom_core::StoreErrorKind;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, Value};
use tokio::time::timeout;

use crate::dial::{Dialer, Mode, text};
use crate::fault::Fault;
use crate::url::Address;

/// The master, by the first sentinel that answers and knows it.
///
/// # Errors
///
/// The last sentinel's, if none does.
pub(crate) async fn find_master(
    dialer: &Dialer,
    sentinels: &[Address],
    name: &str,
) -> Result<Address, Fault> {
    let (_, address) = ask(dialer, sentinels, name, |_: PushInfo| Ok::<_, ()>(())).await?;
    Ok(address)
}

/// The connection to the first sentinel that answers, with its answer.
///
/// # Errors
///
/// As for [`find_master`].
pub(crate) async fn ask(
    dialer: &Dialer,
    sentinels: &[Address],
    name: &str,
    push: impl redis::aio::AsyncPushSender + Clone,
) -> Result<(MultiplexedConnection, Address), Fault> {
    let mut failure = Fault::own(StoreErrorKind::Unavailable, "there is no sentinel to ask");
    for sentinel in sentinels {
        let asked = async {
            let push = push.clone();
            let (mut connection, _) = dialer.dial(sentinel, Mode::Sentinel, push).await?;
            let address = master(&mut connection, name).await?;
            Ok((connection, address))
        };
        match timeout(dialer.connect_timeout, asked).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(fault)) => failure = fault,
            Err(_) => {
                let message = format!("the sentinel at {sentinel} does not answer");
                failure = Fault::own(StoreErrorKind::Unavailable, message);
            }
        }
    }
    Err(failure)
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

use std::time::Duration;

use cloakroom_core::{Change, SessionId, Stamp};
use sqlx::Executor;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::{sleep, timeout};

use super::hub::Hub;

/// Silence after which the connection has to prove itself.
const QUIET: Duration = Duration::from_millis(250);

/// How long that proof may take: a dead connection is noticed within a second.
const PROOF: Duration = Duration::from_millis(750);

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Listens until nobody reads any more.
pub(super) async fn listen(hub: &Hub) {
    let mut pause = QUIET / 5;
    while hub.is_read() {
        match timeout(hub.connect_timeout, connect(hub)).await {
            Ok(Ok(listener)) => {
                pause = QUIET / 5;
                if !hub.tell(Change::Live) {
                    return;
                }
                relay(hub, listener).await;
                hub.tell(Change::Lost);
            }
            Ok(Err(error)) => tracing::warn!(%error, "cannot listen for ended sessions"),
            Err(_) => tracing::warn!("cannot listen for ended sessions: the server is silent"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connect(hub: &Hub) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(hub.connect_timeout)
        .connect_lazy_with(hub.options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    // A new connection has missed what was told before it: that must be said first.
    listener.eager_reconnect(false);
    listener.listen(&hub.channel).await?;
    Ok(listener)
}

/// Passes notices on until the connection is lost or nobody reads.
async fn relay(hub: &Hub, mut listener: PgListener) {
    loop {
        match timeout(QUIET, listener.try_recv()).await {
            Ok(Ok(Some(notice))) => {
                let told = match parse(notice.payload()) {
                    Some(change) => hub.tell(change),
                    // Not one of ours, or of a newer release: it may concern anything.
                    None => hub.tell(Change::AllGone),
                };
                if !told {
                    return;
                }
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => {
                let proof = timeout(PROOF, listener.execute("SELECT 1")).await;
                if !matches!(proof, Ok(Ok(_))) || !hub.is_read() {
                    return;
                }
            }
        }
    }
}

/// `E<id>`, or `S<id> <version> <nonce>` with signed numbers.
fn parse(payload: &str) -> Option<Change> {
    let (kind, rest) = payload.split_at_checked(1)?;
    let mut words = rest.split(' ');
    let id: SessionId = words.next()?.parse().ok()?;
    match kind {
        "E" => Some(Change::Ended { id }),
        "S" => {
            let mut number = || words.next()?.parse::<i64>().ok();
            let (version, nonce) = (number()?, number()?);
            let stamp = Stamp {
                version: version.cast_unsigned(),
                nonce: nonce.cast_unsigned(),
            };
            Some(Change::Saved { id, stamp })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_an_ending_or_a_new_stamp_and_nothing_else() {
        let id = SessionId::from_bytes([0xab; 16]);
        let stamp = Stamp {
            version: 2,
            nonce: u64::MAX,
        };
        assert_eq!(parse(&format!("E{id}")), Some(Change::Ended { id }));
        assert_eq!(
            parse(&format!("S{id} 2 -1")),
            Some(Change::Saved { id, stamp })
        );
        for wrong in [
            "",
            "E",
            "ä",
            &format!("X{id}"),
            &format!("S{id} 2"),
            &format!("S{id} a b"),
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}

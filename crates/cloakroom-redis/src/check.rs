//! Looks for server settings that endanger sessions.

use std::fmt;
use std::time::Duration;

use cloakroom_core::{Clock, StoreError, StoreErrorKind, SystemClock, Timestamp};
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use crate::cluster::Haste;
use crate::dial::text;
use crate::fault::Fault;
use crate::wire::{Servers, Wire};

/// The clock skew that a session's grace covers.
const SKEW: Duration = Duration::from_secs(5);

/// A setting of a server that endangers sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// Which server, as `host:port`.
    pub server: String,
    /// What may happen, and which setting mends it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.server, self.message)
    }
}

/// Looks at every master.
pub(crate) async fn look(wire: &Wire) -> Result<Vec<Warning>, StoreError> {
    let servers = match &wire.servers {
        Servers::One(server) => vec![std::sync::Arc::clone(server)],
        Servers::Many(cluster) => {
            let asked = timeout(wire.command_timeout, cluster.refresh(Haste::Share)).await;
            asked.map_err(|_| silent())?.map_err(Fault::into_error)?;
            cluster
                .masters()
                .into_iter()
                .map(|(_, server)| server)
                .collect()
        }
    };
    let mut warnings = Vec::new();
    let mut failure = None;
    let mut answered = false;
    for server in servers {
        let looking = async {
            let mut link = server.link().await?;
            let found = look_at(&mut link.connection).await?;
            Ok::<_, Fault>((link, found))
        };
        let looked = timeout(wire.command_timeout, looking).await;
        let looked = looked.map_err(|_| silent());
        match looked.and_then(|looked| looked.map_err(Fault::into_error)) {
            Ok((link, found)) => {
                answered = true;
                warnings.extend(found.into_iter().map(|message| Warning {
                    server: link.address.to_string(),
                    message,
                }));
            }
            // In the middle of a failover the other masters serve their part.
            Err(error) if error.is_retryable() => {
                warnings.push(Warning {
                    server: "a master".to_owned(),
                    message: format!("cannot be looked at: {error}"),
                });
                failure = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match failure {
        Some(error) if !answered => Err(error),
        _ => Ok(warnings),
    }
}

fn silent() -> StoreError {
    StoreError::unavailable("a server does not answer")
}

async fn look_at(connection: &mut MultiplexedConnection) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    match ask(connection, &["INFO"]).await? {
        Some(info) => {
            let info = text(&info).unwrap_or_default().to_owned();
            let saves = ask(connection, &["CONFIG", "GET", "save"]).await?;
            found.extend(judge(&info, saves.as_ref().and_then(setting).as_deref()));
        }
        None => found.push("its settings could not be looked at: the user may not run INFO".into()),
    }
    if let Some(time) = ask(connection, &["TIME"]).await?.as_ref().and_then(time) {
        found.extend(judge_clock(time, SystemClock::default().now()));
    }
    Ok(found)
}

/// `None` where the user may not ask.
async fn ask(
    connection: &mut MultiplexedConnection,
    words: &[&str],
) -> Result<Option<Value>, Fault> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    let value = connection
        .send_packed_command(&command)
        .await
        .map_err(Fault::of)?;
    match value.extract_error() {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let fault = Fault::of(error);
            if fault.kind() == StoreErrorKind::Rejected {
                Ok(None)
            } else {
                Err(fault)
            }
        }
    }
}

/// The value in the reply to `CONFIG GET` of one setting.
fn setting(value: &Value) -> Option<String> {
    match value {
        Value::Map(fields) => fields
            .first()
            .and_then(|(_, value)| text(value))
            .map(str::to_owned),
        Value::Array(parts) => parts.get(1).and_then(text).map(str::to_owned),
        _ => None,
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [seconds, micros] = parts.as_slice() else {
        return None;
    };
    let seconds: u64 = text(seconds)?.parse().ok()?;
    let micros: u64 = text(micros)?.parse().ok()?;
    Some(Timestamp::from_millis(
        seconds.saturating_mul(1000) + micros / 1000,
    ))
}

fn judge_clock(server: Timestamp, ours: Timestamp) -> Option<String> {
    let apart = server.since(ours).max(ours.since(server));
    (apart > SKEW).then(|| {
        format!(
            "its clock is {} s away from ours, and it forgets sessions by its own: \
             synchronise the clocks",
            apart.as_secs()
        )
    })
}

/// Reads `INFO`; `saves` is the setting `save`, if it may be read.
fn judge(info: &str, saves: Option<&str>) -> Vec<String> {
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim())
    };
    let mut found = Vec::new();
    let bounded = field("maxmemory").is_some_and(|bytes| bytes != "0");
    match field("maxmemory_policy") {
        Some("volatile-ttl") if bounded => found.push(
            "with maxmemory-policy volatile-ttl a full server drops the sessions that would end \
             first, and their users are signed out: use noeviction"
                .to_owned(),
        ),
        Some(policy) if bounded && policy != "noeviction" => found.push(format!(
            "with maxmemory-policy {policy} a full server drops live sessions: use noeviction"
        )),
        _ => {}
    }
    if field("aof_enabled") == Some("0") && saves == Some("") {
        found.push(
            "it writes nothing to disk, so a restart forgets all sessions: turn on appendonly"
                .to_owned(),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_drop_sessions_are_told() {
        let info = |max: u64, policy: &str, aof: u8| {
            format!("maxmemory:{max}\r\nmaxmemory_policy:{policy}\r\naof_enabled:{aof}\r\n")
        };
        let count = |info: String, saves| judge(&info, saves).len();
        assert_eq!(count(info(1, "noeviction", 1), Some("")), 0);
        assert_eq!(
            count(info(0, "allkeys-lru", 1), Some("")),
            0,
            "it never gets full"
        );
        assert_eq!(count(info(1, "allkeys-lru", 1), Some("")), 1);
        assert_eq!(count(info(1, "volatile-ttl", 1), Some("")), 1);
        assert_eq!(count(info(1, "volatile-lru", 0), Some("")), 2);
        assert_eq!(count(info(0, "noeviction", 0), Some("3600 1")), 0);
        assert_eq!(
            count(info(0, "noeviction", 0), None),
            0,
            "unknown is not wrong"
        );
    }

    #[test]
    fn clocks_further_apart_than_the_grace_are_told() {
        let at = Timestamp::from_millis;
        assert_eq!(judge_clock(at(10_000), at(15_000)), None);
        assert!(judge_clock(at(10_000), at(15_001)).is_some());
        assert!(judge_clock(at(15_001), at(10_000)).is_some());
    }
}

//! The question that proves a subscription, and what must not change in its answers.

use cloakroom_core::StoreErrorKind;
use redis::Value;
use redis::aio::MultiplexedConnection;

use crate::dial::{greet, text};
use crate::fault::Fault;
use crate::sentinel;
use crate::url::Address;

/// What is asked on a connection of the feed.
#[derive(Clone)]
pub(super) enum Beat {
    /// A server's greeting: it names the role, so that a demoted master is noticed.
    Greeting,
    /// A node's view of the cluster.
    Cluster,
    /// A sentinel's word on who is the master.
    Master(String),
}

/// The part of an answer that must stay as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer(String);

impl Answer {
    /// A sentinel's answer that names this master.
    pub(super) fn of(master: &Address) -> Self {
        Self(master.to_string())
    }
}

impl Beat {
    pub(super) async fn ask(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Answer, Fault> {
        match self {
            Self::Greeting => {
                let greeting = greet(connection).await?;
                Ok(Answer(format!("{} {}", greeting.mode, greeting.role)))
            }
            Self::Cluster => {
                let value = connection
                    .send_packed_command(redis::cmd("CLUSTER").arg("INFO"))
                    .await
                    .and_then(Value::extract_error)
                    .map_err(Fault::of)?;
                view(text(&value).unwrap_or_default())
            }
            Self::Master(name) => {
                let address = sentinel::master(connection, name).await?;
                Ok(Answer::of(&address))
            }
        }
    }
}

/// Every change of a master raises the current epoch, and so does a node that gets its first slot.
/// A slot that moves between two masters does not matter: both are listened to.
const FIELDS: [&str; 4] = [
    "cluster_state",
    "cluster_slots_assigned",
    "cluster_size",
    "cluster_current_epoch",
];

fn view(info: &str) -> Result<Answer, Fault> {
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value.trim())
    };
    if field("cluster_state") != "ok" {
        let message = "a node says that the cluster is down";
        return Err(Fault::own(StoreErrorKind::Unavailable, message));
    }
    Ok(Answer(FIELDS.map(field).join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failover_shows_in_the_answer() {
        let info = |state: &str, epoch: u32| {
            view(&format!(
                "cluster_state:{state}\r\ncluster_slots_assigned:16384\r\ncluster_size:3\r\n\
                 cluster_current_epoch:{epoch}\r\ncluster_stats_messages_sent:{epoch}0\r\n"
            ))
        };
        assert_eq!(info("ok", 3).unwrap(), Answer("ok 16384 3 3".into()));
        assert_ne!(info("ok", 3).unwrap(), info("ok", 4).unwrap());
        assert!(info("fail", 3).is_err());
        assert!(view("").is_err());
    }
}

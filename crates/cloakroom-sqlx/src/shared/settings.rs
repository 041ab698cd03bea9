use std::time::Duration;

use cloakroom_core::StoreError;

use crate::shared::name;

/// What the stores on a database server have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) table: String,
    pub(crate) max_connections: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) idle_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: name::DEFAULT_TABLE.to_owned(),
            max_connections: 10,
            connect_timeout: Duration::from_secs(2),
            operation_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_mins(1),
        }
    }
}

impl Settings {
    pub(crate) fn checked(&self) -> Result<(), StoreError> {
        name::checked("table", &self.table)
    }
}

/// The setters for [`Settings`] in a field `settings`, the same words for every server.
macro_rules! setters {
    () => {
        /// The name of the table. Default: `cloakroom_sessions`.
        pub fn table(mut self, table: impl Into<String>) -> Self {
            self.settings.table = table.into();
            self
        }

        /// How many connections at most. Default: 10; at least 1.
        ///
        /// An operation holds one for its round trip only, so a few serve many requests.
        pub fn max_connections(mut self, connections: usize) -> Self {
            self.settings.max_connections = connections.max(1);
            self
        }

        /// How long the making of a connection may take. Default: 2 s.
        pub fn connect_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.connect_timeout = timeout.max(std::time::Duration::from_millis(1));
            self
        }

        /// How long an operation may take, the wait for a connection and its making included;
        /// then it is `Unavailable`. Default: 2 s.
        pub fn operation_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.operation_timeout = timeout.max(std::time::Duration::from_millis(1));
            self
        }

        /// How long a connection may lie idle before it is closed. Default: 60 s.
        ///
        /// Connections are not pinged before their use, so this must be shorter than what the
        /// server and the firewalls on the way allow.
        pub fn idle_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.idle_timeout = timeout.max(std::time::Duration::from_millis(10));
            self
        }
    };
}

pub(crate) use setters;

//! What differs between Redis, `PostgreSQL` and `MariaDB`.

use std::ffi::OsString;

/// How to run one server.
pub(crate) struct Plan {
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// Whether the process of this id answers, and not another server on the same port.
    pub(crate) is_ready: Box<dyn Fn(u32) -> bool + Send + Sync>,
    /// The signal that ends it in good order.
    pub(crate) stop: &'static str,
    /// The signal that ends it fast and still clears what the system would keep, such as shared memory.
    pub(crate) discard: &'static str,
    pub(crate) url: String,
}

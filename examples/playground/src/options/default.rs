//! The value of each option that nobody gives.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use cloakroom::{CommitAt, Eviction, OnShutdown, OnUnreadable, Schedule, Settings, Timeout};

use super::{Carrier, CookieAge, OnCreate, Options};

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            store: crate::store::DEFAULT.into(),
            table: None,
            schema: None,
            l2: None,
            transport: vec![Carrier::Cookie],
            name: None,
            secure: false,
            max_age: CookieAge::Session,
            idle: Timeout::After(Duration::from_mins(30)),
            absolute: Timeout::After(Duration::from_hours(12)),
            touch: None,
            retention: Duration::from_hours(1),
            max_tombstones: 100_000,
            cache_entries: 10_000,
            cache_idle: None,
            cache_ttl: None,
            evict: Eviction::Never,
            coherence: None,
            poll: Schedule::every(Duration::from_mins(1)),
            purge: Schedule::every(Duration::from_mins(1)),
            commit: CommitAt::ResponseHead,
            commit_on_5xx: false,
            save_on_create: false,
            eager: false,
            on_shutdown: OnShutdown::Flush,
            on_unreadable: OnUnreadable::Replace,
            stale_if_error: None,
            node: None,
            affinity: false,
            superseded: Duration::from_mins(1),
            max_bytes: 1 << 20,
            on_create: OnCreate::None,
            drain: Duration::from_secs(10),
            settings: Settings::default(),
            by_variable: Vec::new(),
        }
    }
}

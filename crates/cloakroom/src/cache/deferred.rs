use std::sync::Arc;

use tokio::sync::Notify;

use crate::record::Snapshot;
use crate::session::ChangeLog;

/// Changes of requests that have left, not yet stored: see [`CommitAt::LastExit`].
///
/// [`CommitAt::LastExit`]: crate::CommitAt::LastExit
#[derive(Debug)]
pub(crate) struct Deferred {
    pub(crate) log: ChangeLog,
    /// The login under which they were recorded.
    pub(crate) login_seq: u32,
    /// Told when the last request leaves.
    pub(super) exit: Arc<Notify>,
    /// What the requests of this node see meanwhile.
    pub(super) provisional: Arc<Snapshot>,
}

impl Deferred {
    pub(super) fn new(log: ChangeLog, on: &Arc<Snapshot>) -> Self {
        let login_seq = on.head.login_seq;
        let provisional = Arc::clone(on);
        let mut deferred = Self {
            log,
            login_seq,
            exit: Arc::default(),
            provisional,
        };
        deferred.show_on(on);
        deferred
    }

    /// Puts later changes on top.
    pub(super) fn append(&mut self, later: ChangeLog, on: &Arc<Snapshot>) {
        self.log.append(later);
        self.show_on(on);
    }

    /// The stored snapshot is another one. Provisional values are used, no closure is run: this
    /// happens under a lock.
    pub(super) fn show_on(&mut self, on: &Arc<Snapshot>) {
        let mut seen = Snapshot::clone(on);
        seen.body = self.log.overlay(&on.body);
        self.provisional = Arc::new(seen);
    }
}

//! What every handler can reach: the manager, the journal, and the open sockets.

use std::sync::Arc;

use cloakroom::SessionManager;
use tokio::sync::watch;

use crate::journal::Journal;
use crate::options::{Carrier, Options};

/// The state of the router. Clones are cheap.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) manager: SessionManager,
    pub(crate) journal: Arc<Journal>,
    pub(crate) sockets: Sockets,
    /// Whether a browser's forms can carry the token.
    pub(crate) cookies: bool,
    pub(crate) node: Option<Arc<str>>,
}

impl App {
    pub(crate) fn new(manager: SessionManager, journal: Arc<Journal>, options: &Options) -> Self {
        Self {
            manager,
            journal,
            sockets: Sockets::new(),
            cookies: options.transport.contains(&Carrier::Cookie),
            node: options.node.as_deref().map(Arc::from),
        }
    }
}

/// The open sockets, which outlive the connections that they came in by: a shutdown tells them to
/// close, and waits for them.
#[derive(Clone)]
pub(crate) struct Sockets {
    closing: Arc<watch::Sender<bool>>,
    open: Arc<watch::Sender<usize>>,
}

impl Sockets {
    fn new() -> Self {
        Self {
            closing: Arc::new(watch::Sender::new(false)),
            open: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Counts one socket for as long as the result lives.
    pub(crate) fn enter(&self) -> OpenSocket {
        self.open.send_modify(|open| *open += 1);
        OpenSocket {
            sockets: self.clone(),
        }
    }

    /// Tells all sockets to close and waits until they have.
    pub(crate) async fn close_all(&self) {
        self.closing.send_replace(true);
        // The sender lives in `self`, so that waiting cannot fail.
        drop(self.open.subscribe().wait_for(|open| *open == 0).await);
    }
}

/// One open socket.
pub(crate) struct OpenSocket {
    sockets: Sockets,
}

impl OpenSocket {
    /// Waits until the sockets shall close.
    pub(crate) async fn closing(&self) {
        drop(
            self.sockets
                .closing
                .subscribe()
                .wait_for(|closing| *closing)
                .await,
        );
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.sockets.open.send_modify(|open| *open -= 1);
    }
}

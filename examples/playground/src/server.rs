//! Connections: HTTP/1.1 and HTTP/2 with prior knowledge on one port, and the way to a stop.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::app::Sockets;
use crate::running::{self, Running};

/// A client that has connected says within this time what it wants.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) sockets: Sockets,
    pub(crate) drain: Duration,
}

impl Server {
    /// Serves until `stop`, then lets requests end for up to `drain`, or until it is told again; what
    /// runs longer is cut off.
    pub(crate) async fn run(self, mut stop: StopSignal) {
        let Self {
            listener,
            router,
            sockets,
            drain,
        } = self;
        let running = Running::default();
        let counted = from_fn_with_state(running.clone(), running::counted);
        let router = router.layer(counted);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.received() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => serve(stream, &router, &graceful, &mut connections),
                    Err(error) => rest(&error).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        // A client of HTTP/2 need not answer the farewell, and one of HTTP/1.1 may never end its head.
        let ended = async {
            tokio::select! {
                () = graceful.shutdown() => {}
                () = running.idle() => {}
            }
        };
        let drained = async {
            tokio::join!(ended, sockets.close_all());
        };
        let in_time = tokio::select! {
            drained = tokio::time::timeout(drain, drained) => drained.is_ok(),
            () = stop.received() => false,
        };
        if !in_time {
            tracing::warn!(?drain, "requests were still running and are cut off");
        }
        // A task that is aborted drops its request, whose changes then are rolled back.
        connections.shutdown().await;
    }
}

fn serve(
    stream: TcpStream,
    router: &Router,
    graceful: &GracefulShutdown,
    connections: &mut JoinSet<()>,
) {
    // Small answers shall not wait for the acknowledgement of earlier ones.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let service = TowerToHyperService::new(router.clone());
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .into_owned();
    let connection = graceful.watch(connection);
    connections.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection broke");
        }
    });
}

/// Out of file descriptors, for instance: others must first give some back.
async fn rest(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// SIGTERM or Ctrl-C.
pub(crate) struct StopSignal {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignal {
    /// From now on the signals are ours.
    #[cfg(unix)]
    pub(crate) fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn received(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

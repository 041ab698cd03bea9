//! Between a store and its server: counts round trips.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may do so, and this is its helper"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Forwards connections from a port of its own.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    asked: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                forward(client, server, &count);
            }
        });
        Self { port: own, asked }
    }

    /// How often a client has asked and then waited for an answer, in all.
    pub(crate) fn round_trips(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A round trip begins with what the client sends after the server had the word.
fn forward(client: TcpStream, server: TcpStream, asked: &Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (asked, clients_turn) = (Arc::clone(asked), Arc::new(AtomicBool::new(true)));
    let turn = Arc::clone(&clients_turn);
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            if turn.swap(false, Ordering::SeqCst) {
                asked.fetch_add(1, Ordering::SeqCst);
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    });
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            clients_turn.store(true, Ordering::SeqCst);
            if to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    });
}

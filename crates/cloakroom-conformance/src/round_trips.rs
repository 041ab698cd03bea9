use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A TCP proxy between a store and its server, which counts round trips (rule 7): how often a
/// connection had something to send after it had been answered. What is sent in one go counts once.
///
/// It goes with the runtime on which it was started. Not for connections by TLS, which checks the
/// server's name, nor for clusters, which tell their clients other addresses.
///
/// ```no_run
/// use cloakroom_conformance::{Backend, RoundTrips, run};
/// # use cloakroom_memory::MemoryStore as YourStore;
/// # async fn connect(port: u16) -> YourStore { YourStore::new() }
///
/// fn main() -> std::process::ExitCode {
///     run([Backend::counted("yours", || async {
///         let server = ([127, 0, 0, 1], 6379).into();
///         let trips = RoundTrips::to(server).await.map_err(|error| error.to_string())?;
///         let store = connect(trips.address().port()).await;
///         Ok((store, move || Some(trips.count())))
///     })])
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RoundTrips {
    address: SocketAddr,
    count: Arc<AtomicU64>,
}

impl RoundTrips {
    /// Starts one on a free port of the loopback address.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A server that is not there is a connection that ends at once.
                if let Ok(server) = TcpStream::connect(server).await {
                    // Without it small messages would wait for each other; at worst they do.
                    client.set_nodelay(true).ok();
                    server.set_nodelay(true).ok();
                    forward(client, server, &counted);
                }
            }
        });
        Ok(Self { address, count })
    }

    /// Where the store connects to instead.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many there were so far, over all connections.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

/// A round trip begins with what the client sends after the server had the word.
fn forward(client: TcpStream, server: TcpStream, count: &Arc<AtomicU64>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (count, clients_turn) = (Arc::clone(count), Arc::new(AtomicBool::new(true)));
    let turn = Arc::clone(&clients_turn);
    tokio::spawn(copy(from_client, to_server, move || {
        if turn.swap(false, Ordering::SeqCst) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }));
    tokio::spawn(copy(from_server, to_client, move || {
        clients_turn.store(true, Ordering::SeqCst);
    }));
}

/// Notes each piece before it is handed on.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, note: impl Fn() + Send) {
    let mut piece = Vec::with_capacity(65_536);
    while let Ok(1..) = from.read_buf(&mut piece).await {
        note();
        if to.write_all(&piece).await.is_err() {
            break;
        }
        piece.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every four bytes with one.
    async fn server() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while client.read_exact(&mut [0; 4]).await.is_ok() {
                        client.write_all(b"!").await.unwrap();
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_round_trip_is_asked_and_answered_however_much_is_sent() {
        let trips = RoundTrips::to(server().await).await.unwrap();
        assert_eq!(trips.count(), 0);
        for connection in 0..3 {
            let mut client = TcpStream::connect(trips.address()).await.unwrap();
            for asked in 1..=5 {
                client.write_all(b"askd").await.unwrap();
                client.read_exact(&mut [0; 1]).await.unwrap();
                assert_eq!(trips.count(), connection * 6 + asked);
            }
            // Two questions in one piece.
            client.write_all(b"askdaskd").await.unwrap();
            client.read_exact(&mut [0; 2]).await.unwrap();
            assert_eq!(trips.count(), connection * 6 + 6);
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_a_connection_that_ends() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let nobody = listener.local_addr().unwrap();
        drop(listener);
        let trips = RoundTrips::to(nobody).await.unwrap();
        let mut client = TcpStream::connect(trips.address()).await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}

//! Speaks to a port byte by byte: for what a well-behaved client cannot do.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection without a library around it.
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    /// Connects.
    ///
    /// # Panics
    ///
    /// If nobody listens.
    pub async fn open(address: &str) -> Self {
        Self(TcpStream::connect(address).await.expect("the node listens"))
    }

    /// Sends these bytes.
    ///
    /// # Panics
    ///
    /// If the connection is broken.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0
            .write_all(bytes.as_ref())
            .await
            .expect("the bytes are sent");
    }

    /// Reads until the text has come, and returns all that came.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub async fn until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        let reading = async {
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&seen).contains(text) {
                let n = self.0.read(&mut buffer).await.unwrap_or(0);
                assert!(
                    n > 0,
                    "{text:?} comes before the end of {:?}",
                    String::from_utf8_lossy(&seen)
                );
                seen.extend(buffer.iter().take(n));
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), reading)
            .await
            .is_ok();
        let seen = String::from_utf8_lossy(&seen).into_owned();
        assert!(in_time, "{text:?} comes after {seen:?}");
        seen
    }

    /// Reads to the end of the connection; a reset is an end, too.
    pub async fn rest(&mut self) -> String {
        let mut seen = Vec::new();
        // What came before a reset counts.
        self.0.read_to_end(&mut seen).await.ok();
        String::from_utf8_lossy(&seen).into_owned()
    }
}

//! The client's end of `/api/ws`.

use futures_util::{SinkExt, StreamExt};
use http::header::COOKIE;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::Node;

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens `/api/ws` with this session cookie.
    ///
    /// # Errors
    ///
    /// If the upgrade is refused.
    ///
    /// # Panics
    ///
    /// If the token is no header value.
    pub async fn open(node: &Node, token: Option<&str>) -> Result<Self, Box<Error>> {
        let url = format!("ws://{}/api/ws", node.address());
        let mut request = url.into_client_request()?;
        if let Some(token) = token {
            let cookie = format!("id={token}")
                .parse()
                .expect("a token is a header value");
            request.headers_mut().insert(COOKIE, cookie);
        }
        Ok(Self(tokio_tungstenite::connect_async(request).await?.0))
    }

    /// Sends a text and returns the echo; `None` if the socket was closed instead.
    pub async fn say(&mut self, text: &str) -> Option<String> {
        self.0.send(Message::text(text)).await.ok()?;
        self.hear().await
    }

    /// Sends a text and returns the code with which the server closes; `None` if it does not say.
    pub async fn closed_by(&mut self, text: &str) -> Option<u16> {
        self.0.send(Message::text(text)).await.ok()?;
        loop {
            if let Message::Close(frame) = self.0.next().await?.ok()? {
                return frame.map(|frame| frame.code.into());
            }
        }
    }

    /// The next text; `None` at the end.
    pub async fn hear(&mut self) -> Option<String> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

//! The WebSocket: each text message `key=value` sets an attribute and commits it.

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use cloakroom::Session;

use super::trial::set_late;
use crate::answer::ApiError;
use crate::app::{App, OpenSocket};
use crate::extract::{Current, Key};

/// The greatest message, in bytes.
const MESSAGE_LIMIT: usize = 2 << 20;

pub(super) async fn open(
    State(app): State<App>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    Current(session): Current,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::BAD_REQUEST)?;
    let open = app.sockets.enter();
    Ok(upgrade
        .max_message_size(MESSAGE_LIMIT)
        .on_upgrade(move |socket| converse(socket, session, open)))
}

async fn converse(mut socket: WebSocket, session: Session, open: OpenSocket) {
    loop {
        let message = tokio::select! {
            () = open.closing() => {
                // The client may have gone already.
                drop(socket.send(Message::Close(None)).await);
                break;
            }
            message = socket.recv() => match message {
                Some(Ok(message)) => message,
                Some(Err(_)) | None => break,
            },
        };
        let echo = match message {
            Message::Text(text) => match set(&session, &text).await {
                Ok(()) => "ok".to_owned(),
                Err(kind) => format!("error: {kind}"),
            },
            Message::Binary(_) => "error: bad_request".to_owned(),
            // What a close asks for is answered by the next `recv`, which then ends.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => continue,
        };
        if socket.send(Message::Text(echo.into())).await.is_err() {
            break;
        }
    }
}

/// The value is a string.
async fn set(session: &Session, text: &str) -> Result<(), &'static str> {
    let (key, value) = text.split_once('=').ok_or(ApiError::BAD_REQUEST.kind)?;
    let key = Key::new(key).map_err(|error| error.kind)?;
    set_late(session, &key, value).await
}

//! The WebSocket: each text message `key=value` sets an attribute and commits it.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use cloakroom::Session;

use super::trial::set_late;
use crate::answer::ApiError;
use crate::app::{App, OpenSocket};
use crate::extract::{Current, Key};

/// The greatest message, in bytes.
const MESSAGE_LIMIT: usize = 2 << 20;

/// What is read of a message, so that one over the limit is told so before the socket closes; beyond
/// this the connection is cut.
const READ_LIMIT: usize = 16 << 20;

/// How long a client that has said too much may take to close its end.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) async fn open(
    State(app): State<App>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    Current(session): Current,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::BAD_REQUEST)?;
    let open = app.sockets.enter();
    Ok(upgrade
        .max_message_size(READ_LIMIT)
        .max_frame_size(READ_LIMIT)
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
        if size(&message) > MESSAGE_LIMIT {
            refuse(socket).await;
            break;
        }
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

fn size(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => 0,
    }
}

/// Says that the message was too large. What the client has sent meanwhile is read, or its end would
/// be a reset that overtakes the reason.
async fn refuse(mut socket: WebSocket) {
    let reason = CloseFrame {
        code: close_code::SIZE,
        reason: ApiError::TOO_LARGE.kind.into(),
    };
    let farewell = async {
        if socket.send(Message::Close(Some(reason))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    drop(tokio::time::timeout(FAREWELL, farewell).await);
}

/// The value is a string.
async fn set(session: &Session, text: &str) -> Result<(), &'static str> {
    let (key, value) = text.split_once('=').ok_or(ApiError::BAD_REQUEST.kind)?;
    let key = Key::new(key).map_err(|error| error.kind)?;
    set_late(session, &key, value).await
}

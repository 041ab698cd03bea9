//! What holds over every store; each test program names one.

mod attributes;
mod connection;
mod contract;
mod figures;
mod letter;
mod lifetime;
mod overlap;
mod page;
mod shutdown;
mod transport;
mod websocket;

use cloakroom_tests::{Client, Node};

/// A node over the store of this program, empty and its own.
async fn start(arguments: &str) -> Node {
    Node::with(&format!("--store {}", crate::STORE))
        .args(arguments)
        .start()
        .await
}

/// A client with a stored session.
async fn stored(node: &Node) -> Client {
    let client = node.client();
    client
        .put("/api/data/colour", "\"red\"")
        .await
        .assert_status(204);
    client
}

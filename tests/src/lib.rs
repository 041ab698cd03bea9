//! The harness of the end-to-end tests: the playground as a process of its own, driven over real
//! connections.
//!
//! - [`Node`] is one running playground; several of them over one store make a cluster.
//! - [`Client`] is a browser without a screen: a cookie jar over HTTP/1.1 or HTTP/2.
//! - [`socket`] opens a WebSocket, [`raw`] speaks to a port byte by byte.
//!
//! The helpers panic with a sentence where a test could not go on.

mod binary;
mod client;
mod node;
mod places;
pub mod raw;
pub mod socket;
mod wait;

pub use crate::binary::playground;
pub use crate::client::{Answer, Client};
pub use crate::node::{Node, NodeBuilder, Refusal};
pub use crate::places::TempDir;
pub use crate::wait::eventually;

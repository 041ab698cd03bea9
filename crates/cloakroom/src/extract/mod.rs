//! How a handler, or any tower service, comes by its session.

#[cfg(feature = "axum")]
mod axum;
mod live;
mod load;
mod tagged;

pub use self::live::{LiveSession, NotLive};
pub use self::tagged::Tagged;

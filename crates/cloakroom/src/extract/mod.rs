//! How a handler, or any tower service, comes by its session.

#[cfg(feature = "axum")]
mod axum;
mod load;
mod tagged;

pub use self::tagged::Tagged;

//! From the tokens of a request to its session. Until a secret is verified nothing moves.

mod ending;
mod load;
mod refresh;
mod request;
mod token;

pub(crate) use self::ending::{expire_ids, expired};
pub(crate) use self::refresh::{current, reload};
pub(crate) use self::request::request;

//! From the tokens of a request to its session. Until a secret is verified nothing moves.

mod at_once;
mod ending;
mod load;
mod refresh;
mod request;
mod token;

pub(crate) use self::at_once::at_once;
pub(crate) use self::ending::{expire_ids, expired};
pub(crate) use self::refresh::{current, reload};
pub(crate) use self::request::request;

//! One server process: start, stop, kill, freeze, thaw, restart.

mod face;
mod life;
mod plan;

pub use face::Server;
pub(crate) use plan::Plan;

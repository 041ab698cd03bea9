//! Turns the cases into named tests: one for each case and backend.

mod backend;
mod missing;
mod one;
mod run;
mod trial;

pub use self::backend::Backend;
pub use self::missing::Missing;
pub use self::one::{CaseFailed, run_case, run_counted_case};
pub use self::run::run;

//! What the tests of all three databases share; each test file uses its part.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may do so, and these are the helpers of tests"
)]

pub(crate) mod contract;
pub(crate) mod record;

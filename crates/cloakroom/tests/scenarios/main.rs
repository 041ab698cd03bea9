//! The scenarios that one process can show: each test's name says what is shown, `docs/scenarios.md`
//! says which row of the list it answers.
//!
//! Here they run over the memory store. The program `stores` of the end-to-end tests runs the same
//! functions over the stores that have a driver, which this crate must not know.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a scenario is a function that a test calls"
)]

/// The scenarios of a file, each a test over the memory store.
///
/// What stands behind a name is for the other stores: where it is not run and why, or when it is.
macro_rules! scenarios {
    ($($name:ident $(: $terms:ident($given:literal))?),+ $(,)?) => {
        mod over_memory {
            $(
                #[tokio::test]
                async fn $name() {
                    Box::pin(super::$name(&crate::home::Home)).await;
                }
            )+
        }
    };
}

mod after_head;
mod attributes;
mod candidates;
mod commit;
mod cookies;
mod failure;
mod harness;
mod home;
mod late;
mod layers;
mod login;
mod logs;
mod owner;
mod page;
mod refused;
mod renew;
mod rollback;
mod seeds;
#[path = "../support/mod.rs"]
mod support;
mod time;
mod tokens;
mod transaction;
mod unreadable;

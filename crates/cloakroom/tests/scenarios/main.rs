//! The scenarios that one node with the memory store can show in-process: each test's name says
//! what is shown, `docs/scenarios.md` says which row of the list it answers.

mod after_head;
mod attributes;
mod candidates;
mod commit;
mod cookies;
mod failure;
mod harness;
mod late;
mod layers;
mod login;
mod logs;
mod owner;
mod page;
mod renew;
mod rollback;
mod tokens;
mod transaction;
mod unreadable;

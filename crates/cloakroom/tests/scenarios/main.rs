//! The scenarios that one node with the memory store can show in-process: each test's name says
//! what is shown, `docs/scenarios.md` says which row of the list it answers.

mod harness;

mod after_head;
mod cookies;
mod failure;
mod layers;
mod logs;
mod owner;
mod page;
mod tokens;
mod transaction;

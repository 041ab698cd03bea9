//! The scenarios over the memory store.

mod scenarios;

const STORE: &str = "memory:";

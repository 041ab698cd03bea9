//! Compiles the README's first app, so that it cannot go stale.

#[doc = include_str!("../../../README.md")]
struct Readme;

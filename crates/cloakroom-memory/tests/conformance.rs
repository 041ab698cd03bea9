//! The store contract, case by case.

use cloakroom_conformance::{Backend, run};
use cloakroom_memory::MemoryStore;

fn main() -> std::process::ExitCode {
    run([Backend::new("memory", || async { Ok(MemoryStore::new()) })])
}

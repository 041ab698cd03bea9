//! `cargo xtask bench compare`: cloakroom beside tower-sessions.
//!
//! The program is in `tests/compare`, a workspace of its own, so that what it compares with is not
//! among the dependencies of the product. This looks for the servers, builds it and runs it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode};

use cloakroom_services::{Postgres, Redis};

use crate::args::Part;
use crate::output::complain;

pub(crate) fn run(part: Option<Part>) -> ExitCode {
    let missing = missing(part);
    if !missing.is_empty() {
        let packages: Vec<&str> = missing.into_iter().collect();
        complain("what this needs is missing; as root:");
        complain(format_args!(
            "apt-get install -y --no-install-recommends {}",
            packages.join(" ")
        ));
        return ExitCode::FAILURE;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/compare/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .args(part.map(word))
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            complain(format_args!("cargo: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn word(part: Part) -> &'static str {
    match part {
        Part::Sql => "sql",
        Part::Http => "http",
    }
}

/// The Debian packages that this part needs and this machine does not have.
fn missing(part: Option<Part>) -> BTreeSet<&'static str> {
    let mut packages = BTreeSet::new();
    if part != Some(Part::Http)
        && let Err(missing) = Postgres::find()
    {
        packages.extend(missing.packages());
    }
    if part != Some(Part::Sql) {
        if let Err(missing) = Redis::find() {
            packages.extend(missing.packages());
        }
        // Asked for its version it tells it and fails, so being started is all that counts.
        if Command::new("wrk").arg("--version").output().is_err() {
            packages.insert("wrk");
        }
    }
    packages
}

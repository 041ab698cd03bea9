//! `cargo xtask bench instructions`: what a request costs on top of a no-op layer.
//!
//! Callgrind counts the instructions of one process. Two runs of different lengths cancel the start
//! of the process: their difference divided by the difference of the lengths is the cost of one
//! request, the same on a busy machine and on an idle one.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::output::{complain, say};

/// The two run lengths, in requests.
const SHORT: u64 = 1_000;
const LONG: u64 = 3_000;

/// What a request may cost over the no-op layer, in instructions.
struct Budget {
    request: &'static str,
    most: u64,
    stretch: u64,
    /// SHA-256 of the secret is counted in software here, and given apart.
    has_digest: bool,
}

const fn budget(request: &'static str, most: u64, stretch: u64) -> Budget {
    Budget {
        request,
        most,
        stretch,
        has_digest: false,
    }
}

const BUDGETS: [Budget; 5] = [
    budget("no-cookie", 1_400, 1_200),
    budget("unused", 1_400, 1_200),
    budget("read", 4_500, 4_000),
    budget("write", 7_800, 6_700),
    Budget {
        has_digest: true,
        ..budget("create", 12_000, 9_000)
    },
];

pub(crate) fn instructions() -> ExitCode {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => {}
        _ => {
            complain("valgrind is missing; as root:");
            complain("apt-get install -y --no-install-recommends valgrind");
            return ExitCode::FAILURE;
        }
    }
    match table() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

fn table() -> io::Result<()> {
    let bench = build()?;
    let digest = per_request(&bench, "digest", "none")?;
    say(format_args!(
        "{:<12}{:>8}{:>10}{:>10}",
        "request", "ours", "budget", "stretch"
    ));
    for budget in &BUDGETS {
        let ours = per_request(&bench, "cloakroom", budget.request)?;
        let over = ours.saturating_sub(per_request(&bench, "noop", budget.request)?);
        say(row(budget, over, digest));
    }
    say(format_args!(
        "{:<12}{digest:>8}  (not counted in `create`)",
        "digest"
    ));
    Ok(())
}

fn row(budget: &Budget, over: u64, digest: u64) -> String {
    let over = if budget.has_digest {
        over.saturating_sub(digest)
    } else {
        over
    };
    let verdict = if over <= budget.stretch {
        "within the stretch"
    } else if over <= budget.most {
        "within the budget"
    } else {
        "OVER THE BUDGET"
    };
    format!(
        "{:<12}{over:>8}{:>10}{:>10}  {verdict}",
        budget.request, budget.most, budget.stretch
    )
}

/// Builds the program as an application would ship it, and says where it is.
fn build() -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--profile", "shipped", "-p", "cloakroom-bench"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    match executable(&told) {
        Some(path) if output.status.success() => Ok(path.into()),
        _ => Err(io::Error::other("cloakroom-bench was not built")),
    }
}

/// The last program in what cargo tells in JSON.
fn executable(told: &str) -> Option<&str> {
    let (_, rest) = told.rsplit_once("\"executable\":\"")?;
    Some(rest.split_once('"')?.0)
}

fn per_request(bench: &Path, layer: &str, request: &str) -> io::Result<u64> {
    let short = count(bench, layer, request, SHORT)?;
    let long = count(bench, layer, request, LONG)?;
    Ok(long.saturating_sub(short) / (LONG - SHORT))
}

fn count(bench: &Path, layer: &str, request: &str, requests: u64) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(bench)
        .args([layer, request, &requests.to_string()])
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    match collected(&told) {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(io::Error::other(format!(
            "valgrind has not counted `{layer} {request}`:\n{told}"
        ))),
    }
}

/// The number in valgrind's closing line `==1== Collected : 123`.
fn collected(told: &str) -> Option<u64> {
    let (_, rest) = told.rsplit_once("Collected : ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_the_closing_line() {
        let told = "==7== Events    : Ir\n==7== Collected : 1234567\n==7== \n";
        assert_eq!(collected(told), Some(1_234_567));
        assert_eq!(collected("==7== Process terminating"), None);
    }

    #[test]
    fn the_program_is_the_last_that_cargo_tells_of() {
        let told =
            "{\"executable\":null}\n{\"executable\":\"/t/cloakroom-bench\",\"fresh\":true}\n";
        assert_eq!(executable(told), Some("/t/cloakroom-bench"));
        assert_eq!(executable("{\"executable\":null}"), None);
    }

    #[test]
    fn the_digest_is_given_apart() {
        let [.., read, _, create] = &BUDGETS;
        let within = "within the budget";
        assert!(row(create, 12_000 + 3_460, 3_460).ends_with(within));
        assert!(row(read, 4_500, 3_460).ends_with(within));
        assert!(row(read, 4_501, 3_460).ends_with("OVER THE BUDGET"));
    }
}

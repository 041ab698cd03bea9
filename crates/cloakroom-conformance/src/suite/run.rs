use std::io::Write;
use std::process::ExitCode;
use std::sync::PoisonError;

use libtest_mimic::{Arguments, Conclusion};

use super::backend::Backend;
use super::trial::Report;
use crate::seed::{VARIABLE, seed};

/// Runs every case against every backend: the `main` of a test target with `harness = false`.
///
/// Takes the arguments of any Rust test binary (filters, `--list`, `--test-threads`, ...). A case
/// is named `backend::group::case`. Cases that a backend truly cannot run, because its capabilities
/// say so, are ignored with the reason, and listed at the end.
///
/// ```no_run
/// use cloakroom_conformance::{Backend, run};
/// use cloakroom_memory::MemoryStore;
///
/// fn main() -> std::process::ExitCode {
///     run([Backend::new("memory", || async { Ok(MemoryStore::new()) })])
/// }
/// ```
#[must_use = "the exit code says whether a case failed"]
pub fn run(backends: impl IntoIterator<Item = Backend>) -> ExitCode {
    let required = std::env::var("CLOAKROOM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    let (args, report) = (Arguments::from_args(), Report::new(required));
    let conclusion = conclude(&args, &report, backends);
    if !args.list {
        // There is nothing to be done about a closed terminal.
        std::io::stdout()
            .write_all(closing_lines(&report).as_bytes())
            .ok();
    }
    conclusion.exit_code()
}

fn conclude(
    args: &Arguments,
    report: &Report,
    backends: impl IntoIterator<Item = Backend>,
) -> Conclusion {
    let trials = backends
        .into_iter()
        .flat_map(|backend| backend.into_trials(report))
        .collect();
    libtest_mimic::run(args, trials)
}

fn closing_lines(report: &Report) -> String {
    let mut text = format!("{VARIABLE}={} repeats the choices of this run\n", seed());
    let mut gated = report
        .gated
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    gated.sort();
    for line in gated {
        text = format!("{text}not for this backend: {line}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom_memory::MemoryStore;

    use super::*;
    use crate::{FaultyStore, Missing, Op};

    fn conclusion(filter: &str, require: bool, backend: Backend) -> Conclusion {
        concluded(filter, &Report::new(require), backend)
    }

    fn concluded(filter: &str, report: &Report, backend: Backend) -> Conclusion {
        let mut args = Arguments::from_iter(["conformance", filter]);
        // Whoever adds up the results of all tests must not count the ones that fail here.
        let name = format!("cloakroom-suite-{}-{filter}", std::process::id());
        let path = std::env::temp_dir().join(name);
        args.logfile = Some(path.to_str().unwrap().to_owned());
        let conclusion = conclude(&args, report, [backend]);
        std::fs::remove_file(path).unwrap();
        conclusion
    }

    fn without_service() -> Backend {
        Backend::new("absent", || async {
            Err::<MemoryStore, _>(Missing::new("no server", "apt-get install server"))
        })
    }

    #[test]
    fn a_missing_service_is_ignored_unless_it_is_required() {
        let conclusion_of = |require| conclusion("rule_06", require, without_service());
        let lenient = conclusion_of(false);
        assert_eq!((lenient.num_failed, lenient.num_passed), (0, 0));
        assert!(lenient.num_ignored > 0);
        let strict = conclusion_of(true);
        assert_eq!(strict.num_failed, lenient.num_ignored);
        assert!(strict.has_failed());
    }

    #[test]
    fn what_a_backend_cannot_do_is_ignored_even_where_services_are_required() {
        let backend = Backend::new("memory", || async { Ok(MemoryStore::new()) });
        let report = Report::new(true);
        let gated = concluded("clock_is_ahead", &report, backend);
        assert!(gated.num_ignored > 0);
        assert_eq!(gated.num_passed + gated.num_failed, 0);
        let lines = closing_lines(&report);
        assert!(lines.contains("ends_nobody: the store has no clock of its own"));
    }

    #[test]
    fn round_trips_are_judged_only_where_they_are_counted() {
        let uncounted = Backend::new("memory", || async { Ok(MemoryStore::new()) });
        let report = Report::new(true);
        let gated = concluded("rule_07", &report, uncounted);
        assert_eq!(gated.num_passed + gated.num_failed, 0);
        let lines = closing_lines(&report);
        assert!(lines.contains("round_trip: nobody counts the round trips of the store"));
        let counted = Backend::counted("counted", || async {
            let (store, faults) = FaultyStore::new(MemoryStore::new());
            Ok((store, move || Some(faults.counts().total() as u64)))
        });
        let run = conclusion("rule_07", true, counted);
        assert_eq!((run.num_failed, run.num_ignored), (0, 0));
        assert_eq!(run.num_passed, gated.num_ignored);
    }

    #[test]
    fn a_store_that_never_answers_fails_within_the_patience() {
        let backend = Backend::new("stuck", || async {
            let (store, faults) = FaultyStore::new(MemoryStore::new());
            faults.delay(Op::Create, Duration::from_hours(1), 1);
            Ok(store)
        });
        let backend = backend.patience(Duration::from_millis(50)).one_at_a_time();
        let stuck = conclusion("create_stores_the_row", false, backend);
        assert_eq!((stuck.num_failed, stuck.num_passed), (1, 0));
    }
}

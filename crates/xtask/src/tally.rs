//! Sums what test programs say of themselves into one line.

use std::fmt;

/// What all test programs of a run have said so far, line by line.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Announcements of the current program that no summary has answered yet. More than one where a test itself runs tests,
    /// as the tests of a test-suite do: theirs are not ours to count.
    open: u64,
}

/// What the whole run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Total {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// What the lines themselves do not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    /// Cargo itself reported success.
    pub(crate) cargo_succeeded: bool,
    /// Services that are not installed. Their tests fail one by one; a service that no test asked for counts once.
    pub(crate) missing_services: u64,
    /// Services that are installed and did not start.
    pub(crate) broken_services: u64,
}

impl Tally {
    /// Takes one line of output, with or without colours.
    pub(crate) fn line(&mut self, line: &str) {
        let line = without_escapes(line);
        let line = line.trim_end();
        if is_start(line) {
            self.close();
        } else if is_announcement(line) {
            self.open += 1;
        } else if let Some(program) = summary(line) {
            self.open = self.open.saturating_sub(1);
            if self.open == 0 {
                self.passed += program.passed;
                self.failed += program.failed;
                self.skipped += program.skipped;
            }
        }
    }

    /// The sum, in which nothing passes in silence: a program that ended without a summary, a failure of cargo that no test
    /// explains, a missing service that no test noticed, and a run without a single test passed count as failed.
    pub(crate) fn total(mut self, circumstances: Circumstances) -> Total {
        self.close();
        self.failed += circumstances.broken_services;
        if self.failed == 0 {
            self.failed = circumstances.missing_services;
        }
        if self.failed == 0 && (!circumstances.cargo_succeeded || self.passed == 0) {
            self.failed = 1;
        }
        Total {
            passed: self.passed,
            failed: self.failed,
            skipped: self.skipped,
        }
    }

    /// A program that announced tests and never summed them up has crashed.
    fn close(&mut self) {
        self.failed += u64::from(self.open > 0);
        self.open = 0;
    }
}

impl Total {
    pub(crate) fn is_success(self) -> bool {
        self.failed == 0
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// What cargo prints before it starts a program, or the examples of a crate's documentation.
fn is_start(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("Running unittests ")
        || line.starts_with("Running tests/")
        || line.starts_with("Running benches/")
        || line.starts_with("Running `")
        || line.starts_with("Doc-tests ")
}

/// `running 3 tests`, which every program prints first.
fn is_announcement(line: &str) -> bool {
    line.strip_prefix("running ")
        .and_then(|rest| rest.trim_end_matches('s').strip_suffix(" test"))
        .is_some_and(|count| count.parse::<u64>().is_ok())
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s`.
fn summary(line: &str) -> Option<Total> {
    let rest = line.strip_prefix("test result: ")?;
    let counts = rest
        .strip_prefix("ok. ")
        .or_else(|| rest.strip_prefix("FAILED. "))?;
    let count = |word: &str| {
        counts.split("; ").find_map(|part| {
            let number = part.strip_suffix(word)?.trim_end();
            number.parse::<u64>().ok()
        })
    };
    Some(Total {
        passed: count("passed")?,
        failed: count("failed")?,
        skipped: count("ignored")?,
    })
}

/// Without the sequences `ESC [ ... letter` that colour a terminal.
fn without_escapes(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        plain.push_str(end.and_then(|end| part.get(end + 1..)).unwrap_or_default());
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Circumstances = Circumstances {
        cargo_succeeded: true,
        missing_services: 0,
        broken_services: 0,
    };
    const PASSED: &str = "     Running unittests src/lib.rs (target/debug/deps/a-0)\n\
        running 3 tests\n\
        test a ... ok\n\
        test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.00s";

    fn total(lines: &str, circumstances: Circumstances) -> String {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.line(line));
        tally.total(circumstances).to_string()
    }

    #[test]
    fn programs_are_summed_and_only_ignored_tests_are_skipped() {
        let failed = "   Doc-tests a\nrunning 1 test\ntest result: FAILED. 0 passed; 7 failed; 0 ignored; \
            0 measured; 0 filtered out; finished in 1.50s\n";
        assert_eq!(total(PASSED, GOOD), "2 passed, 0 failed, 1 skipped");
        assert_eq!(
            total(&format!("{PASSED}\n{failed}{PASSED}"), GOOD),
            "4 passed, 7 failed, 2 skipped"
        );
    }

    #[test]
    fn colours_do_not_hide_a_line() {
        let line = "test result: \u{1b}[31mFAILED\u{1b}[0m. 1 passed; 2 failed; 3 ignored; \
            0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(total(line, GOOD), "1 passed, 2 failed, 3 skipped");
        let line =
            "test result: \u{1b}[32;1mok\u{1b}[0m. 1 passed; 0 failed; 0 ignored; 0 measured";
        assert_eq!(total(line, GOOD), "1 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn what_only_looks_like_a_summary_is_not_one() {
        for line in [
            "  test result: ok. 1 passed; 0 failed; 0 ignored",
            "test result: fine. 1 passed; 0 failed; 0 ignored",
            "test result: ok. many passed; 0 failed; 0 ignored",
            "test result: ok. 1 passed",
            "running away tests",
        ] {
            let lines = format!("{PASSED}\n{line}");
            assert_eq!(total(&lines, GOOD), "2 passed, 0 failed, 1 skipped");
        }
    }

    #[test]
    fn a_program_that_ends_without_a_summary_has_failed() {
        let crashed = "     Running tests/a.rs (target/debug/deps/a-1)\n\
            running 5 tests\ntest a ... ok";
        assert_eq!(
            total(&format!("{crashed}\n{PASSED}"), GOOD),
            "2 passed, 1 failed, 1 skipped"
        );
        assert_eq!(
            total(&format!("{PASSED}\n{crashed}"), GOOD),
            "2 passed, 1 failed, 1 skipped"
        );
    }

    #[test]
    fn the_examples_of_a_crate_come_in_several_programs() {
        let merged = "   Doc-tests a\nrunning 1 test\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n";
        let alone = merged.replace("   Doc-tests a\n", "");
        assert_eq!(
            total(&format!("{merged}{alone}{alone}"), GOOD),
            "3 passed, 0 failed, 0 skipped"
        );
    }

    #[test]
    fn tests_that_a_test_runs_are_not_counted() {
        let inner = "running 5 tests\nrunning 1 test\n\
            test result: FAILED. 0 passed; 5 failed; 0 ignored; 0 measured\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n";
        let outer = PASSED.replace("test a ... ok\n", inner);
        assert_eq!(total(&outer, GOOD), "2 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn nothing_passes_in_silence() {
        assert_eq!(total("", GOOD), "0 passed, 1 failed, 0 skipped");
        let cargo_failed = Circumstances {
            cargo_succeeded: false,
            ..GOOD
        };
        assert_eq!(total(PASSED, cargo_failed), "2 passed, 1 failed, 1 skipped");
        let missing = Circumstances {
            missing_services: 2,
            ..cargo_failed
        };
        assert_eq!(total(PASSED, missing), "2 passed, 2 failed, 1 skipped");
        let broken = Circumstances {
            broken_services: 3,
            ..GOOD
        };
        assert_eq!(total(PASSED, broken), "2 passed, 3 failed, 1 skipped");
    }

    #[test]
    fn only_a_run_without_failures_is_a_success() {
        let success = |circumstances| {
            let mut tally = Tally::default();
            PASSED.lines().for_each(|line| tally.line(line));
            tally.total(circumstances).is_success()
        };
        assert!(success(GOOD));
        assert!(!success(Circumstances::default()));
    }
}

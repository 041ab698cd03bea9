//! The command line.

/// Printed by `cargo xtask help`.
pub(crate) const HELP: &str = "\
cargo xtask test [--no-install] [-- FILTER...]
    Installs the servers that are missing (as root on Debian; otherwise, or with --no-install, says how),
    starts private ones, runs every test of the workspace, and ends with the line
    N passed, N failed, N skipped. What follows -- goes to each test program.
    A variable that is set (REDIS_URL, PG_URL...) is used in place of a private server.

cargo xtask services [--no-install]
    Starts the same servers, prints their variables, and waits for Enter or Ctrl-C.

cargo xtask bench instructions
    Counts the instructions of a request of each kind under valgrind, over those of a no-op layer.

cargo xtask bench compare [sql|http]
    Runs cloakroom beside tower-sessions, in turns: each operation over SQLite and PostgreSQL, and axum over
    HTTP with the sessions in Redis. Three minutes on a machine with nothing else to do.

cargo xtask help";

const TASKS: &str = "there are: test, services, bench, help";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Test(TestOptions),
    Services {
        /// Whether missing servers may be installed.
        install: bool,
    },
    Bench(Bench),
}

/// What is measured.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bench {
    Instructions,
    /// Beside tower-sessions: this part, or all of it.
    Compare(Option<Part>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Sql,
    Http,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Whether missing servers may be installed.
    pub(crate) install: bool,
    /// Arguments for the test programs.
    pub(crate) filter: Vec<String>,
}

/// Reads the words after `cargo xtask`; a mistake is one line that says what is allowed.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Task, String> {
    let mut words = words.into_iter();
    let task = words.next().unwrap_or_default();
    match task.as_str() {
        "help" | "--help" | "-h" => Ok(Task::Help),
        "test" => {
            let (install, filter) = options(words, true)?;
            Ok(Task::Test(TestOptions { install, filter }))
        }
        "services" => {
            let (install, _) = options(words, false)?;
            Ok(Task::Services { install })
        }
        "bench" => {
            let words: Vec<String> = words.collect();
            match words.join(" ").as_str() {
                "instructions" => Ok(Task::Bench(Bench::Instructions)),
                "compare" => Ok(Task::Bench(Bench::Compare(None))),
                "compare sql" => Ok(Task::Bench(Bench::Compare(Some(Part::Sql)))),
                "compare http" => Ok(Task::Bench(Bench::Compare(Some(Part::Http)))),
                other => Err(format!(
                    "unknown bench `{other}`; allowed: instructions, compare, compare sql, compare http"
                )),
            }
        }
        "" => Err(format!("no task given; {TASKS}")),
        other => Err(format!("unknown task `{other}`; {TASKS}")),
    }
}

/// Whether to install, and what follows `--`.
fn options(
    mut words: impl Iterator<Item = String>,
    takes_filter: bool,
) -> Result<(bool, Vec<String>), String> {
    let mut install = true;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--no-install" => install = false,
            "--" if takes_filter => return Ok((install, words.collect())),
            other => {
                let allowed = if takes_filter {
                    "--no-install and, after --, a filter"
                } else {
                    "--no-install"
                };
                return Err(format!("unknown argument `{other}`; allowed: {allowed}"));
            }
        }
    }
    Ok((install, Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task, String> {
        super::parse(line.split_whitespace().map(str::to_owned))
    }

    fn test(install: bool, filter: &[&str]) -> Task {
        let filter = filter.iter().copied().map(str::to_owned).collect();
        Task::Test(TestOptions { install, filter })
    }

    #[test]
    fn the_test_task_takes_its_option_and_hands_on_the_rest() {
        assert_eq!(parse("test"), Ok(test(true, &[])));
        assert_eq!(parse("test --no-install"), Ok(test(false, &[])));
        assert_eq!(parse("test -- cookie"), Ok(test(true, &["cookie"])));
        assert_eq!(
            parse("test --no-install -- a --no-install --"),
            Ok(test(false, &["a", "--no-install", "--"]))
        );
    }

    #[test]
    fn services_bench_and_help() {
        let bench = |bench| Ok(Task::Bench(bench));
        assert_eq!(parse("bench instructions"), bench(Bench::Instructions));
        assert_eq!(parse("bench compare"), bench(Bench::Compare(None)));
        assert_eq!(
            parse("bench compare http"),
            bench(Bench::Compare(Some(Part::Http)))
        );
        assert_eq!(parse("services"), Ok(Task::Services { install: true }));
        assert_eq!(
            parse("services --no-install"),
            Ok(Task::Services { install: false })
        );
        assert_eq!(parse("--help"), Ok(Task::Help));
    }

    #[test]
    fn a_mistake_is_one_line_that_names_it_and_what_is_allowed() {
        for (line, named) in [
            ("", "no task"),
            ("tset", "`tset`"),
            ("test cookie", "`cookie`"),
            ("test --release", "`--release`"),
            ("services -- x", "`--`"),
            ("bench", "``"),
            ("bench time", "`time`"),
            ("bench compare redis", "`compare redis`"),
        ] {
            let mistake = parse(line).unwrap_err();
            assert!(mistake.contains(named), "{mistake}");
            assert!(mistake.contains("there are") || mistake.contains("allowed"));
            assert!(!mistake.contains('\n'));
        }
    }
}

//! From the command line and the environment to the options.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use super::Options;
use super::table::{Spec, TABLE};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Invocation {
    Help,
    Serve(Box<Options>),
}

/// What was wrong, and what is allowed; one line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OptionError(String);

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OptionError {}

/// Reads the arguments and the environment of this process.
pub(crate) fn from_process() -> Result<Invocation, OptionError> {
    read(std::env::args_os().skip(1), std::env::vars_os())
}

fn read(
    arguments: impl Iterator<Item = OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Invocation, OptionError> {
    let Some(given) = read_arguments(arguments)? else {
        return Ok(Invocation::Help);
    };
    let variables = read_environment(environment);
    let mut options = Options::default();
    for spec in TABLE {
        // A value on the command line hides the variable's altogether, even a bad one.
        let (name, value) = match (given.get(spec.name), variables.get(&spec.variable())) {
            (Some(value), _) => (format!("--{}", spec.name), value),
            (None, Some(value)) => {
                options.by_variable.push(spec.name);
                (spec.variable(), value)
            }
            (None, None) => continue,
        };
        let text = value
            .to_str()
            .ok_or_else(|| refuse(spec, &name, value, "it is not UTF-8"))?;
        (spec.set)(&mut options, text).map_err(|reason| refuse(spec, &name, value, &reason))?;
    }
    Ok(Invocation::Serve(Box::new(options)))
}

fn refuse(spec: &Spec, name: &str, value: &OsString, reason: &str) -> OptionError {
    let shown = crate::store::without_password(&value.to_string_lossy());
    let colon = if reason.is_empty() { "" } else { ": " };
    OptionError(format!(
        "{name} {shown:?} is not allowed{colon}{reason}; allowed: {}",
        spec.allowed
    ))
}

type Given = BTreeMap<&'static str, OsString>;

/// The arguments by option, the last one winning; `None` asks for help.
fn read_arguments(
    mut arguments: impl Iterator<Item = OsString>,
) -> Result<Option<Given>, OptionError> {
    let mut given = Given::new();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--help" || text == "-h" {
            return Ok(None);
        }
        let Some(option) = text.strip_prefix("--").filter(|option| !option.is_empty()) else {
            return Err(OptionError(format!(
                "unexpected argument {text:?}; allowed: --option value, --option=value, --help"
            )));
        };
        let (name, joined) = match option.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (option, None),
        };
        let spec = TABLE
            .iter()
            .find(|spec| spec.name == name)
            .ok_or_else(|| unknown(name))?;
        let value = match joined {
            Some(value) => value,
            None if spec.flag => OsString::from("true"),
            None => arguments
                .next()
                .filter(|value| !value.to_string_lossy().starts_with("--"))
                .ok_or_else(|| {
                    let allowed = spec.allowed;
                    OptionError(format!("--{name} needs a value; allowed: {allowed}"))
                })?,
        };
        given.insert(spec.name, value);
    }
    Ok(Some(given))
}

fn unknown(name: &str) -> OptionError {
    let allowed: Vec<String> = TABLE
        .iter()
        .map(|spec| format!("--{}", spec.name))
        .collect();
    let shown = format!("--{name}");
    OptionError(format!(
        "unknown option {shown:?}; allowed: {}",
        allowed.join(", ")
    ))
}

/// The variables of our options. Other variables may begin with `CLOAKROOM_`, too, such as those of
/// a test run: they are mentioned, since one may be a slip of the pen, and otherwise left alone.
fn read_environment(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> BTreeMap<String, OsString> {
    let mut variables = BTreeMap::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with("CLOAKROOM_")) else {
            continue;
        };
        if TABLE.iter().any(|spec| spec.variable() == name) {
            variables.insert(name.to_owned(), value);
        } else {
            tracing::warn!(name, "a variable that is none of the playground's options");
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom::{Coherence, Timeout};

    use super::*;
    use crate::options::Carrier;

    fn parse(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Options, String> {
        let arguments = arguments.iter().map(OsString::from);
        let environment = environment
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        match read(arguments, environment) {
            Ok(Invocation::Serve(options)) => Ok(*options),
            Ok(Invocation::Help) => panic!("no help was asked for"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn both_spellings_of_an_option_mean_the_same() {
        for arguments in [&["--idle", "250ms"][..], &["--idle=250ms"]] {
            let options = parse(arguments, &[]).unwrap();
            assert_eq!(options.idle, Timeout::After(Duration::from_millis(250)));
        }
        let options = parse(&["--coherence=bounded=5s"], &[]).unwrap();
        assert_eq!(
            options.coherence,
            Some(Coherence::Bounded(Duration::from_secs(5)))
        );
    }

    #[test]
    fn the_command_line_hides_the_environment_even_a_bad_one() {
        let environment = [("CLOAKROOM_IDLE", "never"), ("CLOAKROOM_SECURE", "true")];
        assert_eq!(parse(&[], &environment).unwrap().idle, Timeout::Never);
        assert!(parse(&[], &environment).unwrap().secure);
        let options = parse(&["--idle=1h", "--secure=false"], &environment).unwrap();
        assert_eq!(options.idle, Timeout::After(Duration::from_hours(1)));
        assert!(!options.secure);
        assert!(parse(&["--idle=1h"], &[("CLOAKROOM_IDLE", "rubbish")]).is_ok());
    }

    #[test]
    fn an_error_is_one_line_that_names_the_culprit_and_what_is_allowed() {
        let table: &[(&[&str], &[&str])] = &[
            (&["--idel", "5m"], &["--idel", "--idle"]),
            (&["--idle", "soon"], &["--idle", "soon", "disabled"]),
            (&["--idle", "0s"], &["--idle", "0s", "longer than zero"]),
            (&["--idle"], &["--idle", "needs a value"]),
            (&["--idle", "--eager"], &["--idle", "needs a value"]),
            (
                &["--absolute", "disabled"],
                &["--absolute", "disabled", "never"],
            ),
            (&["--transport", "cookie,cookie"], &["--transport", "twice"]),
            (&["--transport", ""], &["--transport", "cookie,header"]),
            (
                &["--coherence", "bounded"],
                &["--coherence", "bounded=DURATION"],
            ),
            (&["--secure=yes"], &["--secure", "yes", "true, false"]),
            (&["--cache-entries", "-1"], &["--cache-entries", "-1"]),
            (&["--listen", "here"], &["--listen", "here"]),
            (&["--idle", "a\nb"], &["--idle", "a\\nb"]),
            (&["stray"], &["stray", "--option"]),
        ];
        for (arguments, needles) in table {
            let error = parse(arguments, &[]).unwrap_err();
            assert!(!error.contains('\n'), "{error}");
            for needle in *needles {
                assert!(error.contains(needle), "{error} lacks {needle}");
            }
        }
        let error = parse(&[], &[("CLOAKROOM_CACHE_ENTRIES", "many")]).unwrap_err();
        assert!(
            error.contains("CLOAKROOM_CACHE_ENTRIES") && error.contains("many"),
            "{error}"
        );
    }

    #[test]
    fn the_order_of_the_transports_is_kept() {
        let options = parse(&["--transport", "header,cookie"], &[]).unwrap();
        assert_eq!(options.transport, [Carrier::Header, Carrier::Cookie]);
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        assert!(parse(&[], &[("CLOAKROOM_REQUIRE_SERVICES", "1"), ("IDLE", "x")]).is_ok());
    }

    #[test]
    fn a_password_is_not_repeated_in_an_error() {
        let error = parse(&["--listen", "redis://u:hush@h"], &[]).unwrap_err();
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn help_lists_every_option_with_its_variable() {
        let help = crate::options::help();
        for spec in TABLE {
            assert!(help.contains(&format!("--{}", spec.name)));
            assert!(help.contains(&spec.variable()));
        }
    }
}

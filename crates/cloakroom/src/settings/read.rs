//! How the text of a value is read, apart from what it is for.

use std::fmt::Display;
use std::time::Duration;

use http::StatusCode;

use crate::Timeout;
use crate::text::{format_duration, parse_duration, parse_size};

/// What is wrong with a value, if more can be said than what is allowed.
#[derive(Debug, Default)]
pub(super) struct Wrong(pub(super) String);

impl<E: Display> From<E> for Wrong {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

pub(super) type Read<T> = Result<T, Wrong>;

pub(super) fn duration(text: &str) -> Read<Duration> {
    Ok(parse_duration(text)?)
}

pub(super) fn duration_above_zero(text: &str) -> Read<Duration> {
    above_zero(duration(text)?)
}

fn above_zero(given: Duration) -> Read<Duration> {
    if given.is_zero() {
        return Err(Wrong::default());
    }
    Ok(given)
}

/// `never`, `disabled`, a duration, or Jarvis' number of minutes.
pub(super) fn timeout(text: &str) -> Read<Timeout> {
    match text {
        "never" => Ok(Timeout::Never),
        "disabled" => Ok(Timeout::Disabled),
        // A float reads "nan" and "inf" too; they are refused as numbers are.
        _ if text.parse::<f64>().is_ok() => minutes_timeout(text),
        _ => Ok(Timeout::After(duration_above_zero(text)?)),
    }
}

/// As [`timeout`], where "no sessions at all" makes no sense.
pub(super) fn timeout_not_disabled(text: &str) -> Read<Timeout> {
    match timeout(text)? {
        Timeout::Disabled => Err(Wrong("idle_timeout disables sessions".to_owned())),
        other => Ok(other),
    }
}

/// Jarvis' `SessionTimeout`.
pub(super) fn minutes_timeout(text: &str) -> Read<Timeout> {
    Ok(Timeout::from_minutes(number(text)?)?)
}

/// Jarvis' other times: minutes, fractions allowed, 0 or more.
pub(super) fn minutes(text: &str) -> Read<Duration> {
    match number(text)? {
        0.0 => Ok(Duration::ZERO),
        minutes => match Timeout::from_minutes(minutes)? {
            Timeout::After(after) => Ok(after),
            Timeout::Never | Timeout::Disabled => Err(Wrong::default()),
        },
    }
}

pub(super) fn minutes_above_zero(text: &str) -> Read<Duration> {
    above_zero(minutes(text)?)
}

fn number(text: &str) -> Read<f64> {
    text.parse::<f64>().map_err(|_| Wrong::default())
}

/// Jetty's `maxInactiveInterval`: 0 and less never end.
pub(super) fn seconds_timeout(text: &str) -> Read<Timeout> {
    let seconds: i64 = text.parse()?;
    Ok(match u64::try_from(seconds) {
        Ok(seconds) if seconds > 0 => Timeout::After(Duration::from_secs(seconds)),
        _ => Timeout::Never,
    })
}

/// Whole seconds, 0 or more.
pub(super) fn seconds(text: &str) -> Read<Duration> {
    // By way of i64, so that no more is taken than Jetty could hold.
    let seconds: i64 = text.parse()?;
    Ok(Duration::from_secs(u64::try_from(seconds)?))
}

/// Jetty's numbers in which -1 is a case of its own.
pub(super) fn seconds_or_minus_one(text: &str) -> Read<Option<Duration>> {
    if text == "-1" {
        return Ok(None);
    }
    seconds(text).map(Some)
}

pub(super) fn boolean(text: &str) -> Read<bool> {
    choice(text, &[("true", true), ("false", false)])
}

/// One of these words, in any case of the letters: Jetty writes `LAX`, everybody else `Lax`.
pub(super) fn choice<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Read<T> {
    words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, meaning)| *meaning)
        .ok_or_else(Wrong::default)
}

pub(super) fn size(text: &str) -> Read<u64> {
    Ok(parse_size(text)?)
}

pub(super) fn whole(text: &str) -> Read<u64> {
    Ok(text.parse()?)
}

/// A status that says that something went wrong.
pub(super) fn error_status(text: &str) -> Read<StatusCode> {
    let status: u16 = text.parse()?;
    match StatusCode::from_u16(status) {
        Ok(code) if (400..600).contains(&status) => Ok(code),
        _ => Err(Wrong::default()),
    }
}

pub(super) fn write_timeout(timeout: Timeout) -> String {
    match timeout {
        Timeout::Never => "never".to_owned(),
        Timeout::Disabled => "disabled".to_owned(),
        Timeout::After(after) => format_duration(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_timeout_is_a_word_a_duration_or_jarvis_minutes() {
        let table = [
            ("never", Timeout::Never),
            ("disabled", Timeout::Disabled),
            ("30m", Timeout::After(30 * MINUTE)),
            ("30", Timeout::After(30 * MINUTE)),
            ("0.5", Timeout::After(MINUTE / 2)),
            ("0.001", Timeout::After(Duration::from_millis(60))),
            ("0", Timeout::Disabled),
            ("-0.0", Timeout::Disabled),
            ("-1", Timeout::Never),
            ("-1.0", Timeout::Never),
        ];
        for (text, expected) in table {
            assert_eq!(timeout(text).unwrap(), expected, "{text}");
        }
        for text in [
            "", " ", "-2", "-0.5", "NaN", "nan", "inf", "-inf", "1e300", "0.000001", "0s", "-1m",
            "Never?", "thirty",
        ] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn minutes_and_seconds_have_their_limits() {
        assert_eq!(minutes("0").unwrap(), Duration::ZERO);
        assert_eq!(minutes("1.5").unwrap(), 90_000 * Duration::from_millis(1));
        for text in ["", "-1", "-0.5", "NaN", "inf", "1e300", "1m"] {
            assert!(minutes(text).is_err(), "{text}");
        }
        assert!(minutes_above_zero("0").is_err());

        assert_eq!(seconds("0").unwrap(), Duration::ZERO);
        assert_eq!(
            seconds("9223372036854775807").unwrap().as_secs(),
            u64::MAX / 2
        );
        for text in ["", "-1", "1.5", "9223372036854775808", "NaN", "1s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(seconds_or_minus_one("-1").unwrap(), None);
        assert!(seconds_or_minus_one("-2").is_err());
        for text in ["0", "-1", "-9223372036854775808"] {
            assert_eq!(seconds_timeout(text).unwrap(), Timeout::Never, "{text}");
        }
        assert!(seconds_timeout("1.5").is_err());
    }

    #[test]
    fn a_status_is_one_of_an_error() {
        for status in ["400", "440", "599"] {
            assert!(error_status(status).is_ok(), "{status}");
        }
        for status in ["", "0", "200", "399", "600", "-1", "65536", "4.4e2"] {
            assert!(error_status(status).is_err(), "{status}");
        }
    }
}

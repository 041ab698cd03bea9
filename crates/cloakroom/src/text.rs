//! Durations and sizes as people write them in settings files and on command lines.

use std::time::Duration;

/// A unit and what it counts, in the order in which a compound text must name them.
type Units = &'static [(&'static str, u64)];

const DURATION_UNITS: Units = &[
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

const SIZE_UNITS: Units = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads a duration: numbers with the units `w`, `d`, `h`, `m`, `s` and `ms`, from large to small
/// and without spaces between them. A decimal fraction is allowed if whole milliseconds come out.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::text::parse_duration;
///
/// assert_eq!(parse_duration("30m"), Ok(Duration::from_secs(1800)));
/// assert_eq!(parse_duration("1h30m"), parse_duration("1.5h"));
/// assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
/// assert!(parse_duration("30").unwrap_err().to_string().contains("no unit"));
/// ```
///
/// A bare `0` is zero, whatever its unit.
///
/// # Errors
///
/// [`ParseTextError`] for any other number without a unit, for any other text, and for more than
/// 2⁶⁴ - 1 milliseconds. Its text says what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, ParseTextError> {
    let given = || text.to_owned();
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut units = DURATION_UNITS;
    let mut total = 0_u64;
    let malformed = || ParseTextError::Duration { given: given() };
    while !rest.is_empty() || units.len() == DURATION_UNITS.len() {
        let (number, tail) = Number::split(rest).ok_or_else(malformed)?;
        let end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        if unit.is_empty() && tail.is_empty() {
            return Err(ParseTextError::NoUnit { given: given() });
        }
        // Only smaller units may follow, so that each is named once and the order is one.
        let at = units.iter().position(|(name, _)| *name == unit);
        let (millis, smaller) = at
            .and_then(|at| units.split_at_checked(at))
            .and_then(|(_, from_here)| from_here.split_first())
            .ok_or_else(malformed)?;
        let part = number.times(millis.1).map_err(|wrong| match wrong {
            Wrong::TooLarge => ParseTextError::DurationTooLong { given: given() },
            Wrong::TooFine => ParseTextError::DurationTooFine { given: given() },
        })?;
        total = total
            .checked_add(part)
            .ok_or_else(|| ParseTextError::DurationTooLong { given: given() })?;
        (rest, units) = (tail, smaller);
    }
    Ok(Duration::from_millis(total))
}

/// Writes a duration as [`parse_duration`] reads it; what is finer than a millisecond is cut off.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::text::format_duration;
///
/// assert_eq!(format_duration(Duration::from_secs(5400)), "1h30m");
/// assert_eq!(format_duration(Duration::ZERO), "0s");
/// ```
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, millis) in DURATION_UNITS {
        if rest >= *millis {
            text.push_str(&(rest / millis).to_string());
            text.push_str(unit);
            rest %= millis;
        }
    }
    text
}

/// Reads a size in bytes: a number, or a number with one of `B`, `kB`, `MB`, `GB`, `TB` (powers of
/// 1000) or `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024), in any case of the letters. A decimal
/// fraction is allowed if whole bytes come out.
///
/// ```
/// use cloakroom::text::parse_size;
///
/// assert_eq!(parse_size("1MiB"), Ok(1_048_576));
/// assert_eq!(parse_size("1 MB"), Ok(1_000_000));
/// assert_eq!(parse_size("4096"), Ok(4096));
/// assert!(parse_size("1M").is_err());
/// ```
///
/// # Errors
///
/// [`ParseTextError`] for any other text, and for more than 2⁶⁴ - 1 bytes. A bare `K` or `M` is
/// refused because people mean two different things by it.
pub fn parse_size(text: &str) -> Result<u64, ParseTextError> {
    let given = || text.to_owned();
    let malformed = || ParseTextError::Size { given: given() };
    let (number, unit) = Number::split(text.trim()).ok_or_else(malformed)?;
    let unit = unit.trim_start();
    let bytes = if unit.is_empty() {
        1
    } else {
        SIZE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .ok_or_else(malformed)?
            .1
    };
    number.times(bytes).map_err(|wrong| match wrong {
        Wrong::TooLarge => ParseTextError::SizeTooLarge { given: given() },
        Wrong::TooFine => malformed(),
    })
}

/// A text is neither a duration nor a size as they are written here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTextError {
    /// The text is no duration.
    #[error(
        "{given:?} is no duration: write numbers with the units w, d, h, m, s or ms, from large \
         to small, for instance \"30m\", \"1h30m\" or \"250ms\""
    )]
    Duration {
        /// The text as it was given.
        given: String,
    },
    /// A number without a unit could mean anything.
    #[error(
        "{given:?} has no unit: write w, d, h, m, s or ms after the number, for instance \"30m\""
    )]
    NoUnit {
        /// The text as it was given.
        given: String,
    },
    /// More than 2⁶⁴ - 1 milliseconds.
    #[error("{given:?} is too long: 2^64 - 1 milliseconds (584 million years) are the most")]
    DurationTooLong {
        /// The text as it was given.
        given: String,
    },
    /// The fraction does not come out in milliseconds.
    #[error("{given:?} is too fine: whole milliseconds are the finest that counts")]
    DurationTooFine {
        /// The text as it was given.
        given: String,
    },
    /// The text is no size.
    #[error(
        "{given:?} is no size: write whole bytes, or a number with one of B, kB, MB, GB, TB, KiB, \
         MiB, GiB, TiB, for instance \"512KiB\" or \"1MiB\""
    )]
    Size {
        /// The text as it was given.
        given: String,
    },
    /// More than 2⁶⁴ - 1 bytes.
    #[error("{given:?} is too large: 2^64 - 1 bytes are the most")]
    SizeTooLarge {
        /// The text as it was given.
        given: String,
    },
}

/// A decimal number, kept as written so that no float rounds it.
struct Number<'a> {
    whole: &'a str,
    fraction: &'a str,
}

enum Wrong {
    TooLarge,
    TooFine,
}

impl<'a> Number<'a> {
    /// The number at the beginning of a text, and what follows it. No sign, and digits on both
    /// sides of a point.
    fn split(text: &'a str) -> Option<(Self, &'a str)> {
        let (whole, rest) = digits(text)?;
        match rest.strip_prefix('.') {
            None => Some((
                Self {
                    whole,
                    fraction: "",
                },
                rest,
            )),
            Some(rest) => {
                let (fraction, rest) = digits(rest)?;
                let fraction = fraction.trim_end_matches('0');
                Some((Self { whole, fraction }, rest))
            }
        }
    }

    fn times(&self, unit: u64) -> Result<u64, Wrong> {
        let whole: u64 = self.whole.parse().map_err(|_| Wrong::TooLarge)?;
        let whole = whole.checked_mul(unit).ok_or(Wrong::TooLarge)?;
        if self.fraction.is_empty() {
            return Ok(whole);
        }
        // Eighteen places are more than any unit divides into, and fit in 64 bits.
        let places = u32::try_from(self.fraction.len()).map_err(|_| Wrong::TooFine)?;
        if places > 18 {
            return Err(Wrong::TooFine);
        }
        let numerator: u64 = self.fraction.parse().map_err(|_| Wrong::TooFine)?;
        let product = u128::from(numerator) * u128::from(unit);
        let scale = 10_u128.pow(places);
        if product % scale != 0 {
            return Err(Wrong::TooFine);
        }
        let part = u64::try_from(product / scale).map_err(|_| Wrong::TooLarge)?;
        whole.checked_add(part).ok_or(Wrong::TooLarge)
    }
}

/// The digits at the beginning of a text, at least one, and what follows them.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let table = [
            ("0s", 0),
            ("1ms", 1),
            ("250ms", 250),
            ("90s", 90_000),
            ("30m", 1_800_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("2w", 1_209_600_000),
            ("1h30m", 5_400_000),
            ("1w2d3h4m5s6ms", 788_645_006),
            ("1.5h", 5_400_000),
            ("0.25s", 250),
            ("1.0s", 1_000),
            ("1.50m0.5s", 90_500),
            (" 30m\n", 1_800_000),
            ("007s", 7_000),
            ("18446744073709551615ms", u64::MAX),
        ];
        for (text, millis) in table {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_an_example() {
        assert_eq!(parse_duration(" 0 "), Ok(Duration::ZERO));
        for text in ["00", "30", "1.5", " 7 ", "1h30"] {
            let error = parse_duration(text).unwrap_err();
            assert!(matches!(error, ParseTextError::NoUnit { .. }), "{text}");
            assert!(error.to_string().contains("\"30m\""), "{error}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_units() {
        for text in [
            "", " ", "m", "ms", "-1", "-1s", "+1s", "1 h", "1h 30m", "30m1h", "1s1s", "1M", "1H",
            "1min", "1y", "1us", ".5s", "1.s", "1..5s", "1,5s", "1e3s", "1_000s", "never", "∞",
            "1é", "1h-30m", "٣s",
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(
                matches!(error, ParseTextError::Duration { .. }),
                "{text}: {error:?}"
            );
            assert!(error.to_string().contains("w, d, h, m, s or ms"), "{error}");
        }
    }

    #[test]
    fn too_long_and_too_fine_are_errors_and_not_roundings() {
        for text in [
            "18446744073709551616ms",
            "18446744073709551615s",
            "99999999999999999999s",
            "30500568904w7d",
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(
                matches!(error, ParseTextError::DurationTooLong { .. }),
                "{text}"
            );
        }
        for text in ["0.5ms", "1.0001s", "0.0000000000000000001w"] {
            let error = parse_duration(text).unwrap_err();
            assert!(
                matches!(error, ParseTextError::DurationTooFine { .. }),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_are_bytes_or_numbers_with_units() {
        let table = [
            ("0", 0),
            ("4096", 4_096),
            ("1B", 1),
            ("1kB", 1_000),
            ("1KB", 1_000),
            ("512KiB", 524_288),
            ("1MB", 1_000_000),
            ("1MiB", 1_048_576),
            ("1mib", 1_048_576),
            ("1.5 KiB", 1_536),
            ("2GB", 2_000_000_000),
            ("2GiB", 2_147_483_648),
            ("1TB", 1_000_000_000_000),
            ("1TiB", 1_099_511_627_776),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_the_units() {
        for text in [
            "", "B", "MiB", "1K", "1M", "-1", "1.5", "0.1B", "1 2", "1MiB1KiB", "1m", "none",
        ] {
            let error = parse_size(text).unwrap_err();
            assert!(
                matches!(error, ParseTextError::Size { .. }),
                "{text}: {error:?}"
            );
            assert!(error.to_string().contains("MiB"), "{error}");
        }
        for text in [
            "18446744073709551616",
            "16777216TiB",
            "18446744073709551615.5KiB",
        ] {
            let error = parse_size(text).unwrap_err();
            assert!(
                matches!(error, ParseTextError::SizeTooLarge { .. }),
                "{text}"
            );
        }
    }

    #[test]
    fn a_duration_is_written_as_it_is_said() {
        let table = [
            (0, "0s"),
            (1, "1ms"),
            (60_000, "1m"),
            (5_400_000, "1h30m"),
            (86_400_000, "1d"),
            (788_645_006, "1w2d3h4m5s6ms"),
        ];
        for (millis, text) in table {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(format_duration(Duration::from_micros(1_999)), "1ms");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis: u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}", numbers in "([0-9.]{0,20}(ms|s|h|w|MiB|kB|é)?){0,4}") {
            for text in [text, numbers] {
                if let Ok(duration) = parse_duration(&text) {
                    prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
                }
                let _size = parse_size(&text);
            }
        }
    }
}

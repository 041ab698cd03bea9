//! When a job of the housekeeper runs: pure, `now` and chance are arguments.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use cloakroom_core::Timestamp;
use jiff::tz::TimeZone;

use super::cron::Cron;
use crate::text::{ParseTextError, format_duration, parse_duration};

/// When a job of the housekeeper runs.
///
/// As text: a duration (`"60s"`), Stalwart's `"<minute> <hour> <week-day>"` in the server's local
/// time (`"15 * *"`) or in UTC (`"15 * * UTC"`), or `"off"`.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::{Schedule, Zone};
///
/// let hourly = Schedule::cron("15 * *", Zone::Local)?;
/// assert_eq!("15 * *".parse(), Ok(hourly));
/// assert_eq!("60s".parse(), Ok(Schedule::every(Duration::from_secs(60))));
/// assert_eq!("off".parse(), Ok(Schedule::off()));
///
/// let error = Schedule::cron("15 24 *", Zone::Utc).unwrap_err();
/// assert!(error.to_string().contains("hour"));
/// # Ok::<(), cloakroom::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Off,
    /// Never shorter than a millisecond, so that the next time is never now.
    Every(Duration),
    Cron(Cron, Zone),
}

/// Whose clock a [`Schedule::cron`] reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Zone {
    /// The server's local time, with its changes in spring and autumn; the default, as in Stalwart.
    #[default]
    Local,
    /// Coordinated universal time.
    Utc,
}

impl Schedule {
    /// The job does not run by itself.
    #[must_use]
    pub const fn off() -> Self {
        Self(Kind::Off)
    }

    /// The job runs again `interval` after the last pass, or up to a tenth earlier: the tenth is
    /// drawn for each pass, so that many nodes drift apart.
    ///
    /// An interval of zero is [`Schedule::off`], as in Jetty. The finest that counts is a
    /// millisecond; a shorter one is a millisecond.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        if interval.is_zero() {
            return Self::off();
        }
        Self(Kind::Every(interval.max(Duration::from_millis(1))))
    }

    /// The job runs when a clock in `zone` shows these three fields, as Stalwart writes them:
    /// `<minute> <hour> <week-day>`, with the minute from 0 to 59, the hour from 0 to 23 or `*`,
    /// and the week-day from 1 (Monday) to 7 (Sunday) or `*`. `15 * *` is a quarter past every
    /// hour, `30 3 *` is 03:30 every day, `15 * 3` is a quarter past every hour on Wednesdays.
    ///
    /// A time that the clocks skip in spring is moved forward by as much as they are; one that
    /// comes twice in autumn counts once, the first time.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`], which names the field and what is allowed there.
    pub fn cron(text: &str, zone: Zone) -> Result<Self, ScheduleError> {
        Ok(Self(Kind::Cron(Cron::parse(text)?, zone)))
    }

    /// Whether the job never runs by itself.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        matches!(self.0, Kind::Off)
    }

    /// Whether a clock that can be set decides.
    pub(crate) const fn is_by_wall_clock(&self) -> bool {
        matches!(self.0, Kind::Cron(..))
    }

    /// When the job runs next: always later than `now`, and `None` if never.
    ///
    /// `random` is any evenly drawn number: it places the pass within the tenth by which it may be
    /// early. `local` is the zone that [`Zone::Local`] means.
    pub(crate) fn next_after(
        &self,
        now: Timestamp,
        random: u64,
        local: &TimeZone,
    ) -> Option<Timestamp> {
        let next = match &self.0 {
            Kind::Off => return None,
            Kind::Every(interval) => now + early(*interval, random),
            Kind::Cron(cron, Zone::Utc) => cron.next_after(now, &TimeZone::UTC)?,
            Kind::Cron(cron, Zone::Local) => cron.next_after(now, local)?,
        };
        // Timestamps saturate at the year 9999: there, nothing is later.
        (next > now).then_some(next)
    }
}

/// The interval less up to a tenth of it, and never zero.
fn early(interval: Duration, random: u64) -> Duration {
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    // The high half of the product: evenly spread over 0 ..= a tenth, without a division's bias.
    let range = u128::from(millis / 10) + 1;
    let cut = u64::try_from((range * u128::from(random)) >> 64).unwrap_or(0);
    Duration::from_millis(millis.saturating_sub(cut).max(1))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Off => f.write_str("off"),
            Kind::Every(interval) => f.write_str(&format_duration(*interval)),
            Kind::Cron(cron, Zone::Local) => fmt::Display::fmt(cron, f),
            Kind::Cron(cron, Zone::Utc) => write!(f, "{cron} UTC"),
        }
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text == "off" {
            return Ok(Self::off());
        }
        // White space inside means fields; no duration has any.
        match text.rsplit_once(|c: char| c.is_ascii_whitespace()) {
            Some((fields, "UTC")) => Self::cron(fields, Zone::Utc),
            Some(_) => Self::cron(text, Zone::Local),
            None => Ok(Self::every(parse_duration(text)?)),
        }
    }
}

/// A text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// There are not exactly three fields.
    #[error(
        "the schedule {given:?} has {count} field(s): write three, `<minute> <hour> <week-day>`, \
         for instance \"15 * *\""
    )]
    Fields {
        /// The text as it was given.
        given: String,
        /// How many fields it has.
        count: usize,
    },
    /// A field is out of its range, or no number.
    #[error("the {field} of a schedule cannot be {given:?}: allowed is {allowed}")]
    Field {
        /// `minute`, `hour` or `week-day`.
        field: &'static str,
        /// The field as it was given.
        given: String,
        /// What may stand there.
        allowed: &'static str,
    },
    /// The text has no fields, and is no duration either.
    #[error(
        "a schedule is a duration, \"off\", or `<minute> <hour> <week-day>` such as \"15 * *\": \
         {0}"
    )]
    Interval(#[from] ParseTextError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn off_is_never_and_so_is_an_interval_of_zero() {
        for off in [
            Schedule::off(),
            Schedule::every(Duration::ZERO),
            "0s".parse().unwrap(),
        ] {
            assert!(off.is_off());
            assert_eq!(off.next_after(at(0), 7, &TimeZone::UTC), None);
        }
        assert!(!Schedule::every(Duration::from_nanos(1)).is_off());
    }

    #[test]
    fn an_interval_is_up_to_a_tenth_early_and_never_late() {
        let minute = Schedule::every(Duration::from_mins(1));
        let table = [(0, 60_000), (1 << 63, 57_000), (u64::MAX, 54_000)];
        for (random, expected) in table {
            let next = minute.next_after(at(1_000), random, &TimeZone::UTC);
            assert_eq!(next, Some(at(1_000 + expected)), "{random}");
        }
    }

    #[test]
    fn the_shortest_interval_is_a_millisecond_and_the_longest_ends_with_the_calendar() {
        let next =
            |interval, now| Schedule::every(interval).next_after(now, u64::MAX, &TimeZone::UTC);
        assert_eq!(next(Duration::from_nanos(1), at(5)), Some(at(6)));
        assert_eq!(Schedule::every(Duration::from_nanos(1)).to_string(), "1ms");
        assert_eq!(next(Duration::MAX, at(5)), Some(Timestamp::MAX));
        assert_eq!(next(Duration::MAX, Timestamp::MAX), None);
    }

    #[test]
    fn local_and_utc_read_different_clocks() {
        // 2026-11-22T16:44:35Z: in Kathmandu it is 22:29:35, 5 h 45 min ahead.
        let now = at(1_795_365_875_000);
        let kathmandu = TimeZone::get("Asia/Kathmandu").unwrap();
        let next = |zone| {
            let schedule = Schedule::cron("0 23 *", zone).unwrap();
            schedule.next_after(now, 0, &kathmandu).unwrap().to_string()
        };
        assert_eq!(next(Zone::Local), "2026-11-22T17:15:00.000Z");
        assert_eq!(next(Zone::Utc), "2026-11-22T23:00:00.000Z");
    }

    #[test]
    fn text_forms_read_and_write() {
        let cron = |text, zone| Schedule::cron(text, zone).unwrap();
        let table = [
            ("off", Schedule::off()),
            ("1m", Schedule::every(Duration::from_mins(1))),
            ("1h30m", Schedule::every(Duration::from_mins(90))),
            ("15 * *", cron("15 * *", Zone::Local)),
            ("30 3 7", cron("30 3 7", Zone::Local)),
            ("30 3 7 UTC", cron("30 3 7", Zone::Utc)),
        ];
        for (text, schedule) in table {
            assert_eq!(text.parse(), Ok(schedule), "{text}");
            assert_eq!(schedule.to_string(), text);
        }
        assert_eq!("60s".parse::<Schedule>().unwrap().to_string(), "1m");
        assert_eq!(
            " 15 * *\n".parse::<Schedule>().unwrap().to_string(),
            "15 * *"
        );
    }

    #[test]
    fn what_is_no_schedule_says_what_is() {
        let table = [
            ("", "<minute> <hour> <week-day>"),
            ("60", "no unit"),
            ("-1", "<minute> <hour> <week-day>"),
            ("*", "\"off\""),
            ("never", "\"off\""),
            ("OFF", "\"off\""),
            ("60 s", "2 field"),
            ("15 *", "2 field"),
            ("15 * * *", "4 field"),
            ("15 * UTC", "2 field"),
            ("15 * * CET", "4 field"),
            ("* * *", "minute"),
            ("15 */2 *", "hour"),
            ("15 * 8 UTC", "week-day"),
        ];
        for (text, expected) in table {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn the_next_pass_is_later_and_within_the_interval(
            millis in 0_u64..250_000_000_000_000,
            interval in 1_u64..1_000_000_000,
            random: u64,
        ) {
            let now = at(millis);
            let schedule = Schedule::every(Duration::from_millis(interval));
            let wait = schedule.next_after(now, random, &TimeZone::UTC).unwrap().since(now);
            prop_assert!(wait >= Duration::from_millis((interval - interval / 10).max(1)));
            prop_assert!(wait <= Duration::from_millis(interval));
        }

        #[test]
        fn no_text_panics_and_what_reads_is_written_alike(text in "[0-9*a-zA-Z /,.-]{0,14}") {
            if let Ok(schedule) = text.parse::<Schedule>() {
                prop_assert_eq!(schedule.to_string().parse(), Ok(schedule));
            }
        }
    }
}

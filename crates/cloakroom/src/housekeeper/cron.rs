//! Stalwart's three-field schedule, `<minute> <hour> <week-day>`, and when it is due next.

use std::fmt;

use cloakroom_core::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan as _};

use super::schedule::ScheduleError;

/// One minute of every hour or of one hour, on every day or on one day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    minute: i8,
    /// `None` is `*`.
    hour: Option<i8>,
    /// `None` is `*`.
    day: Option<Weekday>,
}

impl Cron {
    /// Reads exactly three fields, separated by white space.
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<_> = text.split_ascii_whitespace().collect();
        let &[minute, hour, day] = fields.as_slice() else {
            return Err(ScheduleError::Fields {
                given: text.to_owned(),
                count: fields.len(),
            });
        };
        Ok(Self {
            minute: number(minute, 0, 59).ok_or_else(|| wrong("minute", minute, "0 to 59"))?,
            hour: or_any(hour, |hour| {
                number(hour, 0, 23).ok_or_else(|| wrong("hour", hour, "0 to 23, or `*`"))
            })?,
            day: or_any(day, |day| {
                number(day, 1, 7)
                    .and_then(|day| Weekday::from_monday_one_offset(day).ok())
                    .ok_or_else(|| wrong("week-day", day, "1 (Monday) to 7 (Sunday), or `*`"))
            })?,
        })
    }

    /// The first time after `now`, strictly, at which a clock in `zone` shows these fields.
    ///
    /// A time that the zone skips is moved forward by as much as the clocks are (02:30 becomes
    /// 03:30); of one that comes twice the first counts. `None` at the end of the calendar.
    pub(super) fn next_after(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = Instant::from_millisecond(i64::try_from(now.as_millis()).ok()?).ok()?;
        let today = zone.to_datetime(now).date();
        // A day back, because a skipped time of yesterday may have been moved to today: past
        // midnight, or by the whole day that a zone skipped (Samoa, 2011-12-30). Forward until a
        // day has surely come.
        let last = if self.day.is_some() { 9 } else { 2 };
        (-1..=last)
            .filter_map(|offset: i64| today.checked_add(offset.days()).ok())
            .filter(|date| self.day.is_none_or(|day| date.weekday() == day))
            .flat_map(|date| self.times().map(move |time| (date, time)))
            .filter_map(|(date, time)| instant(date, time, zone))
            // The earliest and not the first: a moved time can overtake those after it.
            .filter(|at| *at > now)
            .min()
            .and_then(|at| u64::try_from(at.as_millisecond()).ok())
            .map(Timestamp::from_millis)
    }

    fn times(self) -> impl Iterator<Item = Time> {
        let hours = self.hour.map_or(0..=23, |hour| hour..=hour);
        hours.filter_map(move |hour| Time::new(hour, self.minute, 0, 0).ok())
    }
}

/// Jiff's "compatible" strategy, RFC 5545's rule: a gap moves forward, a fold means the earlier.
fn instant(date: Date, time: Time, zone: &TimeZone) -> Option<Instant> {
    zone.to_ambiguous_timestamp(date.to_datetime(time))
        .compatible()
        .ok()
}

fn or_any<T>(
    field: &str,
    read: impl FnOnce(&str) -> Result<T, ScheduleError>,
) -> Result<Option<T>, ScheduleError> {
    if field == "*" {
        return Ok(None);
    }
    read(field).map(Some)
}

/// Digits only: `parse` alone would take `+5`.
fn number(field: &str, least: i8, most: i8) -> Option<i8> {
    let digits = field.bytes().all(|byte| byte.is_ascii_digit());
    let number = field.parse().ok().filter(|_| digits)?;
    (least..=most).contains(&number).then_some(number)
}

fn wrong(field: &'static str, given: &str, allowed: &'static str) -> ScheduleError {
    ScheduleError::Field {
        field,
        given: given.to_owned(),
        allowed,
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.minute)?;
        let day = self.day.map(Weekday::to_monday_one_offset);
        for field in [self.hour, day] {
            match field {
                None => f.write_str(" *")?,
                Some(number) => write!(f, " {number}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use jiff::tz::AmbiguousOffset;
    use proptest::prelude::*;

    use super::*;

    const ZONES: [&str; 8] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
    ];

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn cron(text: &str) -> Cron {
        Cron::parse(text).unwrap()
    }

    fn ours(at: Instant) -> Timestamp {
        Timestamp::from_millis(at.as_millisecond().try_into().unwrap())
    }

    fn theirs(at: Timestamp) -> Instant {
        Instant::from_millisecond(at.as_millis().try_into().unwrap()).unwrap()
    }

    /// The next time as a clock in the zone shows it, for a `now` that such a clock shows.
    fn next(text: &str, zone_name: &str, now: &str) -> String {
        let zone = zone(zone_name);
        let now: DateTime = now.parse().unwrap();
        let now = zone.to_ambiguous_timestamp(now).compatible().unwrap();
        let found = cron(text).next_after(ours(now), &zone).unwrap();
        let shown = zone.to_datetime(theirs(found));
        shown.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    #[test]
    fn hourly_daily_and_weekly() {
        // 2026-11-22 is a Sunday.
        let table = [
            ("15 * *", "2026-11-22 10:00:00", "2026-11-22 10:15:00"),
            ("15 * *", "2026-11-22 10:14:59.999", "2026-11-22 10:15:00"),
            ("15 * *", "2026-11-22 10:15:00", "2026-11-22 11:15:00"),
            ("15 * *", "2026-11-22 10:15:00.001", "2026-11-22 11:15:00"),
            ("0 * *", "2026-11-22 23:00:00", "2026-11-23 00:00:00"),
            ("59 23 *", "2026-11-22 23:58:59", "2026-11-22 23:59:00"),
            ("59 23 *", "2026-11-22 23:59:00", "2026-11-23 23:59:00"),
            ("0 0 *", "2026-12-31 00:00:00", "2027-01-01 00:00:00"),
            ("30 3 *", "2028-02-28 04:00:00", "2028-02-29 03:30:00"),
            ("30 3 *", "2027-02-28 04:00:00", "2027-03-01 03:30:00"),
            ("15 * 3", "2026-11-22 10:00:00", "2026-11-25 00:15:00"),
            ("15 * 3", "2026-11-25 22:15:00", "2026-11-25 23:15:00"),
            ("15 * 3", "2026-11-25 23:15:00", "2026-12-02 00:15:00"),
            ("0 12 7", "2026-11-22 11:59:59", "2026-11-22 12:00:00"),
            ("0 12 7", "2026-11-22 12:00:00", "2026-11-29 12:00:00"),
            ("0 12 1", "2026-12-31 23:59:59", "2027-01-04 12:00:00"),
            ("0 0 6", "2026-12-31 23:59:59", "2027-01-02 00:00:00"),
        ];
        check("UTC", &table);
        check("Europe/Berlin", &table);
    }

    #[test]
    fn all_49_pairs_of_days() {
        for today in 1_i8..=7 {
            // 2026-11-16 is a Monday.
            let date = Date::constant(2026, 11, 15 + today);
            assert_eq!(date.weekday().to_monday_one_offset(), today);
            for wanted in 1_i8..=7 {
                for (now, same_day) in [("11:59:59", 0), ("12:00:00", 7), ("12:00:01", 7)] {
                    let days = i64::from((wanted - today).rem_euclid(7));
                    let days = if days == 0 { same_day } else { days };
                    let expected = date.checked_add(days.days()).unwrap();
                    let found = next(&format!("0 12 {wanted}"), "UTC", &format!("{date} {now}"));
                    assert_eq!(
                        found,
                        format!("{expected} 12:00:00"),
                        "{today} {wanted} {now}"
                    );
                }
            }
        }
    }

    fn check(zone: &str, table: &[(&str, &str, &str)]) {
        for (text, now, expected) in table {
            assert_eq!(
                next(text, zone, now),
                *expected,
                "{text} in {zone} after {now}"
            );
        }
    }

    #[test]
    fn a_time_that_does_not_exist_moves_forward() {
        // 02:00 becomes 03:00 on a Sunday.
        check(
            "Europe/Berlin",
            &[
                ("30 2 *", "2026-03-29 01:00", "2026-03-29 03:30:00"),
                ("30 2 *", "2026-03-29 03:30", "2026-03-30 02:30:00"),
                ("30 2 7", "2026-03-28 12:00", "2026-03-29 03:30:00"),
                ("0 2 7", "2026-03-29 01:59:59", "2026-03-29 03:00:00"),
                ("15 * *", "2026-03-29 01:15", "2026-03-29 03:15:00"),
                ("15 * *", "2026-03-29 03:15", "2026-03-29 04:15:00"),
            ],
        );
    }

    #[test]
    fn gaps_at_midnight_of_half_an_hour_and_of_a_day() {
        check(
            "America/Sao_Paulo",
            &[("0 0 *", "2018-11-03 12:00", "2018-11-04 01:00:00")],
        );
        // 02:00 becomes 02:30.
        check(
            "Australia/Lord_Howe",
            &[
                ("15 2 *", "2026-10-04 01:00", "2026-10-04 02:45:00"),
                ("15 * *", "2026-10-04 02:45", "2026-10-04 03:15:00"),
            ],
        );
        // Samoa had no Friday, 2011-12-30, at all.
        check(
            "Pacific/Apia",
            &[
                ("0 12 5", "2011-12-29 13:00", "2011-12-31 12:00:00"),
                ("0 12 5", "2011-12-31 00:30", "2011-12-31 12:00:00"),
                ("0 12 6", "2011-12-29 13:00", "2011-12-31 12:00:00"),
                ("0 * *", "2011-12-29 23:00", "2011-12-31 00:00:00"),
                ("0 * *", "2011-12-31 00:00", "2011-12-31 01:00:00"),
            ],
        );
    }

    #[test]
    fn a_moved_time_neither_overtakes_nor_is_overtaken() {
        // Clocks go forward by an hour and a half, from 02:00 to 03:30, on 2026-03-08.
        let wide = TimeZone::posix("AAA0BBB-1:30,M3.2.0/2,M11.1.0/2").unwrap();
        let hourly = cron("15 * *");
        let mut at = ours("2026-03-08T01:00:00Z".parse().unwrap());
        // 02:15 becomes 03:45; 04:15 comes as it is; 03:15 becomes 04:45.
        for shown in ["01:15:00", "03:45:00", "04:15:00", "04:45:00", "05:15:00"] {
            at = hourly.next_after(at, &wide).unwrap();
            assert_eq!(wide.to_datetime(theirs(at)).time().to_string(), shown);
        }
    }

    #[test]
    fn a_time_that_exists_twice_runs_once() {
        // Berlin: 03:00 becomes 02:00 on Sunday, 2026-10-25, at 01:00 UTC.
        let zone = zone("Europe/Berlin");
        for (text, next_day) in [
            ("30 2 *", "2026-10-26T01:30:00Z"),
            ("30 2 7", "2026-11-01T01:30:00Z"),
        ] {
            let cron = cron(text);
            let before: Instant = "2026-10-25T00:00:00Z".parse().unwrap();
            let first = cron.next_after(ours(before), &zone).unwrap();
            assert_eq!(theirs(first).to_string(), "2026-10-25T00:30:00Z");
            let second = cron.next_after(first, &zone).unwrap();
            assert_eq!(theirs(second).to_string(), next_day);
        }
        let hourly = cron("30 * *");
        let first: Instant = "2026-10-25T00:30:00Z".parse().unwrap();
        let second = hourly.next_after(ours(first), &zone).unwrap();
        assert_eq!(theirs(second).to_string(), "2026-10-25T02:30:00Z");
    }

    #[test]
    fn the_end_of_the_calendar_has_no_next() {
        let utc = TimeZone::UTC;
        assert_eq!(cron("0 * *").next_after(Timestamp::MAX, &utc), None);
        assert!(cron("0 * *").next_after(Timestamp::EPOCH, &utc).is_some());
        let east = zone("Asia/Kathmandu");
        assert!(
            cron("59 23 7")
                .next_after(Timestamp::EPOCH, &east)
                .is_some()
        );
    }

    #[test]
    fn what_is_read_is_written() {
        for text in ["15 * *", "0 0 1", "59 23 7", "5 * 3", "5 7 *"] {
            assert_eq!(cron(text).to_string(), text);
        }
        assert_eq!(cron(" 05\t7  * ").to_string(), "5 7 *");
    }

    #[test]
    fn a_wrong_field_is_named_with_what_is_allowed() {
        let table = [
            ("* * *", "minute", "0 to 59"),
            ("60 * *", "minute", "0 to 59"),
            ("-1 * *", "minute", "0 to 59"),
            ("+1 * *", "minute", "0 to 59"),
            ("*/2 * *", "minute", "0 to 59"),
            ("1,2 * *", "minute", "0 to 59"),
            ("x * *", "minute", "0 to 59"),
            ("999 * *", "minute", "0 to 59"),
            ("15 24 *", "hour", "0 to 23, or `*`"),
            ("15 */2 *", "hour", "0 to 23, or `*`"),
            ("15 ** *", "hour", "0 to 23, or `*`"),
            ("15 1-2 *", "hour", "0 to 23, or `*`"),
            ("15 * 0", "week-day", "1 (Monday) to 7 (Sunday), or `*`"),
            ("15 * 8", "week-day", "1 (Monday) to 7 (Sunday), or `*`"),
            ("15 * Mon", "week-day", "1 (Monday) to 7 (Sunday), or `*`"),
            ("15 * */2", "week-day", "1 (Monday) to 7 (Sunday), or `*`"),
            ("15 * ٣", "week-day", "1 (Monday) to 7 (Sunday), or `*`"),
        ];
        for (text, field, allowed) in table {
            let error = Cron::parse(text).unwrap_err().to_string();
            assert!(
                error.contains(field) && error.contains(allowed),
                "{text}: {error}"
            );
        }
        for (text, count) in [
            ("", 0),
            ("15", 1),
            ("15 *", 2),
            ("15 * * *", 4),
            ("0 15 * * 1", 5),
        ] {
            let error = Cron::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{count} field")), "{text}: {error}");
            assert!(error.contains("<minute> <hour> <week-day>"), "{error}");
        }
    }

    /// Whether the schedule is due at this very minute, read off a clock: it shows the fields for
    /// the first time, or the clocks have just skipped a time that shows them.
    fn due(cron: Cron, at: Instant, zone: &TimeZone) -> bool {
        let shows = |shown: DateTime| {
            shown.minute() == cron.minute
                && cron.hour.is_none_or(|hour| shown.hour() == hour)
                && cron.day.is_none_or(|day| shown.weekday() == day)
        };
        let now = zone.to_datetime(at);
        let again = match zone.to_ambiguous_timestamp(now).offset() {
            AmbiguousOffset::Fold { after, .. } => zone.to_offset(at) == after,
            _ => false,
        };
        let changes = zone.preceding(at).map(|change| change.timestamp());
        let skipped = changes.take(1).chain([at]).any(|change| {
            let old = zone.to_offset(change.checked_sub(1.second()).unwrap());
            let missed = old.to_datetime(at);
            let offset = zone.to_ambiguous_timestamp(missed).offset();
            matches!(offset, AmbiguousOffset::Gap { before, .. } if before == old) && shows(missed)
        });
        (shows(now) && !again) || skipped
    }

    fn scan(cron: Cron, now: Instant, zone: &TimeZone) -> Instant {
        let minute = now.as_second().div_euclid(60) * 60;
        (1..=60 * 24 * 16)
            .map(|step| Instant::from_second(minute + step * 60).unwrap())
            .find(|at| due(cron, *at, zone))
            .unwrap()
    }

    fn any_cron() -> impl Strategy<Value = Cron> {
        let field = |range| proptest::option::of(range);
        (0_i8..60, field(0_i8..24), field(1_i8..8)).prop_map(|(minute, hour, day)| Cron {
            minute,
            hour,
            day: day.map(|day| Weekday::from_monday_one_offset(day).unwrap()),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_scan_of_every_minute_finds_the_same(
            cron in any_cron(),
            zone_name in proptest::sample::select(&ZONES[..]),
            // Years 2000 to 2037, and half of the cases close to a change of the clocks.
            seconds in 946_684_800_i64..2_145_916_800,
            near: bool,
            before in 0_i64..200_000,
            millis in 0_i64..1_000,
        ) {
            let zone = zone(zone_name);
            let mut at = Instant::from_second(seconds).unwrap();
            if near && let Some(change) = zone.following(at).next() {
                at = change.timestamp().checked_sub(before.seconds()).unwrap();
            }
            let now = at.checked_add(millis.milliseconds()).unwrap();
            let found = theirs(cron.next_after(ours(now), &zone).unwrap());
            prop_assert!(found > now);
            prop_assert_eq!(found, scan(cron, now, &zone));
        }

        #[test]
        fn what_is_found_shows_the_fields(cron in any_cron(), millis in 0_u64..250_000_000_000_000) {
            let now = Timestamp::from_millis(millis);
            let found = cron.next_after(now, &TimeZone::UTC).unwrap();
            let shown = TimeZone::UTC.to_datetime(theirs(found));
            prop_assert!(found > now);
            prop_assert_eq!((shown.minute(), shown.second()), (cron.minute, 0));
            prop_assert!(cron.hour.is_none_or(|hour| hour == shown.hour()));
            prop_assert!(cron.day.is_none_or(|day| day == shown.weekday()));
            prop_assert!(found.since(now) <= std::time::Duration::from_hours(7 * 24));
            prop_assert_eq!(Cron::parse(&cron.to_string()), Ok(cron));
        }
    }
}

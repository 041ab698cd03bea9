//! The rows about time, and about the jobs that watch it.

use std::time::Duration;

use super::key::{Key, Reading, reading, spelling};
use super::read::{
    Read, duration, duration_above_zero, minutes, minutes_above_zero, minutes_timeout, seconds,
    seconds_timeout, timeout, timeout_not_disabled, whole, write_timeout,
};
use crate::text::format_duration;
use crate::{Schedule, Timeout};

const DURATION: &str = "a duration such as \"90s\" or \"1h30m\"";
const DURATION_ABOVE_ZERO: &str = "a duration of at least 1ms, such as \"90s\"";
const SCHEDULE: &str = "a duration such as \"60s\", \"off\", or \"<minute> <hour> <week-day>\" \
                        such as \"15 * *\", with UTC behind it if it is not local time";

/// The idle timeout stands before the retention, which looks at it.
pub(super) const KEYS: &[Key] = &[
    Key {
        ours: spelling(
            "idle_timeout",
            "a duration such as \"30m\", \"never\", \"disabled\", or minutes as Jarvis has them: \
             above 0, 0 (disabled) or -1 (never)",
            |text| timeout(text).map(idle),
        ),
        aliases: &[
            spelling(
                "SessionTimeout",
                "minutes above 0, 0 (no sessions) or -1 (no timeout)",
                |text| minutes_timeout(text).map(idle),
            ),
            spelling(
                "maxInactiveInterval",
                "whole seconds; 0 or less is never",
                |text| seconds_timeout(text).map(idle),
            ),
        ],
    },
    Key {
        ours: spelling(
            "absolute_timeout",
            "a duration such as \"12h\", \"never\", or minutes: above 0 or -1 (never)",
            |text| {
                let timeout = timeout_not_disabled(text)?;
                Ok(reading(write_timeout(timeout), move |to| {
                    to.builder.config.times.absolute = timeout;
                }))
            },
        ),
        aliases: &[],
    },
    Key {
        ours: spelling("touch_interval", DURATION, |text| duration(text).map(touch)),
        aliases: &[spelling(
            "savePeriod",
            "whole seconds; 0 is every use",
            |text| seconds(text).map(touch),
        )],
    },
    Key {
        ours: spelling("retention", DURATION, |text| {
            let retention = duration(text)?;
            Ok(reading(format_duration(retention), move |to| {
                to.builder.config.times.retention = retention;
            }))
        }),
        aliases: &[spelling(
            "SessionCleanupTime",
            "minutes, 0 or more; as many as the timeout keep nothing",
            cleanup,
        )],
    },
    Key {
        ours: spelling(
            "max_tombstones",
            "a whole number; 0 keeps nothing",
            |text| {
                let max = whole(text)?;
                let most = usize::try_from(max).unwrap_or(usize::MAX);
                Ok(reading(max.to_string(), move |to| {
                    to.builder.config.max_tombstones = most;
                }))
            },
        ),
        aliases: &[],
    },
    Key {
        ours: spelling("superseded_window", DURATION, |text| {
            let window = duration(text)?;
            Ok(reading(format_duration(window), move |to| {
                to.builder.config.superseded_window = window;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("stale_if_error", "a duration, or \"off\"", |text| {
            let at_most = match text {
                "off" => None,
                _ => Some(duration(text)?),
            };
            let shown = at_most.map_or_else(|| "off".to_owned(), format_duration);
            Ok(reading(shown, move |to| {
                to.builder.config.stale_if_error = at_most;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("store_timeout", DURATION_ABOVE_ZERO, |text| {
            let timeout = duration_above_zero(text)?;
            Ok(reading(format_duration(timeout), move |to| {
                to.builder.config.store_timeout = timeout;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("poll", SCHEDULE, |text| Ok(poll(text.parse()?))),
        aliases: &[spelling("SessionPollingTime", "minutes above 0", |text| {
            minutes_above_zero(text).map(|every| poll(Schedule::every(every)))
        })],
    },
    Key {
        ours: spelling("purge", SCHEDULE, |text| Ok(purge(text.parse()?))),
        aliases: &[
            spelling("jmap.session.purge.frequency", SCHEDULE, |text| {
                Ok(purge(text.parse()?))
            }),
            spelling("frequency", SCHEDULE, |text| Ok(purge(text.parse()?))),
            spelling(
                "scavengeInterval",
                "whole seconds; 0 is off",
                // A schedule of every zero seconds is off.
                |text| seconds(text).map(|every| purge(Schedule::every(every))),
            ),
        ],
    },
];

fn idle(timeout: Timeout) -> Reading {
    reading(write_timeout(timeout), move |to| {
        to.builder.config.times.idle = timeout;
    })
}

fn touch(interval: Duration) -> Reading {
    reading(format_duration(interval), move |to| {
        to.builder.config.times.touch_interval = Some(interval);
    })
}

/// What remains of a timed-out session is kept so long; Jarvis' way to say "keep nothing" is the
/// timeout's own number.
fn cleanup(text: &str) -> Read<Reading> {
    let kept = minutes(text)?;
    let shown = format!("{0}, or 0s if idle_timeout is {0}", format_duration(kept));
    Ok(reading(shown, move |to| {
        let times = &mut to.builder.config.times;
        let nothing = times.idle == Timeout::After(kept);
        times.retention = if nothing { Duration::ZERO } else { kept };
    }))
}

fn poll(schedule: Schedule) -> Reading {
    reading(schedule.to_string(), move |to| to.builder.poll = schedule)
}

fn purge(schedule: Schedule) -> Reading {
    reading(schedule.to_string(), move |to| to.builder.purge = schedule)
}

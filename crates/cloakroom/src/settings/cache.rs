//! The rows about L1.

use std::time::Duration;

use super::key::{Key, Reading, reading, spelling};
use super::read::{Read, boolean, choice, duration_above_zero, seconds_or_minus_one, size, whole};
use crate::text::format_duration;
use crate::{Cache, Coherence, Eviction};

const ENTRIES: &str = "a whole number; 0 is no cache";
const TIME: &str = "a duration of at least 1ms, such as \"1h\"";
const BOOL: &str = "true or false";

pub(super) const KEYS: &[Key] = &[
    Key {
        ours: spelling("cache.entries", ENTRIES, |text| whole(text).map(entries)),
        aliases: &[
            spelling("jmap.session.cache.size", ENTRIES, |text| {
                whole(text).map(entries)
            }),
            spelling("size", ENTRIES, |text| whole(text).map(entries)),
        ],
    },
    Key {
        ours: spelling(
            "cache.bytes",
            "a size such as \"64MiB\"; 0 is no cache",
            |text| {
                let bytes = size(text)?;
                Ok(reading(bytes.to_string(), move |to| {
                    to.builder.config.cache.bound = Cache::bytes(bytes).bound;
                }))
            },
        ),
        aliases: &[],
    },
    Key {
        ours: spelling("cache.idle", TIME, |text| {
            duration_above_zero(text).map(idle)
        }),
        aliases: &[
            spelling("jmap.session.cache.ttl", TIME, |text| {
                duration_above_zero(text).map(idle)
            }),
            spelling("ttl", TIME, |text| duration_above_zero(text).map(idle)),
        ],
    },
    Key {
        ours: spelling("cache.ttl", TIME, |text| {
            let ttl = duration_above_zero(text)?;
            Ok(reading(format_duration(ttl), move |to| {
                to.builder.config.cache.ttl = Some(ttl);
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling(
            "cache.eviction",
            "\"never\", \"on-exit\", or a duration of at least 1ms",
            |text| {
                Ok(eviction(match text {
                    "never" => Eviction::Never,
                    "on-exit" => Eviction::OnExit,
                    _ => Eviction::Idle(duration_above_zero(text)?),
                }))
            },
        ),
        aliases: &[spelling(
            "evictionPolicy",
            "-1 (never), 0 (on exit), or whole seconds",
            |text| {
                Ok(eviction(match seconds_or_minus_one(text)? {
                    None => Eviction::Never,
                    Some(Duration::ZERO) => Eviction::OnExit,
                    Some(idle) => Eviction::Idle(idle),
                }))
            },
        )],
    },
    Key {
        ours: spelling("cache.save_on_eviction", BOOL, save_on_eviction),
        aliases: &[spelling("saveOnInactiveEviction", BOOL, save_on_eviction)],
    },
    Key {
        ours: spelling(
            "coherence",
            "\"exclusive\", \"push\", \"verify\", or \"bounded=\" and a duration of at least 1ms",
            coherence,
        ),
        aliases: &[],
    },
];

fn entries(max: u64) -> Reading {
    reading(max.to_string(), move |to| {
        to.builder.config.cache.bound = Cache::entries(max).bound;
    })
}

fn idle(idle: Duration) -> Reading {
    reading(format_duration(idle), move |to| {
        to.builder.config.cache.idle = Some(idle);
    })
}

fn eviction(eviction: Eviction) -> Reading {
    let text = match eviction {
        Eviction::Never => "never".to_owned(),
        Eviction::OnExit => "on-exit".to_owned(),
        Eviction::Idle(idle) => format_duration(idle),
    };
    reading(text, move |to| to.builder.config.cache.eviction = eviction)
}

fn save_on_eviction(text: &str) -> Read<Reading> {
    let save = boolean(text)?;
    Ok(reading(save.to_string(), move |to| {
        to.builder.config.cache.save_on_eviction = save;
    }))
}

fn coherence(text: &str) -> Read<Reading> {
    if let Some(("bounded", bound)) = text.split_once('=') {
        let bound = duration_above_zero(bound)?;
        let shown = format!("bounded={}", format_duration(bound));
        return Ok(coherent(shown, Coherence::Bounded(bound)));
    }
    let words = [
        ("exclusive", Coherence::Exclusive),
        ("push", Coherence::Push),
        ("verify", Coherence::Verify),
    ];
    Ok(coherent(text.to_ascii_lowercase(), choice(text, &words)?))
}

fn coherent(text: String, coherence: Coherence) -> Reading {
    reading(text, move |to| to.builder.coherence = Some(coherence))
}

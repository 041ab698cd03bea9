//! The rows about what is stored, when, by whom, and what is answered if it goes wrong.

use cloakroom_core::Token;

use super::key::{Key, Reading, reading, spelling};
use super::read::{Read, Wrong, boolean, choice, duration_above_zero, error_status, size};
use crate::text::format_duration;
use crate::{CommitAt, OnShutdown, OnUnreadable, SessionHeader, TwoSessions};

const BOOL: &str = "true or false";
const NODE: &str = "1 to 32 of A-Z, a-z, 0-9, _ and -";
const STATUS: &str = "a status from 400 to 599";

pub(super) const KEYS: &[Key] = &[
    Key {
        ours: spelling(
            "commit",
            "\"response-head\", \"last-exit\", or \"last-exit=\" and a duration of at least 1ms",
            |text| {
                Ok(commit(match text.split_once('=') {
                    Some(("last-exit", at_most)) => CommitAt::LastExit {
                        at_most: duration_above_zero(at_most)?,
                    },
                    _ => choice(
                        text,
                        &[
                            ("response-head", CommitAt::ResponseHead),
                            ("last-exit", CommitAt::last_exit()),
                        ],
                    )?,
                }))
            },
        ),
        aliases: &[spelling("flushOnResponseCommit", BOOL, |text| {
            Ok(commit(if boolean(text)? {
                CommitAt::ResponseHead
            } else {
                CommitAt::last_exit()
            }))
        })],
    },
    Key {
        ours: spelling("commit_on_server_error", BOOL, |text| {
            let commit = boolean(text)?;
            Ok(reading(commit.to_string(), move |to| {
                to.builder.config.commit_on_server_error = commit;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("save_on_create", BOOL, save_on_create),
        aliases: &[spelling("saveOnCreate", BOOL, save_on_create)],
    },
    Key {
        ours: spelling("eager", BOOL, |text| {
            let eager = boolean(text)?;
            Ok(reading(eager.to_string(), move |to| {
                to.builder.config.eager = eager;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("on_shutdown", "\"flush\" or \"destroy\"", |text| {
            let words = [("flush", false), ("destroy", true)];
            Ok(on_shutdown(choice(text, &words)?))
        }),
        aliases: &[spelling("invalidateOnShutdown", BOOL, |text| {
            boolean(text).map(on_shutdown)
        })],
    },
    Key {
        ours: spelling(
            "on_unreadable",
            "\"replace\", \"fail\" or \"remove\"",
            |text| {
                let words = [
                    ("replace", OnUnreadable::Replace),
                    ("fail", OnUnreadable::Fail),
                    ("remove", OnUnreadable::Remove),
                ];
                Ok(on_unreadable(choice(text, &words)?))
            },
        ),
        aliases: &[spelling("removeUnloadableSessions", BOOL, |text| {
            Ok(on_unreadable(if boolean(text)? {
                OnUnreadable::Remove
            } else {
                OnUnreadable::Replace
            }))
        })],
    },
    Key {
        ours: spelling("node", NODE, node),
        aliases: &[spelling("workerName", NODE, node)],
    },
    Key {
        ours: spelling("affinity", BOOL, |text| {
            let affinity = boolean(text)?;
            Ok(reading(affinity.to_string(), move |to| {
                to.builder.config.affinity = affinity;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("max_bytes", "a size above 0, such as \"1MiB\"", |text| {
            let max = usize::try_from(size(text)?)?;
            if max == 0 {
                return Err(Wrong::default());
            }
            Ok(reading(max.to_string(), move |to| {
                to.builder.config.max_bytes = max;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("conflict_status", STATUS, |text| {
            let status = error_status(text)?;
            Ok(reading(status.as_str(), move |to| {
                to.builder.config.conflict_status = status;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("timed_out_status", STATUS, |text| {
            let status = error_status(text)?;
            Ok(reading(status.as_str(), move |to| {
                to.builder.config.timed_out_status = status;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("two_sessions", "\"refuse\" or \"first-wins\"", |text| {
            let words = [
                ("refuse", TwoSessions::Refuse),
                ("first-wins", TwoSessions::FirstWins),
            ];
            let policy = choice(text, &words)?;
            Ok(reading(text.to_ascii_lowercase(), move |to| {
                to.builder.config.two_sessions = policy;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling(
            "outcome_header",
            "the name of a header of your own",
            |text| {
                SessionHeader::new(text).validate()?;
                let name = text.to_owned();
                Ok(reading(text, move |to| {
                    to.builder.outcome_header = Some(name.clone());
                }))
            },
        ),
        aliases: &[],
    },
];

fn commit(at: CommitAt) -> Reading {
    let text = match at {
        CommitAt::ResponseHead => "response-head".to_owned(),
        CommitAt::LastExit { at_most } => format!("last-exit={}", format_duration(at_most)),
    };
    reading(text, move |to| to.builder.config.commit_at = at)
}

fn save_on_create(text: &str) -> Read<Reading> {
    let save = boolean(text)?;
    Ok(reading(save.to_string(), move |to| {
        to.builder.config.save_on_create = save;
    }))
}

fn on_shutdown(destroy: bool) -> Reading {
    let (text, on_shutdown) = if destroy {
        ("destroy", OnShutdown::Destroy)
    } else {
        ("flush", OnShutdown::Flush)
    };
    reading(text, move |to| to.builder.config.on_shutdown = on_shutdown)
}

fn on_unreadable(policy: OnUnreadable) -> Reading {
    let text = match policy {
        OnUnreadable::Replace => "replace",
        OnUnreadable::Fail => "fail",
        OnUnreadable::Remove => "remove",
    };
    reading(text, move |to| to.builder.config.on_unreadable = policy)
}

fn node(text: &str) -> Read<Reading> {
    if !Token::is_node_name(text.as_bytes()) {
        return Err(Wrong::default());
    }
    let name: Box<str> = text.into();
    Ok(reading(text, move |to| {
        to.builder.config.node = Some(name.clone());
    }))
}

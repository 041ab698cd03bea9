//! How each kind of value is read. A reason is what stands behind the name of the option.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use cloakroom::{
    Coherence, CommitAt, Eviction, OnShutdown, OnUnreadable, Refusal, Schedule, Settings, Timeout,
};
use http::StatusCode;

use super::{Carrier, CookieAge, OnCreate};

/// Why a value cannot be taken; empty where the list of what is allowed says it all.
pub(super) type Reason = String;

pub(crate) fn duration(text: &str) -> Result<Duration, Reason> {
    cloakroom::parse_duration(text).map_err(|error| error.to_string())
}

fn positive(text: &str) -> Result<Duration, Reason> {
    match duration(text)? {
        Duration::ZERO => Err("it must be longer than zero".into()),
        duration => Ok(duration),
    }
}

/// An idle timeout; `disabled` is for the layer only.
pub(crate) fn timeout(text: &str) -> Result<Timeout, Reason> {
    match text {
        "never" => Ok(Timeout::Never),
        text => positive(text).map(Timeout::After),
    }
}

pub(super) fn idle(text: &str) -> Result<Timeout, Reason> {
    match text {
        "disabled" => Ok(Timeout::Disabled),
        text => timeout(text),
    }
}

/// A duration, or nothing by one of these words.
pub(super) fn optional(text: &str, nothing: &[&str]) -> Result<Option<Duration>, Reason> {
    if nothing.contains(&text) {
        return Ok(None);
    }
    positive(text).map(Some)
}

pub(super) fn flag(text: &str) -> Result<bool, Reason> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Reason::new()),
    }
}

pub(super) fn count<T: std::str::FromStr>(text: &str) -> Result<T, Reason> {
    text.parse().map_err(|_| Reason::new())
}

pub(super) fn size(text: &str) -> Result<usize, Reason> {
    let bytes = cloakroom::parse_size(text).map_err(|error| error.to_string())?;
    match usize::try_from(bytes) {
        Ok(0) => Err("it must be greater than zero".into()),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err("it is greater than this machine can address".into()),
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, Reason> {
    text.to_socket_addrs()
        .map_err(|error| error.to_string())?
        .next()
        .ok_or_else(|| "the name has no address".into())
}

pub(super) fn word(text: &str) -> Result<String, Reason> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    Ok(text.into())
}

/// What the SQL stores take as the name of a table or a schema.
pub(super) const IDENTIFIER: &str = "1 to 48 of A-Z a-z 0-9 _, the first no digit";

pub(super) fn identifier(text: &str) -> Result<String, Reason> {
    let is_right = (1..=48).contains(&text.len())
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_right {
        Ok(text.into())
    } else {
        Err(Reason::new())
    }
}

pub(super) fn carriers(text: &str) -> Result<Vec<Carrier>, Reason> {
    let mut carriers = Vec::new();
    for part in text.split(',') {
        let carrier = match part.trim() {
            "cookie" => Carrier::Cookie,
            "header" => Carrier::Header,
            _ => return Err(Reason::new()),
        };
        if carriers.contains(&carrier) {
            return Err("a transport is listed twice".into());
        }
        carriers.push(carrier);
    }
    Ok(carriers)
}

pub(super) fn cookie_age(text: &str) -> Result<CookieAge, Reason> {
    match text {
        "session" => Ok(CookieAge::Session),
        "timeout" => Ok(CookieAge::Timeout),
        text => positive(text).map(CookieAge::For),
    }
}

pub(super) fn eviction(text: &str) -> Result<Eviction, Reason> {
    match text {
        "never" => Ok(Eviction::Never),
        "on-exit" => Ok(Eviction::OnExit),
        text => positive(text).map(Eviction::Idle),
    }
}

pub(super) fn coherence(text: &str) -> Result<Coherence, Reason> {
    match text.split_once('=') {
        None => match text {
            "exclusive" => Ok(Coherence::Exclusive),
            "push" => Ok(Coherence::Push),
            "verify" => Ok(Coherence::Verify),
            _ => Err(Reason::new()),
        },
        Some(("bounded", bound)) => positive(bound).map(Coherence::Bounded),
        Some(_) => Err(Reason::new()),
    }
}

pub(super) fn schedule(text: &str) -> Result<Schedule, Reason> {
    text.parse::<Schedule>().map_err(|error| error.to_string())
}

pub(super) fn commit_at(text: &str) -> Result<CommitAt, Reason> {
    match text {
        "response-head" => Ok(CommitAt::ResponseHead),
        "last-exit" => Ok(CommitAt::last_exit()),
        _ => Err(Reason::new()),
    }
}

pub(super) fn on_shutdown(text: &str) -> Result<OnShutdown, Reason> {
    match text {
        "flush" => Ok(OnShutdown::Flush),
        "destroy" => Ok(OnShutdown::Destroy),
        _ => Err(Reason::new()),
    }
}

pub(super) fn on_create(text: &str) -> Result<OnCreate, Reason> {
    let status = match text.split_once('=') {
        None => match text {
            "none" => return Ok(OnCreate::None),
            "fill" => return Ok(OnCreate::Fill),
            "refuse" => return Ok(OnCreate::Refuse(Refusal::default().code())),
            _ => return Err(Reason::new()),
        },
        Some(("refuse", status)) => status.parse::<StatusCode>().map_err(|e| e.to_string())?,
        Some(_) => return Err(Reason::new()),
    };
    if status.is_client_error() || status.is_server_error() {
        Ok(OnCreate::Refuse(status))
    } else {
        Err("it is no status of an error".into())
    }
}

/// `name=value;name=value`; a value may hold anything but a semicolon.
pub(super) fn settings(text: &str) -> Result<Settings, Reason> {
    let mut settings = Settings::default();
    for pair in text.split(';').map(str::trim) {
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| "a name and a value are parted by `=`".to_owned())?;
        settings
            .set(name.trim(), value)
            .map_err(|error| error.to_string())?;
    }
    Ok(settings)
}

pub(super) fn on_unreadable(text: &str) -> Result<OnUnreadable, Reason> {
    match text {
        "replace" => Ok(OnUnreadable::Replace),
        "fail" => Ok(OnUnreadable::Fail),
        "remove" => Ok(OnUnreadable::Remove),
        _ => Err(Reason::new()),
    }
}

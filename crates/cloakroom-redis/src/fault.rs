//! What each error of the server or the driver means: one table, on purpose for every code.

use cloakroom_core::{StoreError, StoreErrorKind};
use redis::{ErrorKind, RedisError};

mod rules;

/// An error, judged.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    kind: StoreErrorKind,
    message: std::borrow::Cow<'static, str>,
    source: Option<RedisError>,
    /// Where the server says that the key is.
    pub(crate) redirect: Option<Redirect>,
    /// The server does not know the script; nothing was run.
    pub(crate) unknown_script: bool,
    /// The connection must not be used again.
    pub(crate) breaks_link: bool,
    /// What is known of roles and slots may be out of date.
    pub(crate) stale_map: bool,
}

/// Another node is in charge of the key; nothing was run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// For good.
    Moved(String),
    /// For this once.
    Ask(String),
}

impl Fault {
    /// Judges an error.
    pub(crate) fn of(source: RedisError) -> Self {
        let code = code(&source);
        let text = source.detail().unwrap_or_default();
        let rule = rules::judge(&code, text, source.kind());
        let redirect = source
            .redirect_node()
            .and_then(|(address, _)| match code.as_str() {
                "MOVED" => Some(Redirect::Moved(address.to_owned())),
                "ASK" => Some(Redirect::Ask(address.to_owned())),
                _ => None,
            });
        Self {
            kind: rule.kind,
            message: rule.message.into(),
            redirect,
            unknown_script: code == "NOSCRIPT",
            breaks_link: rule.breaks_link,
            stale_map: rule.stale_map,
            // A server that does not know a command repeats its arguments: a password among them.
            source: (!text.contains("with args beginning with")).then_some(source),
        }
    }

    /// A reply that belongs to another request.
    pub(crate) fn out_of_step() -> Self {
        Self {
            breaks_link: true,
            ..Self::of(RedisError::from((
                ErrorKind::Parse,
                "the reply belongs to another request",
            )))
        }
    }

    /// A failure that is found on our side.
    pub(crate) fn own(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into(),
            source: None,
            redirect: None,
            unknown_script: false,
            breaks_link: true,
            stale_map: kind == StoreErrorKind::Unavailable,
        }
    }

    /// The connection and the map are fine all the same.
    pub(crate) fn without_consequence(self) -> Self {
        Self {
            breaks_link: false,
            stale_map: false,
            ..self
        }
    }

    /// Whether the same call may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        self.kind == StoreErrorKind::Unavailable
    }

    pub(crate) fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// For the caller of the store.
    pub(crate) fn into_error(self) -> StoreError {
        let error = StoreError::new(self.kind, self.message);
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

/// The code, also where Redis 6.2 hides the error of a command inside that of its script.
fn code(error: &RedisError) -> String {
    let code = error.code().unwrap_or_default();
    let text = error.detail().unwrap_or_default();
    if code == "ERR"
        && text.contains("running script")
        && let Some(hidden) = rules::code_in(text)
    {
        return hidden.to_owned();
    }
    code.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> Fault {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Fault::of(value.extract_error().unwrap_err())
    }

    #[test]
    fn a_password_that_the_server_repeats_is_in_no_error() {
        let echo = "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'hush' ";
        let error = fault(echo).into_error();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert!(!format!("{error} {error:?} {source:?}").contains("hush"));
    }

    #[test]
    fn a_redirect_says_where_to() {
        let moved = Some(Redirect::Moved("127.0.0.1:6381".into()));
        assert_eq!(fault("MOVED 3999 127.0.0.1:6381").redirect, moved);
        let ask = Some(Redirect::Ask("[::1]:6381".into()));
        assert_eq!(fault("ASK 3999 [::1]:6381").redirect, ask);
        assert_eq!(fault("CLUSTERDOWN no").redirect, None);
    }

    #[test]
    fn a_link_to_the_wrong_server_or_out_of_step_is_dropped() {
        assert!(fault("READONLY demoted").breaks_link);
        assert!(Fault::out_of_step().breaks_link && Fault::out_of_step().is_passing());
        let io = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(Fault::of(io.into()).breaks_link);
        assert!(!fault("BUSY script").breaks_link);
        assert!(fault("NOSCRIPT gone").unknown_script);
    }
}

//! Where a token travels: read from the request's headers, written to the response's.

mod candidates;
mod cookie;
mod header;
mod parse;
mod respond;

pub(crate) use self::candidates::{Candidate, Candidates};
pub(crate) use self::cookie::RenderedCookie;
pub use self::cookie::{CookieError, CookieSecure, MaxAge, SameSite, SessionCookie};
pub(crate) use self::header::RenderedHeader;
pub use self::header::{HeaderError, HeaderSend, SessionHeader};
pub(crate) use self::respond::{Answer, Refresh};

/// One way for a token.
#[derive(Debug)]
pub(crate) enum Transport {
    Cookie(Box<RenderedCookie>),
    Header(RenderedHeader),
}

/// The ways of a layer, in the order of their precedence.
#[derive(Debug)]
pub(crate) struct Transports {
    list: Vec<Transport>,
    /// This node's name, if tokens may carry one.
    node: Option<Box<str>>,
    affinity: bool,
    by_scheme: bool,
}

impl Transports {
    pub(crate) fn new(list: Vec<Transport>, node: Option<Box<str>>, affinity: bool) -> Self {
        let by_scheme = list.iter().any(|way| match way {
            Transport::Cookie(cookie) => cookie.goes_by_scheme(),
            Transport::Header(_) => false,
        });
        Self {
            list,
            node,
            affinity,
            by_scheme,
        }
    }

    /// Whether it matters if a request came by https.
    pub(crate) const fn go_by_scheme(&self) -> bool {
        self.by_scheme
    }
}

use std::time::Duration;

/// When the cookie says `Secure`, that is: is never sent over plain http.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieSecure {
    /// Always; the default. Browsers take such a cookie on `http://localhost` too.
    #[default]
    Always,
    /// When the request came by https. Weaker: a session that began over plain http has been seen
    /// by everybody on the way. Jetty's `secureRequestOnly`.
    ///
    /// Over HTTP/1.1 a request does not say how it came: it counts as http unless its extensions
    /// hold [`ClientScheme::Https`](crate::ClientScheme), or a proxy says so that is
    /// [trusted](crate::SessionLayerBuilder::trust_forwarded_proto).
    ByScheme,
    /// Never: everybody on the way can read the token. For development without https.
    InsecureNever,
}

/// Whether the cookie goes along when another site makes the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// Never, not even when a link is followed.
    Strict,
    /// Only when a link is followed; the default.
    #[default]
    Lax,
    /// Always, so that forged requests carry it: bring a defence of your own. Needs `Secure`.
    None,
}

impl SameSite {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// How long a browser keeps the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaxAge {
    /// Until it is closed; the default. No `Max-Age` is written.
    #[default]
    Session,
    /// As long as the session lasts unless it is used; renewed together with touches.
    Timeout,
    /// So long from each time that it is sent, in whole seconds, at most 400 days.
    Fixed(Duration),
}

use std::time::Duration;

/// What the page shows, as plain data.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// What became of the last form, if it said something.
    pub(crate) notice: Option<String>,
    pub(crate) node: Option<String>,
    /// Whether the browser's forms carry the token.
    pub(crate) cookies: bool,
    pub(crate) presented: &'static str,
    pub(crate) ended_reason: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) created_at: Option<String>,
    pub(crate) last_used_at: Option<String>,
    pub(crate) deadline: Option<Deadline>,
    /// When it ends however much it is used.
    pub(crate) latest: Option<String>,
    pub(crate) idle: String,
    pub(crate) is_stale: bool,
    /// Names and JSON texts.
    pub(crate) attributes: Vec<(String, String)>,
    /// Where this page's copy of the session came from.
    pub(crate) origin: &'static str,
    pub(crate) last: Option<LastRequest>,
    /// `None` without an owner.
    pub(crate) own_sessions: Option<Vec<OwnSession>>,
}

/// When the session ends unless it is used.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: String,
    pub(crate) left: Duration,
}

/// What the last request did to the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastRequest {
    pub(crate) request: Option<String>,
    pub(crate) origin: Option<&'static str>,
    pub(crate) effects: Vec<String>,
}

/// One of the owner's live sessions.
#[derive(Clone, Debug)]
pub(crate) struct OwnSession {
    pub(crate) id: String,
    pub(crate) created_at: String,
    pub(crate) last_used_at: String,
    pub(crate) current: bool,
}

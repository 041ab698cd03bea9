//! An application of one route whose handler is given with each request, and a client that keeps
//! its cookie. Over which store, the file `home.rs` of the program says.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use cloakroom::{
    Capabilities, Error, Owner, Reach, Record, Secret, Session, SessionId, SessionLayer,
    SessionLayerBuilder, SessionManager, SessionStore, Timestamp, Token,
};
use cloakroom_conformance::{Counts, Faults, FaultyStore, ManualClock};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::home::{Home, Store};

/// The cookie of a layer that was told nothing else.
pub(crate) const NAME: &str = "__Host-id";

/// Between two looks at what another task does.
const MOMENT: Duration = Duration::from_millis(1);

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;
type Handler = Box<dyn FnOnce(Session) -> Answer + Send>;

/// What one request does with its session.
#[derive(Clone)]
struct Script(Arc<Mutex<Option<Handler>>>);

/// A node: a layer over a store that can be made to fail.
pub(crate) struct App {
    pub(crate) sessions: SessionManager,
    pub(crate) layer: SessionLayer,
    pub(crate) clock: ManualClock,
    pub(crate) faults: Faults,
    pub(crate) store: Store,
    can: Capabilities,
    router: Router,
}

impl App {
    pub(crate) fn new(home: &Home) -> Self {
        Self::with(home, |builder| builder)
    }

    pub(crate) fn with(
        home: &Home,
        configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        Self::node(home.store(), ManualClock::new(home.start()), configure)
    }

    /// A node whose copies are current without another look, whatever its store is.
    pub(crate) async fn trusting(home: &Home) -> Self {
        let app = Self::with(home, |builder| builder.coherence(home.trusting()));
        app.listens().await;
        app
    }

    /// Its feed is up, if there is one: before that every copy is looked at once more. Not for a
    /// node that looks at every use.
    pub(crate) async fn listens(&self) {
        while self.can.reach != Reach::None && !self.sessions.stats().feed_live {
            tokio::time::sleep(MOMENT).await;
        }
    }

    /// A node on this store; two on one store are two managers.
    pub(crate) fn node(
        store: Store,
        clock: ManualClock,
        configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        Self::over(store, clock, Faults::default(), configure)
    }

    fn over(
        store: Store,
        clock: ManualClock,
        faults: Faults,
        configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        let over = FaultyStore::with_faults(store.clone(), faults.clone());
        let can = over.capabilities();
        let builder = SessionLayer::builder(over).clock(clock.clone());
        let layer = configure(builder).build().expect("the settings are right");
        let router = Router::new()
            .route("/", any(play))
            .route("/optional", any(maybe))
            .route("/unused", any(|| async { "unused" }))
            .layer(layer.clone());
        Self {
            sessions: layer.manager().clone(),
            layer,
            clock,
            faults,
            store,
            can,
            router,
        }
    }

    /// As [`node`](Self::node), on a store that says nothing of its changes, as most shared ones.
    pub(crate) fn remote(store: Store, clock: ManualClock) -> Self {
        let faults = Faults::default();
        faults.pretend(Capabilities::default());
        faults.script_feed();
        Self::over(store, clock, faults, |builder| builder)
    }

    /// The feed, where there is one, has told this node what was done until now.
    pub(crate) async fn hears(&self) {
        if self.can.exclusive {
            // It is heard by the housekeeper's task.
            tokio::task::yield_now().await;
        } else if self.can.reach != Reach::None {
            // Notices come in their order: what is told last has all others before it.
            let last = self.visitor().await;
            let ended = self.store.end(last.id(), None).await;
            ended.expect("the store answers");
            while self.presented(&last).await == "active" {
                tokio::time::sleep(MOMENT).await;
            }
        }
    }

    /// What the store was asked for. A look at the stamp of a copy is not counted where it is what
    /// the store's mode costs.
    pub(crate) fn counts(&self) -> Counts {
        self.without_looks(self.faults.counts())
    }

    /// As [`counts`](Self::counts), since the last time.
    pub(crate) fn take_counts(&self) -> Counts {
        self.without_looks(self.faults.take_counts())
    }

    fn without_looks(&self, mut counts: Counts) -> Counts {
        if !self.can.exclusive {
            counts.peek = 0;
        }
        counts
    }

    /// Runs a handler as a request of the client, which keeps the cookie of the response.
    pub(crate) async fn call<F, R>(
        &self,
        client: &mut Client,
        handler: impl FnOnce(Session) -> F + Send + 'static,
    ) -> Reply
    where
        F: Future<Output = Result<R, Error>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        let reply = self.send(client.request(handler)).await;
        client.keep(&reply);
        reply
    }

    /// Starts a handler as a request of the client; its response is kept when the test says so.
    pub(crate) fn start<F, R>(
        &self,
        client: &Client,
        handler: impl FnOnce(Session) -> F + Send + 'static,
    ) -> JoinHandle<Reply>
    where
        F: Future<Output = Result<R, Error>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        let request = client.request(handler);
        let router = self.router.clone();
        tokio::spawn(async move { send(router, request).await })
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        send(self.router.clone(), request).await
    }

    /// A new client with a session that holds `n` = 1.
    pub(crate) async fn visitor(&self) -> Client {
        let mut client = Client::default();
        let reply = self
            .call(&mut client, |s| async move { s.insert("n", 1) })
            .await;
        assert_eq!(reply.status, 200);
        assert!(client.token.is_some(), "a new session sends its token");
        client
    }

    /// A new client with the session of this owner.
    pub(crate) async fn member(&self, name: &'static str) -> Client {
        let mut client = Client::default();
        let reply = self
            .call(&mut client, move |s| async move { s.login(owner(name)) })
            .await;
        assert_eq!(reply.status, 200);
        client
    }

    /// The integer that the client's session holds under this name: `-` if there is none.
    pub(crate) async fn read(&self, client: &Client, name: &'static str) -> String {
        let reply = self
            .send(client.request(move |s| async move { show::<i64>(&s, name) }))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    /// What the client's token is found to be, in one word.
    pub(crate) async fn presented(&self, client: &Client) -> String {
        let reply = self
            .send(client.request(|s| async move { Ok(s.presented().as_str()) }))
            .await;
        reply.body
    }

    /// The row of the client's session, past all faults.
    pub(crate) async fn row(&self, client: &Client) -> Option<Record> {
        let loaded = self.store.load(client.id()).await;
        loaded.expect("the store answers")
    }
}

async fn play(session: Session, Extension(Script(script)): Extension<Script>) -> Response {
    let handler = script.lock().ok().and_then(|mut handler| handler.take());
    match handler {
        Some(handler) => handler(session).await,
        None => "no handler".into_response(),
    }
}

async fn maybe(session: Option<Session>) -> &'static str {
    session.map_or("none", |_| "some")
}

async fn send(router: Router, request: Request<Body>) -> Reply {
    let response = router.oneshot(request).await.expect("a router never fails");
    Reply::of(response).await
}

/// An attribute as text: `-` if there is none.
pub(crate) fn show<T: DeserializeOwned + Display>(
    session: &Session,
    name: &str,
) -> Result<String, Error> {
    let found = session.get::<T>(name)?;
    Ok(found.map_or_else(|| "-".to_owned(), |value| value.to_string()))
}

/// The outcome of a call in one word: `ok`, or the kind of its error.
pub(crate) fn word<T>(result: Result<T, Error>) -> &'static str {
    result.map_or_else(|error| error.kind().as_str(), |_| "ok")
}

/// Adds one to an integer attribute.
pub(crate) fn increment(session: &Session, name: &str) -> Result<i64, Error> {
    session.update(name, |n: Option<i64>| n.unwrap_or(0) + 1)
}

pub(crate) fn owner(name: &str) -> Owner {
    Owner::new(name).expect("a short name is an owner")
}

/// A token that nobody has given out.
pub(crate) fn stranger() -> Token {
    let some_time = Timestamp::from_millis(1_790_000_000_000);
    Token::new(SessionId::generate(some_time), Secret::generate())
}

/// A browser of few words: one cookie, or one header.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    pub(crate) token: Option<String>,
    /// The header that carries the token, if it is no cookie.
    pub(crate) header: Option<&'static str>,
}

impl Client {
    pub(crate) fn holding(token: &Token) -> Self {
        Self {
            token: Some(token.to_text().expose().to_owned()),
            header: None,
        }
    }

    /// The token that it holds.
    pub(crate) fn parsed(&self) -> Token {
        let text = self.token.as_deref().expect("the client holds a token");
        Token::parse(text.as_bytes()).expect("what the layer sends is a token")
    }

    pub(crate) fn id(&self) -> SessionId {
        self.parsed().id()
    }

    pub(crate) fn request<F, R>(
        &self,
        handler: impl FnOnce(Session) -> F + Send + 'static,
    ) -> Request<Body>
    where
        F: Future<Output = Result<R, Error>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        let mut request = self.get("/");
        request.extensions_mut().insert(script(handler));
        request
    }

    pub(crate) fn get(&self, path: &str) -> Request<Body> {
        let request = Request::builder().uri(path);
        let request = match (&self.token, self.header) {
            (None, _) => request,
            (Some(token), None) => request.header(COOKIE, format!("{NAME}={token}")),
            (Some(token), Some(header)) => request.header(header, token),
        };
        request.body(Body::empty()).expect("a request")
    }

    pub(crate) fn keep(&mut self, reply: &Reply) {
        if let Some(header) = self.header {
            match reply.header(header).as_str() {
                "-" => {}
                "" => self.token = None,
                token => self.token = Some(token.to_owned()),
            }
        } else if let Some(cookie) = reply.cookie() {
            let value = cookie.split(';').next().unwrap_or_default();
            let removed = cookie.contains("; Max-Age=0");
            let (_, token) = value.split_once('=').unwrap_or_default();
            self.token = (!removed).then(|| token.to_owned());
        }
    }
}

fn script<F, R>(handler: impl FnOnce(Session) -> F + Send + 'static) -> Script
where
    F: Future<Output = Result<R, Error>> + Send + 'static,
    R: IntoResponse + 'static,
{
    let handler: Handler = Box::new(|session| {
        let answer = handler(session);
        Box::pin(async move { answer.await.into_response() })
    });
    Script(Arc::new(Mutex::new(Some(handler))))
}

/// A request with these lines of our cookie's header, and a handler.
pub(crate) fn with_cookies<F, R>(
    lines: &[&[u8]],
    handler: impl FnOnce(Session) -> F + Send + 'static,
) -> Request<Body>
where
    F: Future<Output = Result<R, Error>> + Send + 'static,
    R: IntoResponse + 'static,
{
    let mut request = Client::default().request(handler);
    for line in lines {
        let value = http::HeaderValue::from_bytes(line).expect("a header value");
        request.headers_mut().append(COOKIE, value);
    }
    request
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body in memory").to_bytes();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// The `Set-Cookie` of our name. There is never more than one.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.cookie_named(NAME)
    }

    pub(crate) fn cookie_named(&self, name: &str) -> Option<&str> {
        let ours = |value: &&str| {
            value
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('='))
        };
        let mut found = self
            .headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter(ours);
        let first = found.next();
        assert!(found.next().is_none(), "one cookie of our name");
        first
    }

    /// A header's value: `-` if there is none.
    pub(crate) fn header(&self, name: &str) -> String {
        let value = self.headers.get(name);
        value.map_or_else(
            || "-".to_owned(),
            |value| String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    }
}

/// A place in a handler where it waits for the test.
pub(crate) fn hold() -> (Point, Held) {
    let (reach, reached) = oneshot::channel();
    let (go, gone) = oneshot::channel();
    (
        Point { reach, gone },
        Held {
            reached: Some(reached),
            go,
        },
    )
}

/// The handler's half.
pub(crate) struct Point {
    reach: oneshot::Sender<()>,
    gone: oneshot::Receiver<()>,
}

impl Point {
    pub(crate) async fn pass(self) {
        self.reach.send(()).ok();
        self.gone.await.ok();
    }
}

/// The test's half.
pub(crate) struct Held {
    reached: Option<oneshot::Receiver<()>>,
    go: oneshot::Sender<()>,
}

impl Held {
    /// The handler waits.
    pub(crate) async fn reached(&mut self) {
        if let Some(reached) = self.reached.take() {
            reached.await.expect("the handler comes to its point");
        }
    }

    /// The handler goes on.
    pub(crate) fn release(self) {
        self.go.send(()).ok();
    }
}

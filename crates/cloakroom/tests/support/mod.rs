//! A client with a cookie, and a layer whose clock stands still.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloakroom::{
    ErrorKind, Schedule, Session, SessionId, SessionLayer, SessionLayerBuilder, SessionStore, Token,
};
use cloakroom_conformance::ManualClock;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use tower::{Layer as _, ServiceExt as _, service_fn};

pub(crate) const MIN: Duration = Duration::from_mins(1);
pub(crate) const MS: Duration = Duration::from_millis(1);

/// A layer over `store` that does by itself only what a test asks for: no job runs.
pub(crate) fn quiet(store: impl SessionStore, clock: &ManualClock) -> SessionLayerBuilder {
    SessionLayer::builder(store)
        .clock(clock.clone())
        .idle_timeout(60 * MIN)
        .poll(Schedule::off())
        .purge(Schedule::off())
}

/// What came of one request.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) status: StatusCode,
    /// Our cookie, as it was sent.
    pub(crate) set_cookie: Option<String>,
    /// Why there was no session.
    pub(crate) error: Option<ErrorKind>,
    value: Option<T>,
}

impl<T> Answer<T> {
    /// What the handler returned; `None` if it did not run or its response was replaced.
    pub(crate) fn value(self) -> Option<T> {
        self.value
    }

    /// The handler's value.
    pub(crate) fn ok(self) -> T {
        let (status, error) = (self.status, self.error);
        let why = || format!("the request succeeds, not {status} {error:?}");
        self.value().ok_or_else(why).expect("no error")
    }
}

/// A browser, as far as cookies go. Clones share the jar.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client(Arc<Mutex<Option<String>>>);

impl Client {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Another browser that has the same cookie now.
    pub(crate) fn fork(&self) -> Self {
        let other = Self::new();
        other.set_cookie(self.cookie());
        other
    }

    pub(crate) fn cookie(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_cookie(&self, cookie: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cookie;
    }

    /// The session that the cookie names.
    pub(crate) fn id(&self) -> SessionId {
        let cookie = self.cookie().expect("there is a cookie");
        Token::parse(cookie.as_bytes()).expect("it is a token").id()
    }

    /// One request whose handler asks for its session.
    pub(crate) fn visit<F, Fut, T>(
        &self,
        layer: &SessionLayer,
        handler: F,
    ) -> impl Future<Output = Answer<T>> + Send + use<F, Fut, T>
    where
        F: FnOnce(Session) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send,
        T: Send + 'static,
    {
        self.visit_answering(layer, |session| async {
            (StatusCode::OK, handler(session).await)
        })
    }

    /// As [`visit`](Self::visit), with a status of the handler's own.
    pub(crate) fn visit_answering<F, Fut, T>(
        &self,
        layer: &SessionLayer,
        handler: F,
    ) -> impl Future<Output = Answer<T>> + Send + use<F, Fut, T>
    where
        F: FnOnce(Session) -> Fut + Send + 'static,
        Fut: Future<Output = (StatusCode, T)> + Send,
        T: Send + 'static,
    {
        let mut request = Request::new(());
        if let Some(cookie) = self.cookie() {
            let line = format!("__Host-id={cookie}");
            let line = line.parse().expect("a token is a header's value");
            request.headers_mut().insert(COOKIE, line);
        }
        let jar = self.clone();
        let layer = layer.clone();
        let mut handler = Some(handler);
        async move {
            let service = layer.layer(service_fn(move |request: Request<()>| {
                let handler = handler.take();
                async move { Ok::<_, std::convert::Infallible>(respond(request, handler).await) }
            }));
            let response = service.oneshot(request).await;
            jar.read(response.unwrap_or_else(|never| match never {}))
        }
    }

    fn read<T>(&self, mut response: Response<Option<T>>) -> Answer<T> {
        let cookies = response.headers().get_all(SET_COOKIE).iter();
        let ours: Vec<String> = cookies
            .map(|line| line.to_str().expect("cookies are ASCII").to_owned())
            .filter(|line| line.starts_with("__Host-id="))
            .collect();
        assert!(ours.len() <= 1, "at most one cookie of our name: {ours:?}");
        let set_cookie = ours.into_iter().next();
        if let Some(line) = &set_cookie {
            let value = line
                .trim_start_matches("__Host-id=")
                .split(';')
                .next()
                .filter(|value| !value.is_empty());
            self.set_cookie(value.map(ToOwned::to_owned));
        }
        Answer {
            status: response.status(),
            set_cookie,
            error: response.extensions_mut().remove(),
            value: response.into_body(),
        }
    }
}

async fn respond<F, Fut, T>(request: Request<()>, handler: Option<F>) -> Response<Option<T>>
where
    F: FnOnce(Session) -> Fut,
    Fut: Future<Output = (StatusCode, T)>,
{
    let (parts, ()) = request.into_parts();
    match Session::load(&parts).await {
        Ok(session) => {
            let handler = handler.expect("a service answers one request");
            let (status, value) = handler(session).await;
            let mut response = Response::new(Some(value));
            *response.status_mut() = status;
            response
        }
        Err(error) => {
            let mut response = Response::new(None);
            *response.status_mut() = error.kind().status();
            response.extensions_mut().insert(error.kind());
            response
        }
    }
}

/// A handler's change: counts its calls in the session.
pub(crate) async fn count(session: Session) -> u64 {
    session
        .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
        .expect("the session can be written")
}

/// A handler that reads the count.
pub(crate) async fn read(session: Session) -> Option<u64> {
    session.get("n").expect("the session can be read")
}

#[tokio::test]
async fn the_client_keeps_its_cookie_until_it_is_removed() {
    let clock = ManualClock::default();
    let layer = quiet(cloakroom::MemoryStore::new(), &clock)
        .touch_interval(MS)
        .build()
        .unwrap();
    let client = Client::new();
    let first = client.visit(&layer, count).await;
    assert!(first.set_cookie.is_some() && first.status == StatusCode::OK);
    assert_eq!(client.fork().visit(&layer, read).await.ok(), Some(1));
    assert!(layer.manager().exists(client.id()).await.unwrap());
    let failed = client
        .visit_answering(&layer, |session| async move {
            (StatusCode::INTERNAL_SERVER_ERROR, count(session).await)
        })
        .await;
    assert_eq!(
        (failed.status, failed.error),
        (StatusCode::INTERNAL_SERVER_ERROR, None)
    );
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
    let logout = |session: Session| async move { session.destroy().unwrap() };
    client.visit(&layer, logout).await.ok();
    assert_eq!(client.cookie(), None);
}

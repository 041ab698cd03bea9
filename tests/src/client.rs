use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

type Body = Full<std::io::Cursor<Vec<u8>>>;

/// A browser without a screen: keeps cookies, follows no redirect. Clones share the jar.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: legacy::Client<HttpConnector, Body>,
    jar: Arc<Mutex<BTreeMap<String, String>>>,
    headers: HeaderMap,
}

/// A whole response.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client with an empty jar that speaks HTTP/1.1.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self {
            base: format!("http://{address}"),
            http: legacy::Client::builder(TokioExecutor::new()).build_http(),
            jar: Arc::default(),
            headers: HeaderMap::new(),
        }
    }

    /// The same browser over HTTP/2 with prior knowledge.
    #[must_use]
    pub fn over_http2(mut self) -> Self {
        self.http = legacy::Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http();
        self
    }

    /// The same jar in front of another node.
    #[must_use]
    pub fn at(&self, address: &str) -> Self {
        Self {
            base: format!("http://{address}"),
            ..self.clone()
        }
    }

    /// Another browser with a copy of the cookies: a stolen or a planted cookie.
    #[must_use]
    pub fn copy(&self) -> Self {
        let jar = self.cookies();
        Self {
            jar: Arc::new(Mutex::new(jar)),
            ..self.clone()
        }
    }

    /// Sends this header with every request.
    ///
    /// # Panics
    ///
    /// If the header is malformed.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header name");
        self.headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
        self
    }

    /// The cookies in the jar.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn cookies(&self) -> BTreeMap<String, String> {
        self.jar.lock().expect("the jar is sound").clone()
    }

    /// The session cookie under the playground's default name.
    #[must_use]
    pub fn token(&self) -> Option<String> {
        self.cookies().remove("id")
    }

    /// Puts a cookie into the jar.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.jar
            .lock()
            .expect("the jar is sound")
            .insert(name.into(), value.into());
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// If the connection breaks.
    ///
    /// # Panics
    ///
    /// If the path is malformed.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::new(Full::new(std::io::Cursor::new(body.into())));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.base).parse().expect("a path");
        *request.headers_mut() = self.headers.clone();
        let cookies: Vec<String> = self
            .cookies()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            let line = HeaderValue::try_from(cookies.join("; ")).expect("cookies are text");
            request.headers_mut().append(COOKIE, line);
        }
        let response = self.http.request(request).await?;
        let (head, body) = response.into_parts();
        self.keep(&head.headers);
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    fn keep(&self, headers: &HeaderMap) {
        let mut jar = self.jar.lock().expect("the jar is sound");
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().expect("a cookie is text");
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            if attributes
                .split(';')
                .any(|attribute| attribute.trim() == "Max-Age=0")
            {
                jar.remove(name);
            } else {
                jar.insert(name.into(), value.into());
            }
        }
    }

    /// Like [`try_send`](Self::try_send) for requests that must be answered.
    ///
    /// # Panics
    ///
    /// If the connection breaks.
    pub async fn send(&self, method: Method, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let name = format!("{method} {path}");
        match self.try_send(method, path, body).await {
            Ok(answer) => answer,
            Err(error) => broken(&name, &*error),
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await
    }

    /// `PUT` of a JSON text.
    pub async fn put(&self, path: &str, json: &str) -> Answer {
        self.send(Method::PUT, path, json).await
    }

    /// `POST` of a JSON text.
    pub async fn post(&self, path: &str, json: &str) -> Answer {
        self.send(Method::POST, path, json).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "").await
    }

    /// What `/api/session` says.
    ///
    /// # Panics
    ///
    /// If it does not answer with 200.
    pub async fn session(&self) -> Value {
        let answer = self.get("/api/session").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// How many requests have looked at their session so far.
    ///
    /// # Panics
    ///
    /// If the statistics do not say.
    pub async fn looked_at(&self) -> u64 {
        let stats = self.get("/api/stats").await.json();
        let presented = stats.get("presented").and_then(Value::as_object);
        let counts = presented
            .expect("the statistics count what was presented")
            .values();
        counts.filter_map(Value::as_u64).sum()
    }

    /// One figure of `/api/stats`, by its path: `/l1/hits`.
    ///
    /// # Panics
    ///
    /// If there is no such figure.
    pub async fn figure(&self, path: &str) -> u64 {
        let stats = self.get("/api/stats").await.json();
        let figure = stats.pointer(path).and_then(Value::as_u64);
        figure.unwrap_or_else(|| missing(path, &stats))
    }
}

#[expect(clippy::panic, reason = "a test without its answer cannot go on")]
fn broken(request: &str, error: &dyn std::error::Error) -> ! {
    panic!(
        "{request} is answered, instead of: {error} ({:?})",
        error.source()
    )
}

#[expect(clippy::panic, reason = "a test without its figure cannot go on")]
fn missing(path: &str, stats: &Value) -> ! {
    panic!("{path} is a figure of {stats}")
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The Set-Cookie lines.
    ///
    /// # Panics
    ///
    /// If one is not text.
    #[must_use]
    pub fn set_cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all(SET_COOKIE).iter();
        lines
            .map(|line| line.to_str().expect("a cookie is text").to_owned())
            .collect()
    }

    /// Asserts a status and the kind of an error.
    ///
    /// # Panics
    ///
    /// If either is another.
    pub fn assert_refused(&self, status: u16, kind: &str) {
        assert_eq!(
            (self.status.as_u16(), self.text()),
            (status, format!("{{\"error\":\"{kind}\"}}"))
        );
    }

    /// Asserts a status.
    ///
    /// # Panics
    ///
    /// If it is another.
    pub fn assert_status(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
    }
}

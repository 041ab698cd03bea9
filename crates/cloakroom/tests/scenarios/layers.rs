//! How layers stand beside and inside each other, and what watches over them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use cloakroom::{Event, Job, Refusal, Schedule, Session, SessionCookie, SessionLayer, Tagged};
use cloakroom_conformance::{Faults, Op};
use http::StatusCode;
use tower::ServiceExt;

use crate::harness::{App, Client, NAME, Reply, increment, owner, show, stranger};
use crate::home::{Home, Store};

scenarios! {
    a_request_that_never_asks_costs_no_store_call_and_no_cookie,
    a_preflight_creates_nothing,
    the_same_layer_twice_is_one_session_with_one_cookie_and_one_commit,
    two_managers_with_one_tag_and_one_cookie_are_one_session_of_the_inner,
    two_layers_with_different_names_are_two_sessions_that_one_handler_can_reach,
    scopes_share_a_session_and_not_their_attributes,
    a_layer_on_many_routes_is_one_housekeeper_and_one_cache:
        only_memory("it counts the tasks of the runtime, and a driver has tasks of its own"),
    two_layers_have_a_housekeeper_each_which_ends_with_the_last_of_its_clones:
        only_memory("it counts the tasks of the runtime, and a driver has tasks of its own"),
    a_housekeeper_that_meets_errors_backs_off_and_goes_on:
        only_memory("the timers of the test stand still, a server does not"),
    a_purge_goes_in_batches:
        only_memory("thousands of rows, one by one: the purge at scale is in the store's own crate"),
    a_flood_of_random_ids_stores_nothing,
    a_listener_that_panics_keeps_nobody_alive,
    a_commit_that_finds_its_session_gone_is_an_event,
    a_hook_on_create_adds_attributes_or_refuses,
    with_eager_sessions_an_outage_is_still_no_session,
    a_session_that_was_never_sent_is_not_taken_back,
    an_id_that_is_taken_leads_to_another_one,
    no_token_reaches_the_logs,
}

struct Admin;

async fn alive() -> usize {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

async fn count(session: Session) -> Result<String, cloakroom::Error> {
    increment(&session, "n").map(|n| n.to_string())
}

async fn count_both(session: Session, admin: Tagged<Admin>) -> Result<String, cloakroom::Error> {
    let visitor = increment(&session, "n")?;
    let admin = increment(&admin, "n")? + 10;
    Ok(format!("{visitor} {admin} {}", session.keys()?.len()))
}

async fn send(router: &Router, request: http::Request<axum::body::Body>) -> Reply {
    Reply::of(
        router
            .clone()
            .oneshot(request)
            .await
            .expect("a router never fails"),
    )
    .await
}

async fn a_request_that_never_asks_costs_no_store_call_and_no_cookie(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    app.take_counts();
    for who in [&client, &Client::default()] {
        let reply = app.send(who.get("/unused")).await;
        assert_eq!((reply.status, reply.cookie()), (200, None));
    }
    assert_eq!(app.counts().total(), 0);
    assert_eq!(
        app.sessions.stats().presented.active,
        0,
        "not even looked at"
    );
}

async fn a_preflight_creates_nothing(home: &Home) {
    let app = App::new(home);
    let router: Router = Router::new()
        .route("/", get(count))
        .layer(app.layer.clone());
    let mut request = Client::default().get("/");
    *request.method_mut() = http::Method::OPTIONS;
    let reply = send(&router, request).await;
    assert_eq!((reply.status, reply.cookie()), (405, None));
    assert_eq!(app.counts().total(), 0);
}

async fn the_same_layer_twice_is_one_session_with_one_cookie_and_one_commit(home: &Home) {
    let app = App::new(home);
    let router: Router = Router::new()
        .route("/", any(count))
        .layer(app.layer.clone())
        .layer(app.layer.clone());
    let mut client = Client::default();
    let reply = send(&router, client.get("/")).await;
    assert!(
        reply.cookie().is_some(),
        "and only one, or `cookie` would fail"
    );
    client.keep(&reply);
    assert_eq!(send(&router, client.get("/")).await.body, "2");
    let counts = app.counts();
    assert_eq!((counts.create, counts.save, app.store.len()), (1, 1, 1));
}

async fn two_managers_with_one_tag_and_one_cookie_are_one_session_of_the_inner(home: &Home) {
    let (outer, inner) = (App::new(home), App::new(home));
    let router: Router = Router::new()
        .route("/", any(count))
        .layer(inner.layer.clone())
        .layer(outer.layer.clone());
    let mut client = Client::default();
    client.keep(&send(&router, client.get("/")).await);
    assert_eq!(send(&router, client.get("/")).await.body, "2");
    assert_eq!((inner.store.len(), outer.store.len()), (1, 0));
}

async fn two_layers_with_different_names_are_two_sessions_that_one_handler_can_reach(home: &Home) {
    let visitors = SessionLayer::builder(home.store()).build().unwrap();
    let admins = SessionLayer::builder(home.store())
        .cookie(SessionCookie::new("__Host-admin"))
        .tag::<Admin>()
        .build()
        .unwrap();
    for turned in [false, true] {
        let router: Router = Router::new().route("/", any(count_both));
        let router = if turned {
            router.layer(visitors.clone()).layer(admins.clone())
        } else {
            router.layer(admins.clone()).layer(visitors.clone())
        };
        let reply = send(&router, Client::default().get("/")).await;
        assert_eq!(reply.body, "1 11 1");
        let pair = |name| {
            let cookie = reply.cookie_named(name).unwrap();
            cookie.split(';').next().unwrap().to_owned()
        };
        let line = format!("{}; {}", pair(NAME), pair("__Host-admin"));
        let mut request = Client::default().get("/");
        request
            .headers_mut()
            .insert("cookie", line.parse().unwrap());
        assert_eq!(send(&router, request).await.body, "2 12 1");
    }
}

async fn scopes_share_a_session_and_not_their_attributes(home: &Home) {
    let app = App::new(home);
    let router: Router = Router::new()
        .route("/", any(count_both))
        .layer(app.layer.scope::<Admin>("admin"))
        .layer(app.layer.clone());
    let mut client = Client::default();
    let reply = send(&router, client.get("/")).await;
    assert_eq!(reply.body, "1 11 1");
    client.keep(&reply);
    assert_eq!(send(&router, client.get("/")).await.body, "2 12 1");
    assert_eq!(app.store.len(), 1);
}

async fn a_layer_on_many_routes_is_one_housekeeper_and_one_cache(home: &Home) {
    let app = App::new(home);
    let mut router = Router::new();
    for n in 0..50 {
        router = router.route(&format!("/{n}"), any(count));
    }
    let router: Router = router.layer(app.layer.clone());
    assert_eq!(alive().await, 1);
    let mut client = Client::default();
    client.keep(&send(&router, client.get("/0")).await);
    app.take_counts();
    for n in 1..50 {
        let reply = send(&router, client.get(&format!("/{n}"))).await;
        assert_eq!(reply.body, (n + 1).to_string());
    }
    assert_eq!(app.counts().load, 0);
    assert_eq!(alive().await, 1);
}

async fn two_layers_have_a_housekeeper_each_which_ends_with_the_last_of_its_clones(home: &Home) {
    let (a, b) = (App::new(home), App::new(home));
    assert_eq!(alive().await, 2);
    let clone = a.layer.clone();
    drop(a);
    assert_eq!(alive().await, 2);
    drop(clone);
    assert_eq!(alive().await, 1);
    let manager = b.sessions.clone();
    drop(b);
    assert_eq!(alive().await, 1, "the manager is still held");
    drop(manager);
    assert_eq!(alive().await, 0);
}

#[test]
fn the_next_request_starts_the_housekeeper_again_when_its_runtime_has_died() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let app = first.block_on(async { App::new(&Home) });
    drop(first);
    runtime().block_on(async {
        assert_eq!(alive().await, 0);
        let client = app.visitor().await;
        assert_eq!(alive().await, 1);
        assert_eq!(app.read(&client, "n").await, "1");
    });
}

#[test]
fn a_layer_that_is_built_outside_of_a_runtime_starts_its_housekeeper_with_the_first_request() {
    let app = App::new(&Home);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            assert_eq!(alive().await, 0);
            app.visitor().await;
            assert_eq!(alive().await, 1);
        });
}

async fn a_housekeeper_that_meets_errors_backs_off_and_goes_on(home: &Home) {
    tokio::time::pause();
    let app = App::with(home, |builder| {
        builder
            .purge(Schedule::every(Duration::from_secs(1)))
            .poll(Schedule::off())
    });
    app.faults.fail(Op::Purge, 5);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let early = app.counts().purge;
    assert!((2..=5).contains(&early), "it backs off: {early}");
    let report = app.sessions.stats().housekeeper.purge.unwrap();
    assert!(
        report
            .error
            .is_some_and(|error| error.contains("unavailable"))
    );
    tokio::time::sleep(Duration::from_mins(1)).await;
    let report = app.sessions.stats().housekeeper.purge.unwrap();
    assert_eq!(report.error, None, "and goes on");
    assert!(app.counts().purge > 20);
}

async fn a_purge_goes_in_batches(home: &Home) {
    let app = App::with(home, |builder| {
        builder.purge(Schedule::off()).poll(Schedule::off())
    });
    for _ in 0..1_200 {
        app.visitor().await;
    }
    app.clock.advance(Duration::from_hours(24));
    app.take_counts();
    let report = app.sessions.run_now(Job::Purge).await.unwrap();
    assert_eq!((report.expired, report.purged), (1_200, 1_200));
    assert!(app.store.is_empty());
    let counts = app.take_counts();
    assert!(counts.purge >= 3 && counts.expire >= 3, "{counts:?}");
}

async fn a_flood_of_random_ids_stores_nothing(home: &Home) {
    let app = App::new(home);
    for _ in 0..home.rounds(10_000) {
        let token = Client::holding(&stranger());
        assert_eq!(app.presented(&token).await, "unknown");
    }
    assert!(app.store.is_empty());
    assert_eq!(app.sessions.stats().l1.entries, 0);
    assert_eq!(app.counts().writes(), 0);
}

async fn a_listener_that_panics_keeps_nobody_alive(home: &Home) {
    let told = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&told);
    let app = App::with(home, |builder| {
        builder
            .listener(|event| assert!(!matches!(event, Event::Ended { .. }), "on purpose"))
            .listener(move |event| {
                if matches!(event, Event::Ended { .. }) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
    });
    let mut client = app.visitor().await;
    let old = client.clone();
    let reply = app.call(&mut client, |s| async move { s.destroy() }).await;
    assert_eq!((reply.status, client.token), (200, None));
    assert_eq!(app.presented(&old).await, "ended");
    assert_eq!(
        told.load(Ordering::Relaxed),
        1,
        "the next listener is told all the same"
    );
}

async fn a_commit_that_finds_its_session_gone_is_an_event(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let id = client.id();
    let (point, mut at) = crate::harness::hold();
    let slow = app.start(&client, |s| async move {
        s.insert("n", 2)?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.destroy() }).await;
    let mut events = app.sessions.events();
    at.release();
    slow.await.unwrap();
    match events.next().await {
        Some(Event::Gone { id: gone }) => assert_eq!(gone, id),
        other => panic!("{other:?}"),
    }
}

async fn a_hook_on_create_adds_attributes_or_refuses(home: &Home) {
    let app = App::with(home, |builder| {
        builder.on_create(async |session: Session| {
            let n = session.get::<i64>("n").map_err(|_| Refusal::default())?;
            if n == Some(13) {
                return Err(Refusal::status(StatusCode::FORBIDDEN));
            }
            session
                .insert("theme", "dark")
                .map_err(|_| Refusal::default())
        })
    });
    let client = app.visitor().await;
    let theme = app
        .send(client.request(|s| async move { show::<String>(&s, "theme") }))
        .await;
    assert_eq!(theme.body, "dark");
    let reply = app
        .send(Client::default().request(|s| async move { s.insert("n", 13) }))
        .await;
    assert_eq!(
        (reply.status, reply.body.as_str(), reply.cookie()),
        (403, "", None)
    );
    assert_eq!(app.store.len(), 1);
}

async fn with_eager_sessions_an_outage_is_still_no_session(home: &Home) {
    for save in [false, true] {
        let app = App::with(home, |builder| {
            if save {
                builder.save_on_create(true)
            } else {
                builder.eager(true)
            }
        });
        app.faults.fail(Op::Create, Faults::ALWAYS);
        let reply = app
            .send(Client::default().request(|s| async move { show::<i64>(&s, "n") }))
            .await;
        assert_eq!((reply.status, reply.cookie()), (503, None));
        app.faults.clear();
        let mut client = Client::default();
        let reply = app
            .call(&mut client, |s| async move { show::<i64>(&s, "n") })
            .await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "-"));
        assert!(client.token.is_some());
    }
}

async fn a_session_that_was_never_sent_is_not_taken_back(home: &Home) {
    let app = App::with(home, |builder| builder.save_on_create(true));
    let end = |s: Session| async move { s.destroy() };
    let nobody = Client::default();
    let reply = app.send(nobody.request(end)).await;
    assert_eq!((reply.status, reply.cookie()), (200, None));
    let reply = app
        .send(nobody.request(|s| async move {
            s.insert("n", 1)?;
            s.commit().await?;
            s.destroy()
        }))
        .await;
    assert_eq!((reply.status, reply.cookie()), (200, None));
    // A token that opens nothing is taken back all the same.
    let mut visitor = app.visitor().await;
    let other = App::with(home, |builder| builder.save_on_create(true));
    let reply = other.call(&mut visitor, end).await;
    assert!(
        reply
            .cookie()
            .is_some_and(|cookie| cookie.contains("Max-Age=0"))
    );
}

async fn an_id_that_is_taken_leads_to_another_one(home: &Home) {
    // The store says once that the id exists.
    let app = App::new(home);
    let planted = app.visitor().await;
    let taken = Taken {
        store: app.store.clone(),
        id: planted.id(),
        times: AtomicUsize::new(1),
    };
    let layer = SessionLayer::builder(taken)
        .clock(app.clock.clone())
        .build()
        .unwrap();
    let router: Router = Router::new().route("/", any(count)).layer(layer);
    let before = app.row(&planted).await;
    let mut client = Client::default();
    let reply = send(&router, client.get("/")).await;
    assert_eq!(reply.status, 200);
    client.keep(&reply);
    assert_ne!(client.id(), planted.id());
    assert_eq!(
        app.row(&planted).await,
        before,
        "what was there is untouched"
    );
    assert_eq!(app.store.len(), 2);
}

/// A store whose next creates all meet an id that exists.
struct Taken {
    store: Store,
    id: cloakroom::SessionId,
    times: AtomicUsize,
}

mod taken {
    use std::sync::atomic::Ordering;

    use cloakroom::{
        Capabilities, ChangeFeed, CreateOutcome, Due, Owner, Page, Peek, Record, SaveOutcome,
        SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
    };

    use super::Taken;

    impl SessionStore for Taken {
        async fn create(&self, id: SessionId, r: &Record) -> Result<CreateOutcome, StoreError> {
            let less = |times: usize| times.checked_sub(1);
            let hit = self
                .times
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
                .is_ok();
            self.store.create(if hit { self.id } else { id }, r).await
        }
        async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
            self.store.load(id).await
        }
        async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
            self.store.peek(id).await
        }
        async fn save(
            &self,
            id: SessionId,
            r: &Record,
            e: Stamp,
        ) -> Result<SaveOutcome, StoreError> {
            self.store.save(id, r, e).await
        }
        async fn touch(
            &self,
            id: SessionId,
            e: Stamp,
            t: Times,
        ) -> Result<TouchOutcome, StoreError> {
            self.store.touch(id, e, t).await
        }
        async fn end(
            &self,
            id: SessionId,
            t: Option<&Record>,
        ) -> Result<Option<Record>, StoreError> {
            self.store.end(id, t).await
        }
        async fn expire(
            &self,
            now: Timestamp,
            due: Due<'_>,
        ) -> Result<Vec<(SessionId, Record)>, StoreError> {
            self.store.expire(now, due).await
        }
        async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
            self.store.purge(now, limit).await
        }
        async fn owned_by(&self, owner: &Owner, page: Page) -> Result<Vec<SessionId>, StoreError> {
            self.store.owned_by(owner, page).await
        }
        fn capabilities(&self) -> Capabilities {
            self.store.capabilities()
        }
        fn changes(&self) -> Option<ChangeFeed> {
            self.store.changes()
        }
    }
}

async fn no_token_reaches_the_logs(home: &Home) {
    use crate::logs::Logs;
    let logs = Logs::default();
    let _guard = tracing::subscriber::set_default(logs.clone());
    for header in [None, Some("x-session")] {
        // Other threads meet the same log lines without a subscriber: in the second round each line
        // is known, and known to be heard here.
        tracing::callsite::rebuild_interest_cache();
        let app = App::with(home, |builder| match header {
            None => builder,
            Some(name) => builder.header(cloakroom::SessionHeader::new(name)),
        });
        let mut issued = Vec::new();
        let mut client = Client {
            header,
            ..Client::default()
        };
        app.call(&mut client, |s| async move { s.insert("n", 1) })
            .await;
        issued.push(client.token.clone().unwrap());
        app.call(&mut client, |s| async move { s.login(owner("ada")) })
            .await;
        issued.push(client.token.clone().unwrap());
        app.sessions.reset();
        app.faults.fail_all();
        app.call(&mut client, |s| async move { s.insert("n", 1) })
            .await;
        app.faults.clear();
        app.call(&mut client, |s| async move { s.insert("n", 3) })
            .await;
        app.faults.fail(Op::Save, 1);
        app.call(&mut client, |s| async move { s.renew() }).await;
        app.faults
            .corrupt(Op::Load, cloakroom_conformance::Corruption::EmptyHead, 1);
        app.sessions.reset();
        app.presented(&client).await;
        app.call(&mut client, |s| async move { s.destroy() }).await;
        let text = logs.text();
        for token in issued {
            // The last 26 characters are nothing but the secret.
            assert!(!text.contains(&token[22..]), "{header:?}");
        }
    }
    let text = logs.text();
    for span in ["session_load ", "session_commit "] {
        assert!(text.contains(span), "{span} in {text}");
    }
    assert!(text.contains("session created"), "the logs were caught");
    assert!(text.contains("store call failed"), "{text}");
}

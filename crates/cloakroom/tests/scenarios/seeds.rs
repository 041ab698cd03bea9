//! Rows of the compatibility page (`docs/compatibility.md`) that no other test shows.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom::{
    BuildError, Cache, Coherence, EndReason, ErrorKind, Event, LiveSession, NotLive, OnUnreadable,
    Owner, Presented, Refusal, Session, SessionLayer, Tagged, Timeout,
};
use cloakroom_conformance::{Corruption, Faults, FaultyStore, ManualClock, Op};
use http::header::{COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use tower::util::BoxService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::home::Home;
use crate::support::{Client, MIN, MS, count, quiet, read};

scenarios! {
    l1_bounded_by_bytes_holds_no_more_than_that,
    all_sessions_of_an_owner_end_for_every_manager_of_the_store,
    a_client_whose_session_has_timed_out_is_told_so_by_header_and_status: minutes_ago(75),
    a_hook_fills_each_new_session_on_top_of_what_the_handler_wrote,
    a_hook_that_refuses_stores_nothing_and_sends_no_cookie,
    with_eager_sessions_the_hook_runs_before_the_handler,
    an_eager_session_is_stored_also_by_a_request_that_fails_and_is_empty_then,
    a_manager_finds_a_session_by_its_id_and_ends_it_once,
    a_reset_empties_l1_and_ends_nothing,
    scopes_share_one_session_and_one_cookie_and_see_only_their_own_attributes,
    events_tell_attributes_of_scopes_apart,
    two_layers_with_tags_are_two_independent_sessions,
    a_record_names_the_node_that_wrote_last_and_a_read_changes_nothing,
    listeners_and_streams_hear_what_happened_and_one_that_panics_hurts_nobody,
    a_session_that_is_made_and_ended_by_one_request_never_reaches_the_store,
    an_unreadable_record_is_replaced_or_refused_or_removed,
    an_outage_removes_no_record,
    expiration_is_checked_for_candidates_and_ends_those_that_are_due: minutes_ago(75),
    wrong_settings_are_refused_by_name_when_the_layer_is_built,
    a_session_tells_when_it_was_made_used_and_ends,
    statistics_tell_the_most_sessions_in_memory_and_how_long_sessions_lasted:
        only_memory("the figures of one manager, whatever its store"),
    a_refused_new_session_leaves_the_old_one_of_a_login_alive,
    a_layer_in_front_may_bring_the_token_from_the_address,
}

async fn presented(session: Session) -> Presented {
    session.presented()
}

fn ada() -> Owner {
    Owner::new("ada").expect("a valid name")
}

/// S2: `size`, in bytes.
async fn l1_bounded_by_bytes_holds_no_more_than_that(home: &Home) {
    let store = home.store();
    let layer = quiet(store, &ManualClock::new(home.start()))
        .cache(Cache::bytes(20_000))
        .build()
        .unwrap();
    let clients: Vec<Client> = (0..40).map(|_| Client::new()).collect();
    for client in &clients {
        let fill = |session: Session| async move { session.insert("text", "x".repeat(1_000)) };
        client.visit(&layer, fill).await.ok().unwrap();
    }
    let entries = layer.manager().stats().l1.entries;
    assert!(
        (5..=20).contains(&entries),
        "{entries} of a kilobyte and more"
    );
    for client in &clients {
        let there = |session: Session| async move { session.contains("text") };
        assert_eq!(client.visit(&layer, there).await.ok().ok(), Some(true));
    }
}

/// S7: access is checked again when somebody's rights change.
async fn all_sessions_of_an_owner_end_for_every_manager_of_the_store(home: &Home) {
    let (store, clock) = (home.store(), ManualClock::new(home.start()));
    let here = quiet(store.clone(), &clock).build().unwrap();
    let there = quiet(store, &clock).build().unwrap();
    let clients = [Client::new(), Client::new()];
    for client in &clients {
        let login = |session: Session| async move { session.login(ada()) };
        client.visit(&here, login).await.ok().unwrap();
        let outcome = client.visit(&there, presented).await.ok();
        assert_eq!(outcome, Presented::Active);
    }
    let keep = clients[1].id();
    let ended = here.manager().destroy_owned_by(&ada(), Some(keep)).await;
    assert_eq!(ended.unwrap(), 1);
    let mut outcome = Presented::Active;
    // The feed, where there is one, takes its time to tell.
    while outcome == Presented::Active {
        tokio::time::sleep(MS).await;
        outcome = clients[0].visit(&there, presented).await.ok();
    }
    let revoked = matches!(
        outcome,
        Presented::Ended {
            reason: EndReason::Revoked,
            ..
        }
    );
    assert!(revoked, "{outcome:?}");
    let outcome = clients[1].visit(&there, presented).await.ok();
    assert_eq!(outcome, Presented::Active);
}

/// J1, J2, J3, J15: 0, minutes with fractions, -1.
#[test]
fn timeouts_are_read_as_jarvis_writes_them() {
    let after = |seconds| Timeout::After(Duration::from_secs(seconds));
    let table = [
        (0.0, Timeout::Disabled),
        (-1.0, Timeout::Never),
        (0.5, after(30)),
        (20.0, after(1_200)),
    ];
    for (minutes, expected) in table {
        assert_eq!(Timeout::from_minutes(minutes), Ok(expected), "{minutes}");
    }
    for wrong in [-2.0, -0.5, f64::NAN, f64::INFINITY, 1e300, 0.000_01] {
        let error = Timeout::from_minutes(wrong).unwrap_err().to_string();
        assert!(error.contains("-1 (never)"), "{error}");
    }
}

/// J9: the client is told that its session timed out.
async fn a_client_whose_session_has_timed_out_is_told_so_by_header_and_status(home: &Home) {
    let told = async |timed_out: Option<StatusCode>| {
        let clock = ManualClock::new(home.start());
        let builder = quiet(home.store(), &clock)
            .touch_interval(MS)
            .outcome_header("x-session-outcome");
        let layer = match timed_out {
            Some(status) => builder.timed_out_status(status),
            None => builder,
        };
        let layer = layer.build().unwrap();
        let client = Client::new();
        client.visit(&layer, count).await.ok();
        let cookie = format!("__Host-id={}", client.cookie().unwrap());
        let mut all = Vec::new();
        for pass in [Duration::ZERO, 60 * MIN + MS, 2 * 60 * MIN] {
            clock.advance(pass);
            let status = Arc::new(Mutex::new(None));
            let found = Arc::clone(&status);
            let response = send(&[&layer], &cookie, |parts| async move {
                let refused = LiveSession::load(&parts).await.err();
                let status = refused.map(|refused| match refused {
                    NotLive::Presented { status, .. } => status.as_u16(),
                    other => panic!("{other}"),
                });
                *found.lock().unwrap() = status;
            })
            .await;
            let outcome = response.headers()["x-session-outcome"].to_str().unwrap();
            all.push((outcome.to_owned(), *status.lock().unwrap()));
        }
        all
    };
    let expected = |timed_out| {
        [
            ("active".to_owned(), None),
            ("timed_out".to_owned(), Some(timed_out)),
            ("unknown".to_owned(), Some(401)),
        ]
    };
    assert_eq!(told(None).await, expected(440));
    assert_eq!(told(Some(StatusCode::FORBIDDEN)).await, expected(403));
}

/// J11: `SessionInitFn`.
async fn a_hook_fills_each_new_session_on_top_of_what_the_handler_wrote(home: &Home) {
    let layer = quiet(home.store(), &ManualClock::new(home.start()))
        .on_create(async |session: Session| {
            let seen: Option<u64> = session.get("n").map_err(|_| Refusal::default())?;
            session.insert("seen", seen).map_err(|_| Refusal::default())
        })
        .build()
        .unwrap();
    let client = Client::new();
    client.visit(&layer, count).await.ok();
    client.visit(&layer, count).await.ok();
    let seen = |session: Session| async move { session.get::<u64>("seen") };
    assert_eq!(
        client.visit(&layer, seen).await.ok().unwrap(),
        Some(1),
        "once, at the create"
    );
}

/// J11: failure fails the request and keeps nothing.
async fn a_hook_that_refuses_stores_nothing_and_sends_no_cookie(home: &Home) {
    for (refusal, status) in [
        (Refusal::default(), StatusCode::INTERNAL_SERVER_ERROR),
        (
            Refusal::status(StatusCode::FORBIDDEN),
            StatusCode::FORBIDDEN,
        ),
    ] {
        let (store, faults) = FaultyStore::new(home.store());
        let layer = quiet(store, &ManualClock::new(home.start()))
            .on_create(move |_| std::future::ready(Err(refusal)))
            .build()
            .unwrap();
        let answer = Client::new().visit(&layer, count).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.set_cookie, None);
        assert_eq!(faults.counts().total(), 0);
    }
}

/// J11: with a session for every request the handler finds it filled.
async fn with_eager_sessions_the_hook_runs_before_the_handler(home: &Home) {
    let (store, faults) = FaultyStore::new(home.store());
    let layer = |refuses: bool| {
        quiet(store.clone(), &ManualClock::new(home.start()))
            .eager(true)
            .on_create(move |session: Session| {
                let filled = session.insert("n", 7).map_err(|_| Refusal::default());
                let forbidden = Err(Refusal::status(StatusCode::FORBIDDEN));
                std::future::ready(if refuses { forbidden } else { filled })
            })
            .build()
            .unwrap()
    };
    let client = Client::new();
    assert_eq!(client.visit(&layer(false), read).await.ok(), Some(7));
    assert_eq!(client.visit(&layer(false), read).await.ok(), Some(7));
    assert_eq!(faults.take_counts().create, 1);
    let refused = Client::new().visit(&layer(true), read).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!((refused.set_cookie.clone(), refused.value()), (None, None));
    assert_eq!(faults.counts().create, 0);
}

/// J12: a session for every request without one.
async fn an_eager_session_is_stored_also_by_a_request_that_fails_and_is_empty_then(home: &Home) {
    let layer = quiet(home.store(), &ManualClock::new(home.start()))
        .eager(true)
        .build()
        .unwrap();
    let client = Client::new();
    let failing = |session: Session| async move {
        count(session).await;
        (StatusCode::INTERNAL_SERVER_ERROR, ())
    };
    let answer = client.visit_answering(&layer, failing).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.set_cookie.is_some(), "announced on every response");
    let look = |session: Session| async move { (session.is_new(), read(session).await) };
    assert_eq!(client.visit(&layer, look).await.ok(), (false, None));
}

/// J14: find and kill by id.
async fn a_manager_finds_a_session_by_its_id_and_ends_it_once(home: &Home) {
    let layer = quiet(home.store(), &ManualClock::new(home.start()))
        .build()
        .unwrap();
    let (client, manager) = (Client::new(), layer.manager());
    client.visit(&layer, count).await.ok();
    let found = manager.get(client.id()).await.unwrap();
    assert_eq!(found.map(|info| info.id), Some(client.id()));
    assert!(manager.destroy(client.id()).await.unwrap());
    assert!(!manager.destroy(client.id()).await.unwrap());
    assert_eq!(manager.get(client.id()).await.unwrap(), None);
    let outcome = client.visit(&layer, presented).await.ok();
    assert_eq!(outcome.as_str(), "ended");
}

/// J16: `Reset`, for tests.
async fn a_reset_empties_l1_and_ends_nothing(home: &Home) {
    let layer = quiet(home.store(), &ManualClock::new(home.start()))
        .build()
        .unwrap();
    let client = Client::new();
    client.visit(&layer, count).await.ok();
    assert!(layer.manager().is_cached(client.id()));
    layer.manager().reset();
    assert!(!layer.manager().is_cached(client.id()));
    assert_eq!(layer.manager().stats().l1.entries, 0);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
}

/// One request through these layers, the outermost first.
async fn send<F, Fut>(layers: &[&SessionLayer], cookies: &str, handler: F) -> Response<()>
where
    F: FnOnce(Parts) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut handler = Some(handler);
    let inner = service_fn(move |request: Request<()>| {
        let handler = handler.take().expect("a service answers one request");
        async move {
            handler(request.into_parts().0).await;
            Ok::<_, Infallible>(Response::new(()))
        }
    });
    let service = layers
        .iter()
        .rev()
        .fold(BoxService::new(inner), |inner, layer| {
            BoxService::new(layer.layer(inner))
        });
    let request = Request::builder().header(COOKIE, cookies).body(());
    let response = service.oneshot(request.expect("a valid request")).await;
    response.unwrap_or_else(|never| match never {})
}

/// As [`send`]; what the response set.
async fn through<F, Fut>(layers: &[&SessionLayer], cookies: &str, handler: F) -> Vec<String>
where
    F: FnOnce(Parts) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let response = send(layers, cookies, handler).await;
    let lines = response.headers().get_all(SET_COOKIE).iter();
    lines
        .map(|line| line.to_str().expect("cookies are ASCII").to_owned())
        .collect()
}

/// `name=value` of a Set-Cookie line.
fn pair(line: &str) -> &str {
    line.split(';').next().unwrap_or_default()
}

struct Shop;
struct Forum;

/// T1, T2: contexts that share a session.
async fn scopes_share_one_session_and_one_cookie_and_see_only_their_own_attributes(home: &Home) {
    let base = quiet(home.store(), &ManualClock::new(home.start()))
        .build()
        .unwrap();
    let (shop, forum) = (base.scope::<Shop>("shop"), base.scope::<Forum>("forum"));
    let layers = [&base, &shop, &forum];
    let set = through(&layers, "", |parts| async move {
        let plain = Session::load(&parts).await.unwrap();
        let shop = Tagged::<Shop>::load(&parts).await.unwrap();
        let forum = Tagged::<Forum>::load(&parts).await.unwrap();
        plain.insert("name", "all").unwrap();
        shop.insert("name", "shop").unwrap();
        assert_eq!(forum.get::<String>("name").unwrap(), None);
        assert_eq!(shop.keys().unwrap(), ["name"]);
    })
    .await;
    assert_eq!(set.len(), 1, "one session: {set:?}");
    let first = pair(&set[0]).to_owned();
    let set = through(&layers, &first, |parts| async move {
        let plain = Session::load(&parts).await.unwrap();
        let shop = Tagged::<Shop>::load(&parts).await.unwrap();
        assert_eq!(plain.get::<String>("name").unwrap().unwrap(), "all");
        assert_eq!(shop.get::<String>("name").unwrap().unwrap(), "shop");
        assert_eq!(plain.id(), shop.id());
        shop.renew().unwrap();
    })
    .await;
    assert_eq!(set.len(), 1, "renewed for all: {set:?}");
    let second = pair(&set[0]).to_owned();
    assert_ne!(first, second);
    let set = through(&layers, &second, |parts| async move {
        let forum = Tagged::<Forum>::load(&parts).await.unwrap();
        forum.destroy().unwrap();
        let plain = Session::load(&parts).await.unwrap();
        let error = plain.get::<String>("name").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ended);
    })
    .await;
    assert_eq!(set.len(), 1, "removed for all: {set:?}");
}

/// T1, T22: an attribute of one scope is not taken for that of another.
async fn events_tell_attributes_of_scopes_apart(home: &Home) {
    struct Shop;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let plain = quiet(home.store(), &ManualClock::new(home.start()))
        .listener(move |event: &Event| log.lock().unwrap().push(short(event)))
        .build()
        .unwrap();
    let shop = plain.scope::<Shop>("shop");
    send(&[&plain, &shop], "", |parts| async move {
        let session = Session::load(&parts).await.unwrap();
        session.insert("n", 1).unwrap();
        let in_shop = Tagged::<Shop>::load(&parts).await.unwrap();
        in_shop.insert("n", 2).unwrap();
        session.commit().await.unwrap();
        in_shop.remove("n").unwrap();
        session.commit().await.unwrap();
        in_shop.insert("n", 3).unwrap();
        session.commit().await.unwrap();
        session.destroy().unwrap();
    })
    .await;
    let heard = heard.lock().unwrap();
    let expected = [
        "created",
        "committed +[\"n\", \"shop/n\"] ~[] -[]",
        "committed +[] ~[] -[\"shop/n\"]",
        "committed +[\"shop/n\"] ~[] -[]",
        "ended by logout with n=1 shop/n=3",
    ];
    assert_eq!(*heard, expected);
}

/// Two sessions in one application, found by type.
async fn two_layers_with_tags_are_two_independent_sessions(home: &Home) {
    let clock = ManualClock::new(home.start());
    let visitor = quiet(home.store(), &clock).build().unwrap();
    let shop = quiet(home.store(), &clock)
        .cookie(cloakroom::SessionCookie::new("__Host-shop"))
        .tag::<Shop>()
        .build()
        .unwrap();
    let layers = [&visitor, &shop];
    let set = through(&layers, "", |parts| async move {
        let visitor = Session::load(&parts).await.unwrap();
        visitor.insert("n", 1).unwrap();
        let shop = Tagged::<Shop>::load(&parts).await.unwrap();
        shop.insert("n", 2).unwrap();
    })
    .await;
    assert_eq!(set.len(), 2, "{set:?}");
    let both = format!("{}; {}", pair(&set[0]), pair(&set[1]));
    let set = through(&layers, &both, |parts| async move {
        let visitor = Session::load(&parts).await.unwrap();
        let shop = Tagged::<Shop>::load(&parts).await.unwrap();
        assert_eq!(visitor.get::<u64>("n").unwrap(), Some(1));
        assert_eq!(shop.get::<u64>("n").unwrap(), Some(2));
        assert_ne!(visitor.id(), shop.id());
        visitor.destroy().unwrap();
        assert_eq!(shop.get::<u64>("n").unwrap(), Some(2));
    })
    .await;
    assert_eq!(set.len(), 1, "only the visitor's is removed: {set:?}");
}

/// T3: `lastNode`.
async fn a_record_names_the_node_that_wrote_last_and_a_read_changes_nothing(home: &Home) {
    let (store, clock) = (home.store(), ManualClock::new(home.start()));
    let node = |name: &str| quiet(store.clone(), &clock).node(name).build().unwrap();
    let (first, second) = (node("n1"), node("n2"));
    let client = Client::new();
    client.visit(&first, count).await.ok();
    let last = async || {
        let info = first.manager().get(client.id()).await.unwrap();
        info.and_then(|info| info.node)
    };
    assert_eq!(last().await.as_deref(), Some("n1"));
    client.visit(&second, read).await.ok();
    assert_eq!(last().await.as_deref(), Some("n1"));
    client.visit(&second, count).await.ok();
    assert_eq!(last().await.as_deref(), Some("n2"));
}

/// T4, T22: listeners.
async fn listeners_and_streams_hear_what_happened_and_one_that_panics_hurts_nobody(home: &Home) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let layer = quiet(home.store(), &ManualClock::new(home.start()))
        .listener(|_| panic!("a listener of the application's is broken"))
        .listener(move |event| log.lock().unwrap().push(event.clone()))
        .build()
        .unwrap();
    let mut stream = layer.manager().events();
    let client = Client::new();
    client.visit(&layer, count).await.ok();
    let change = |session: Session| async move {
        session.insert("n", 7).unwrap();
        session.insert("m", 1).unwrap();
        session.renew()
    };
    client.visit(&layer, change).await.ok().unwrap();
    let login = |session: Session| async move {
        session.remove("m").unwrap();
        session.login(ada())
    };
    client.visit(&layer, login).await.ok().unwrap();
    let logout = |session: Session| async move { session.destroy() };
    client.visit(&layer, logout).await.ok().unwrap();

    let told: Vec<String> = heard.lock().unwrap().iter().map(short).collect();
    let expected = [
        "created",
        "committed +[\"n\"] ~[] -[]",
        "renewed",
        "committed +[\"m\"] ~[\"n\"] -[]",
        "logged in as ada",
        "committed +[] ~[] -[\"m\"]",
        "ended by logout with n=7",
    ];
    let told: Vec<&str> = told
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "other")
        .collect();
    assert_eq!(told, expected);
    let first = stream.next().await.map(|event| short(&event));
    assert_eq!(first.as_deref(), Some("created"));
}

fn short(event: &Event) -> String {
    match event {
        Event::Created { .. } => "created".to_owned(),
        Event::Committed {
            added,
            replaced,
            removed,
            ..
        } => format!("committed +{added:?} ~{replaced:?} -{removed:?}"),
        Event::Renewed { .. } => "renewed".to_owned(),
        Event::LoggedIn { owner, .. } => format!("logged in as {}", owner.as_str()),
        Event::Ended {
            reason, attributes, ..
        } => {
            let held: Vec<String> = attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("ended by {reason} with {}", held.join(" "))
        }
        _ => "other".to_owned(),
    }
}

/// T9: without `saveOnCreate`.
async fn a_session_that_is_made_and_ended_by_one_request_never_reaches_the_store(home: &Home) {
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &ManualClock::new(home.start()))
        .build()
        .unwrap();
    let brief = |session: Session| async move {
        session.insert("n", 1).unwrap();
        session.destroy().unwrap();
    };
    let answer = Client::new().visit(&layer, brief).await;
    assert_eq!(answer.set_cookie, None);
    assert_eq!(faults.counts().total(), 0);
}

/// A layer over a store with one session, whose record does not read any more.
async fn unreadable(home: &Home, policy: OnUnreadable) -> (SessionLayer, Faults, Client) {
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &ManualClock::new(home.start()))
        .coherence(Coherence::Verify)
        .cache(Cache::none())
        .on_unreadable(policy)
        .build()
        .expect("the settings go together");
    let client = Client::new();
    client.visit(&layer, count).await.ok();
    faults.corrupt(Op::Load, Corruption::TruncateHead, 1);
    faults.take_counts();
    (layer, faults, client)
}

/// T11: `removeUnloadableSessions`.
async fn an_unreadable_record_is_replaced_or_refused_or_removed(home: &Home) {
    let (layer, faults, client) = unreadable(home, OnUnreadable::Replace).await;
    let old = client.id();
    assert_eq!(client.visit(&layer, count).await.ok(), 1, "a new session");
    assert_ne!(client.id(), old);
    assert_eq!(faults.counts().end, 0, "the row is left to lapse");

    let (layer, faults, client) = unreadable(home, OnUnreadable::Fail).await;
    let answer = client.visit(&layer, count).await;
    assert_eq!(answer.error, Some(ErrorKind::Unreadable));
    assert_eq!((answer.set_cookie, faults.counts().writes()), (None, 0));

    let (layer, faults, client) = unreadable(home, OnUnreadable::Remove).await;
    let outcome = client.visit(&layer, presented).await.ok();
    assert_eq!(outcome, Presented::Unknown);
    assert_eq!(faults.counts().end, 1);
}

/// T11: an outage is no reason to remove anything.
async fn an_outage_removes_no_record(home: &Home) {
    let (layer, faults, client) = unreadable(home, OnUnreadable::Remove).await;
    faults.clear();
    faults.fail(Op::Load, 1);
    let answer = client.visit(&layer, read).await;
    assert_eq!(answer.error, Some(ErrorKind::Unavailable));
    assert_eq!(faults.counts().end, 0);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
}

/// T14: `contains`, `exists`, `delete`, `checkExpiration`.
async fn expiration_is_checked_for_candidates_and_ends_those_that_are_due(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .touch_interval(MS)
        .build()
        .unwrap();
    let (early, late, nobody) = (Client::new(), Client::new(), Client::new());
    early.visit(&layer, count).await.ok();
    clock.advance(30 * MIN);
    late.visit(&layer, count).await.ok();
    nobody.visit(&layer, count).await.ok();
    assert!(layer.manager().destroy(nobody.id()).await.unwrap());
    clock.advance(31 * MIN);
    let manager = layer.manager();
    assert!(manager.exists(late.id()).await.unwrap());
    let candidates = [early.id(), late.id(), nobody.id()];
    let ended = manager.check_expiration(&candidates).await.unwrap();
    assert_eq!(ended, [early.id(), nobody.id()]);
    assert_eq!(manager.stats().expired, 1);
    assert!(!manager.is_cached(early.id()));
}

/// T18 and others: what cannot work is refused when the layer is built.
async fn wrong_settings_are_refused_by_name_when_the_layer_is_built(home: &Home) {
    let builder = || quiet(home.store(), &ManualClock::new(home.start()));
    let table = [
        (builder().touch_interval(30 * MIN), "touch_interval is 30m"),
        (builder().idle_timeout(Duration::ZERO), "idle_timeout"),
        (
            builder().absolute_timeout(Timeout::Disabled),
            "absolute_timeout",
        ),
        (builder().store_timeout(Duration::ZERO), "store_timeout"),
        (builder().max_bytes(0), "max_bytes"),
        (builder().node("a.b"), "node"),
        (builder().affinity(true), "node(..)"),
        (
            builder().coherence(Coherence::Bounded(Duration::ZERO)),
            "coherence",
        ),
    ];
    for (builder, named) in table {
        let error: BuildError = builder.build().unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
    assert!(builder().touch_interval(29 * MIN).build().is_ok());
}

/// T23: what a session tells of itself.
async fn a_session_tells_when_it_was_made_used_and_ends(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .touch_interval(MIN)
        .build()
        .unwrap();
    let client = Client::new();
    let start = cloakroom::Clock::now(&clock);
    let fresh = |session: Session| async move {
        session.insert("n", 1).unwrap();
        (session.is_new(), session.id(), session.created_at())
    };
    assert_eq!(client.visit(&layer, fresh).await.ok(), (true, None, None));
    clock.advance(5 * MIN);
    client.visit(&layer, read).await.ok();
    let look = |session: Session| async move {
        let own = Timeout::After(10 * MIN);
        let times = (
            session.created_at(),
            session.last_used_at(),
            session.expires_at(),
        );
        let before = session.idle_timeout();
        session.set_idle_timeout(Some(own)).unwrap();
        (session.is_new(), times, before, session.idle_timeout())
    };
    let (is_new, times, before, after) = client.visit(&layer, look).await.ok();
    let used = start + 5 * MIN;
    assert!(!is_new);
    assert_eq!(times, (Some(start), Some(used), Some(used + 61 * MIN)));
    assert_eq!(before, Timeout::After(60 * MIN));
    assert_eq!(after, Timeout::After(10 * MIN));
}

/// T25: statistics.
async fn statistics_tell_the_most_sessions_in_memory_and_how_long_sessions_lasted(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .touch_interval(MS)
        .build()
        .unwrap();
    let manager = layer.manager();
    let clients = [Client::new(), Client::new(), Client::new()];
    for client in &clients {
        client.visit(&layer, count).await.ok();
    }
    let ids = clients.each_ref().map(Client::id);
    let l1 = manager.stats().l1;
    assert_eq!((l1.entries, l1.entries_max), (3, 3));
    let logout = |session: Session| async move { session.destroy() };
    clock.advance(10 * MIN);
    clients[0].visit(&layer, logout).await.ok().unwrap();
    clock.advance(10 * MIN);
    clients[1].visit(&layer, logout).await.ok().unwrap();
    let again = manager.destroy(ids[1]).await.unwrap();
    assert!(!again, "it has ended before");
    // A time-out is an end at the deadline, whenever it is found.
    clock.advance(600 * MIN);
    manager.check_expiration(&[ids[2]]).await.unwrap();
    let stats = manager.stats();
    assert_eq!(
        (stats.l1.entries, stats.l1.entries_max, stats.creates),
        (0, 3, 3)
    );
    assert_eq!((stats.ends, stats.expired), (2, 1));
    let time = stats.session_time;
    assert_eq!((time.count, time.max_ms), (3, 3_600_001));
    assert_eq!((time.total_ms, time.mean_ms), (5_400_001, 1_800_000));
    // Of 10, 20 and 60 minutes.
    assert_eq!(time.std_dev_ms, 1_587_451);
    let text = stats.prometheus();
    assert!(text.contains("# TYPE cloakroom_l1_entries_max gauge\ncloakroom_l1_entries_max 3\n"));
    assert!(text.contains("cloakroom_session_times_total 3\n"));
}

async fn a_refused_new_session_leaves_the_old_one_of_a_login_alive(home: &Home) {
    use std::sync::atomic::{AtomicBool, Ordering};
    let refuse = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&refuse);
    let layer = quiet(home.store(), &ManualClock::new(home.start()))
        .on_create(move |_| {
            let refused = told.load(Ordering::Relaxed);
            async move {
                if refused {
                    Err(Refusal::default())
                } else {
                    Ok(())
                }
            }
        })
        .build()
        .unwrap();
    let login =
        |name: &'static str| move |s: Session| async move { s.login(Owner::new(name).unwrap()) };
    let client = Client::new();
    client.visit(&layer, login("ada")).await.ok().unwrap();
    let before = client.id();
    refuse.store(true, Ordering::Relaxed);
    assert_eq!(client.visit(&layer, login("bob")).await.status, 500);
    assert_eq!(client.id(), before);
    assert!(layer.manager().exists(before).await.unwrap());
}

/// T32 is left out; who must have it needs no help of the layer: the token that comes back in a header
/// is put into addresses, and taken out of them by a layer in front.
async fn a_layer_in_front_may_bring_the_token_from_the_address(home: &Home) {
    let layer = quiet(home.store(), &ManualClock::new(home.start()))
        .header(cloakroom::SessionHeader::new("x-session"))
        .build()
        .unwrap();
    let service = layer.layer(service_fn(|request: Request<()>| async move {
        let session = Session::load(&request.into_parts().0).await.unwrap();
        Ok::<_, Infallible>(Response::new(count(session).await.to_string()))
    }));
    let in_front = service.map_request(|request: Request<()>| {
        let (mut parts, body) = request.into_parts();
        if let Some((_, token)) = parts.uri.path().split_once(";jsessionid=") {
            let token = token.parse().unwrap();
            parts.headers.insert("x-session", token);
        }
        Request::from_parts(parts, body)
    });
    let send = |uri: &str| {
        let request = Request::builder().uri(uri).body(()).unwrap();
        in_front.clone().oneshot(request)
    };
    let first = send("/page").await.unwrap();
    let token = first.headers()["x-session"].to_str().unwrap();
    assert_eq!(first.body(), "1");
    let second = send(&format!("/page;jsessionid={token}")).await.unwrap();
    assert_eq!(second.body(), "2");
}

//! What the response head says: one cookie of our name, set only when it must be, and removed by
//! the same settings.

use std::time::Duration;

use cloakroom::{
    BuildError, CookieError, CookieSecure, HeaderSend, MaxAge, MemoryStore, SameSite,
    SessionCookie, SessionHeader, SessionLayer,
};
use cloakroom_conformance::Op;
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};

use crate::harness::{App, Client, NAME, hold, owner, show};

fn built(cookie: SessionCookie) -> Result<(), BuildError> {
    SessionLayer::builder(MemoryStore::new())
        .cookie(cookie)
        .build()
        .map(|_| ())
}

#[tokio::test]
async fn a_new_session_sends_one_cookie_with_all_configured_attributes() {
    let app = App::new();
    let mut client = Client::default();
    let reply = app
        .call(&mut client, |s| async move { s.insert("n", 1) })
        .await;
    let token = client.token.clone().unwrap();
    assert_eq!(token.len(), 48);
    let cookie = reply.cookie().unwrap();
    let mut parts: Vec<&str> = cookie.split("; ").collect();
    assert_eq!(parts.remove(0), format!("{NAME}={token}"));
    parts.sort_unstable();
    assert_eq!(parts, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
    let counts = app.faults.take_counts();
    assert_eq!((counts.create, counts.total()), (1, 1));
}

#[tokio::test]
async fn the_removal_has_the_attributes_of_the_cookie_that_it_removes() {
    let cookies = [
        SessionCookie::new("__Host-id"),
        SessionCookie::new("id")
            .path("/app")
            .domain("example.com")
            .same_site(SameSite::None)
            .partitioned(true)
            .max_age(MaxAge::Fixed(Duration::from_hours(1))),
        SessionCookie::new("id")
            .insecure_without_secure()
            .insecure_readable_by_scripts()
            .same_site(SameSite::Strict),
    ];
    for cookie in cookies {
        let name = if cookie == SessionCookie::default() {
            NAME
        } else {
            "id"
        };
        let app = App::with(|builder| builder.cookie(cookie.clone()));
        let reply = app
            .send(Client::default().request(|s| async move { s.insert("n", 1) }))
            .await;
        let set = reply.cookie_named(name).unwrap().to_owned();
        let pair = set.split(';').next().unwrap().to_owned();
        let mut request = Client::default().request(|s| async move { s.destroy() });
        request
            .headers_mut()
            .insert("cookie", pair.parse().unwrap());
        let reply = app.send(request).await;
        let removal = reply.cookie_named(name).unwrap();
        let scope = |text: &str| {
            let mut parts: Vec<String> = text
                .split("; ")
                .skip(1)
                .filter(|part| !part.starts_with("Max-Age") && !part.starts_with("Expires"))
                .map(ToOwned::to_owned)
                .collect();
            parts.sort_unstable();
            parts
        };
        assert_eq!(scope(removal), scope(&set));
        assert!(removal.starts_with(&format!("{name}=;")), "{removal}");
        assert!(removal.contains("Max-Age=0"), "{removal}");
    }
}

#[tokio::test]
async fn a_read_sends_no_cookie_and_a_write_to_an_existing_session_neither() {
    let app = App::new();
    let mut client = app.visitor().await;
    let read = app
        .send(client.request(|s| async move { show::<i64>(&s, "n") }))
        .await;
    assert_eq!(read.cookie(), None);
    let write = app
        .call(&mut client, |s| async move { s.insert("n", 2) })
        .await;
    assert_eq!(write.cookie(), None);
}

#[tokio::test]
async fn a_visitor_whose_session_holds_nothing_costs_no_row_and_no_cookie() {
    let app = App::new();
    let mut client = Client::default();
    let reply = app
        .call(&mut client, |s| async move {
            s.get::<i64>("n")?;
            s.remove("n")?;
            s.clear()?;
            s.renew()?;
            s.set_idle_timeout(None)?;
            s.destroy()
        })
        .await;
    assert_eq!((reply.status, reply.cookie()), (200, None));
    assert_eq!(app.faults.counts().total(), 0);
}

#[tokio::test]
async fn only_a_destroy_removes_the_cookie() {
    let app = App::new();
    let client = app.visitor().await;
    app.sessions.destroy(client.id()).await.unwrap();
    for client in [
        client,
        Client {
            token: Some("junk".to_owned()),
            header: None,
        },
    ] {
        for destroy in [false, true] {
            let reply = app
                .send(
                    client.request(
                        move |s| async move { if destroy { s.destroy() } else { Ok(()) } },
                    ),
                )
                .await;
            assert_eq!(
                reply.cookie(),
                None,
                "there is no session: nothing to destroy"
            );
        }
    }
}

#[tokio::test]
async fn vary_names_the_cookie_on_every_way_to_the_session_and_only_then() {
    let app = App::new();
    let client = app.visitor().await;
    let nobody = Client::default();
    let says = |reply: crate::harness::Reply| reply.header("vary");
    for who in [&client, &nobody] {
        assert_eq!(says(app.send(who.get("/unused")).await), "-");
        assert_eq!(says(app.send(who.get("/optional")).await), "cookie");
        assert_eq!(
            says(
                app.send(who.request(|s| async move { Ok(format!("{:?}", s.id())) }))
                    .await
            ),
            "cookie"
        );
        assert_eq!(
            says(
                app.send(who.request(|s| async move { s.contains("n").map(|_| ()) }))
                    .await
            ),
            "cookie"
        );
        assert_eq!(
            says(
                app.send(who.request(|s| async move { s.insert("n", 1) }))
                    .await
            ),
            "cookie"
        );
    }
    app.sessions.reset();
    app.faults.fail(Op::Load, 1);
    let reply = app.send(client.get("/optional")).await;
    assert_eq!(
        (reply.status, says(reply).as_str()),
        (503, "cookie"),
        "an answer that depends on it"
    );
}

#[tokio::test]
async fn what_the_handler_says_about_caching_stands() {
    let app = App::new();
    let mut client = Client::default();
    let reply = app
        .call(&mut client, |s| async move { s.insert("n", 1) })
        .await;
    assert_eq!(reply.header("cache-control"), "no-cache=\"Set-Cookie\"");
    let reply = app
        .send(Client::default().request(|s| async move {
            s.insert("n", 1)?;
            Ok([
                (CACHE_CONTROL, "private, max-age=60"),
                (VARY, "Accept, Cookie"),
            ])
        }))
        .await;
    assert_eq!(reply.header("cache-control"), "private, max-age=60");
    assert_eq!(reply.header("vary"), "Accept, Cookie");
    let reply = app
        .call(&mut client, |s| async move { s.insert("n", 2) })
        .await;
    assert_eq!(
        reply.header("cache-control"),
        "-",
        "no cookie, nothing to say"
    );
}

#[tokio::test]
async fn a_token_in_a_header_is_kept_out_of_shared_caches() {
    let app = App::with(|builder| builder.header(SessionHeader::new("x-session")));
    let mut client = Client {
        header: Some("x-session"),
        ..Client::default()
    };
    let reply = app
        .call(&mut client, |s| async move { s.insert("n", 1) })
        .await;
    assert_eq!(reply.header("vary"), "x-session");
    assert_eq!(reply.header("cache-control"), "no-cache=\"x-session\"");
    assert_eq!(app.read(&client, "n").await, "1");
}

#[tokio::test]
async fn a_handler_that_sets_a_cookie_of_our_name_is_overruled_and_others_stay() {
    let app = App::new();
    let reply = app
        .send(Client::default().request(|s| async move {
            s.insert("n", 1)?;
            let mut headers = http::HeaderMap::new();
            headers.append(SET_COOKIE, format!("{NAME}=mine").parse().unwrap());
            headers.append(SET_COOKIE, "theme=dark".parse().unwrap());
            Ok(headers)
        }))
        .await;
    assert!(
        reply
            .cookie()
            .is_some_and(|cookie| !cookie.contains("mine"))
    );
    assert_eq!(reply.cookie_named("theme"), Some("theme=dark"));
}

#[tokio::test]
async fn cookie_and_header_have_their_order_and_a_mismatch_is_counted() {
    for header_first in [false, true] {
        let app = App::with(|builder| {
            let (cookie, header) = (SessionCookie::default(), SessionHeader::new("x-session"));
            if header_first {
                builder.header(header).cookie(cookie)
            } else {
                builder.cookie(cookie).header(header)
            }
        });
        let mut tokens = Vec::new();
        for n in [1, 2] {
            let mut client = Client {
                header: header_first.then_some("x-session"),
                ..Client::default()
            };
            app.call(&mut client, move |s| async move { s.insert("n", n) })
                .await;
            tokens.push(client.token.unwrap());
        }
        let mut request = Client {
            token: Some(tokens[0].clone()),
            header: None,
        }
        .request(|s| async move { show::<i64>(&s, "n") });
        request
            .headers_mut()
            .insert("x-session", tokens[1].parse().unwrap());
        let reply = app.send(request).await;
        assert_eq!(reply.body, if header_first { "2" } else { "1" });
        assert_eq!(app.sessions.stats().mismatched, 1);
        // The same token by both ways is no mismatch.
        let mut request = Client {
            token: Some(tokens[0].clone()),
            header: None,
        }
        .request(|s| async move { show::<i64>(&s, "n") });
        request
            .headers_mut()
            .insert("x-session", tokens[0].parse().unwrap());
        assert_eq!(app.send(request).await.body, "1");
        assert_eq!(app.sessions.stats().mismatched, 1);
    }
}

#[tokio::test]
async fn a_destroy_takes_the_token_back_by_every_way() {
    let app = App::with(|builder| {
        builder
            .cookie(SessionCookie::default())
            .header(SessionHeader::new("x-session").send(HeaderSend::Always))
    });
    let client = app.visitor().await;
    let reply = app
        .send(client.request(|s| async move { s.destroy() }))
        .await;
    assert!(
        reply
            .cookie()
            .is_some_and(|cookie| cookie.contains("Max-Age=0"))
    );
    assert_eq!(reply.header("x-session"), "");
}

type Check = fn(&CookieError) -> bool;

fn assert_refused(table: impl IntoIterator<Item = (SessionCookie, Check)>) {
    for (cookie, is_it) in table {
        match built(cookie.clone()) {
            Err(BuildError::Cookie(error)) => {
                assert!(is_it(&error), "{cookie:?}: {error:?}");
                assert!(error.to_string().len() > 30, "the text says how to mend it");
            }
            other => unreachable!("{cookie:?}: {other:?}"),
        }
    }
}

#[test]
fn a_cookie_that_a_browser_would_refuse_is_refused_when_the_layer_is_built() {
    let host = || SessionCookie::new("__Host-id");
    let plain = || SessionCookie::new("id");
    let table: [(SessionCookie, Check); 8] = [
        (host().domain("example.com"), |e| {
            matches!(e, CookieError::HostPrefixDomain { .. })
        }),
        (host().path("/app"), |e| {
            matches!(e, CookieError::HostPrefixPath { .. })
        }),
        (host().insecure_without_secure(), |e| {
            matches!(e, CookieError::PrefixInsecure { .. })
        }),
        (host().secure(CookieSecure::ByScheme), |e| {
            matches!(e, CookieError::PrefixInsecure { .. })
        }),
        (
            SessionCookie::new("__Secure-id").insecure_without_secure(),
            |e| matches!(e, CookieError::PrefixInsecure { .. }),
        ),
        (
            plain().same_site(SameSite::None).insecure_without_secure(),
            |e| matches!(e, CookieError::SameSiteNoneInsecure),
        ),
        (
            plain()
                .same_site(SameSite::None)
                .secure(CookieSecure::ByScheme),
            |e| matches!(e, CookieError::SameSiteNoneInsecure),
        ),
        (plain().partitioned(true).insecure_without_secure(), |e| {
            matches!(e, CookieError::PartitionedInsecure)
        }),
    ];
    assert_refused(table);
    assert_eq!(built(host()), Ok(()));
}

#[test]
fn a_cookie_whose_name_path_or_domain_is_none_is_refused_when_the_layer_is_built() {
    let plain = || SessionCookie::new("id");
    let table: [(SessionCookie, Check); 10] = [
        (SessionCookie::new(""), |e| {
            matches!(e, CookieError::InvalidName { .. })
        }),
        (SessionCookie::new("a b"), |e| {
            matches!(e, CookieError::InvalidName { .. })
        }),
        (SessionCookie::new("a=b"), |e| {
            matches!(e, CookieError::InvalidName { .. })
        }),
        (SessionCookie::new("a;b"), |e| {
            matches!(e, CookieError::InvalidName { .. })
        }),
        (SessionCookie::new("sitz\u{fc}ng"), |e| {
            matches!(e, CookieError::InvalidName { .. })
        }),
        (plain().path("app"), |e| {
            matches!(e, CookieError::InvalidPath { .. })
        }),
        (plain().path("/a; Domain=evil"), |e| {
            matches!(e, CookieError::InvalidPath { .. })
        }),
        (plain().domain("exa mple"), |e| {
            matches!(e, CookieError::InvalidDomain { .. })
        }),
        (plain().domain("https://example.com"), |e| {
            matches!(e, CookieError::InvalidDomain { .. })
        }),
        (plain().max_age(MaxAge::Fixed(Duration::ZERO)), |e| {
            matches!(e, CookieError::MaxAgeTooShort { .. })
        }),
    ];
    assert_refused(table);
}

#[test]
fn a_name_is_as_long_as_a_browser_can_hold_beside_the_token() {
    // 4096 bytes for name and value; the value is a token, a dot and a node's name at most.
    let longest = 4_096 - 48 - 1 - 32;
    assert_eq!(built(SessionCookie::new("n".repeat(longest))), Ok(()));
    let refused = built(SessionCookie::new("n".repeat(longest + 1)));
    assert!(matches!(
        refused,
        Err(BuildError::Cookie(CookieError::NameTooLong { .. }))
    ));
}

#[test]
fn settings_that_cannot_work_are_refused_with_an_error_that_says_how_to_mend_them() {
    use cloakroom::{Coherence, CommitAt, Timeout};
    type Set = fn(cloakroom::SessionLayerBuilder) -> cloakroom::SessionLayerBuilder;
    let minute = Duration::from_mins(1);
    let table: [(&str, Set); 14] = [
        ("idle_timeout", |b| b.idle_timeout(Duration::ZERO)),
        ("idle_timeout", |b| b.idle_timeout(Duration::from_nanos(1))),
        ("absolute_timeout", |b| b.absolute_timeout(Duration::ZERO)),
        ("absolute_timeout", |b| {
            b.absolute_timeout(Timeout::Disabled)
        }),
        ("touch_interval", |b| {
            b.touch_interval(Duration::from_mins(15))
        }),
        ("store_timeout", |b| b.store_timeout(Duration::ZERO)),
        ("max_bytes", |b| b.max_bytes(0)),
        ("node", |b| b.node("")),
        ("node", |b| b.node("a.b")),
        ("node", |b| b.node("n".repeat(33))),
        ("node", |b| b.affinity(true)),
        ("coherence", |b| {
            b.coherence(Coherence::Bounded(Duration::ZERO))
        }),
        ("Verify", |b| {
            b.coherence(Coherence::Verify)
                .commit_at(CommitAt::last_exit())
        }),
        ("set-cookie", |b| b.header(SessionHeader::new("set-cookie"))),
    ];
    for (about, set) in table {
        let error = set(SessionLayer::builder(MemoryStore::new()))
            .build()
            .unwrap_err();
        assert!(error.to_string().contains(about), "{about}: {error}");
    }
    let right = SessionLayer::builder(MemoryStore::new())
        .idle_timeout(minute)
        .touch_interval(minute / 3)
        .node("n1")
        .affinity(true)
        .build();
    assert!(right.is_ok());
}

#[test]
fn a_mode_that_the_store_cannot_give_is_refused() {
    use cloakroom::{Capabilities, Coherence, OnShutdown};
    use cloakroom_conformance::FaultyStore;
    let builder = || {
        let (store, faults) = FaultyStore::new(MemoryStore::new());
        faults.pretend(Capabilities::default());
        SessionLayer::builder(store)
    };
    assert!(builder().build().is_ok());
    assert!(builder().coherence(Coherence::Verify).build().is_ok());
    assert!(builder().coherence(Coherence::Push).build().is_err());
    assert!(builder().coherence(Coherence::Exclusive).build().is_err());
    assert!(builder().on_shutdown(OnShutdown::Destroy).build().is_err());
}

#[tokio::test]
async fn a_plain_http_request_gets_a_cookie_without_secure_only_by_scheme() {
    let app = App::with(|builder| {
        builder.cookie(SessionCookie::new("id").secure(CookieSecure::ByScheme))
    });
    for (uri, secure) in [
        ("https://example.com/", true),
        ("http://example.com/", false),
    ] {
        let mut request = Client::default().request(|s| async move { s.insert("n", 1) });
        *request.uri_mut() = uri.parse().unwrap();
        let reply = app.send(request).await;
        assert_eq!(
            reply.cookie_named("id").unwrap().contains("; Secure"),
            secure,
            "{uri}"
        );
    }
}

#[tokio::test]
async fn a_node_s_name_travels_with_the_token_if_that_is_wanted() {
    let app = App::with(|builder| builder.node("n1").affinity(true));
    let mut client = Client::default();
    app.call(&mut client, |s| async move { s.insert("n", 1) })
        .await;
    let token = client.token.clone().unwrap();
    assert!(token.strip_suffix(".n1").is_some() && token.len() == 51);
    assert_eq!(app.read(&client, "n").await, "1");
    // A token of another node is let in, and comes back with this node's name.
    let other = App::node(app.store.clone(), app.clock.clone(), |b| {
        b.node("n2").affinity(true)
    });
    let reply = other
        .call(&mut client, |s| async move { show::<i64>(&s, "n") })
        .await;
    assert_eq!(reply.body, "1");
    assert_eq!(client.token, Some(format!("{}.n2", &token[..48])));
    let again = other
        .call(&mut client, |s| async move { show::<i64>(&s, "n") })
        .await;
    assert_eq!(again.cookie(), None);
}

#[tokio::test]
async fn a_late_request_around_a_login_never_overwrites_the_new_cookie() {
    let app =
        App::with(|builder| builder.cookie(SessionCookie::default().max_age(MaxAge::Timeout)));
    let mut client = app.visitor().await;
    app.clock.advance(Duration::from_mins(10));
    let (point, mut at) = hold();
    let late = app.start(&client, |s| async move {
        point.pass().await;
        s.insert("n", 2)
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.login(owner("ada")) })
        .await;
    at.release();
    client.keep(&late.await.unwrap());
    assert_eq!(app.presented(&client).await, "active");
}

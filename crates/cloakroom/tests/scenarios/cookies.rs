//! What the response head says: one cookie of our name, set only when it must be, and removed by
//! the same settings.

use std::time::Duration;

use cloakroom::{
    ClientScheme, CookieSecure, HeaderSend, MaxAge, SameSite, SessionCookie, SessionHeader,
};
use cloakroom_conformance::Op;
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};

use crate::harness::{App, Client, NAME, hold, owner, show};
use crate::home::Home;

scenarios! {
    a_new_session_sends_one_cookie_with_all_configured_attributes,
    the_removal_has_the_attributes_of_the_cookie_that_it_removes,
    a_read_sends_no_cookie_and_a_write_to_an_existing_session_neither,
    a_visitor_whose_session_holds_nothing_costs_no_row_and_no_cookie,
    only_a_destroy_removes_the_cookie,
    vary_names_the_cookie_on_every_way_to_the_session_and_only_then,
    what_the_handler_says_about_caching_stands,
    a_token_in_a_header_is_kept_out_of_shared_caches,
    a_handler_that_sets_a_cookie_of_our_name_is_overruled_and_others_stay,
    cookie_and_header_have_their_order_and_a_mismatch_is_counted,
    a_destroy_takes_the_token_back_by_every_way,
    behind_a_proxy_the_scheme_is_what_the_server_or_a_trusted_header_says,
    a_plain_http_request_gets_a_cookie_without_secure_only_by_scheme,
    a_node_s_name_travels_with_the_token_if_that_is_wanted,
    a_late_request_around_a_login_never_overwrites_the_new_cookie,
}

async fn a_new_session_sends_one_cookie_with_all_configured_attributes(home: &Home) {
    let app = App::new(home);
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
    let counts = app.take_counts();
    assert_eq!((counts.create, counts.total()), (1, 1));
}

async fn the_removal_has_the_attributes_of_the_cookie_that_it_removes(home: &Home) {
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
        let app = App::with(home, |builder| builder.cookie(cookie.clone()));
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

async fn a_read_sends_no_cookie_and_a_write_to_an_existing_session_neither(home: &Home) {
    let app = App::new(home);
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

async fn a_visitor_whose_session_holds_nothing_costs_no_row_and_no_cookie(home: &Home) {
    let app = App::new(home);
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
    assert_eq!(app.counts().total(), 0);
}

async fn only_a_destroy_removes_the_cookie(home: &Home) {
    let app = App::new(home);
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

async fn vary_names_the_cookie_on_every_way_to_the_session_and_only_then(home: &Home) {
    let app = App::new(home);
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

async fn what_the_handler_says_about_caching_stands(home: &Home) {
    let app = App::new(home);
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

async fn a_token_in_a_header_is_kept_out_of_shared_caches(home: &Home) {
    let app = App::with(home, |builder| {
        builder.header(SessionHeader::new("x-session"))
    });
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

async fn a_handler_that_sets_a_cookie_of_our_name_is_overruled_and_others_stay(home: &Home) {
    let app = App::new(home);
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

async fn cookie_and_header_have_their_order_and_a_mismatch_is_counted(home: &Home) {
    for header_first in [false, true] {
        let app = App::with(home, |builder| {
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

async fn a_destroy_takes_the_token_back_by_every_way(home: &Home) {
    let app = App::with(home, |builder| {
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

async fn a_plain_http_request_gets_a_cookie_without_secure_only_by_scheme(home: &Home) {
    let app = App::with(home, |builder| {
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

async fn behind_a_proxy_the_scheme_is_what_the_server_or_a_trusted_header_says(home: &Home) {
    let app = |trust| {
        App::with(home, move |builder| {
            let cookie = SessionCookie::new("id").secure(CookieSecure::ByScheme);
            builder.cookie(cookie).trust_forwarded_proto(trust)
        })
    };
    let secure = async |trust, told: Option<ClientScheme>, header: Option<&str>| {
        let mut request = Client::default().request(|s| async move { s.insert("n", 1) });
        *request.uri_mut() = "/".parse().unwrap();
        if let Some(scheme) = told {
            request.extensions_mut().insert(scheme);
        }
        if let Some(scheme) = header {
            let scheme = scheme.parse().unwrap();
            request.headers_mut().insert("x-forwarded-proto", scheme);
        }
        let reply = app(trust).send(request).await;
        reply.cookie_named("id").unwrap().contains("; Secure")
    };
    let (http, https) = (Some(ClientScheme::Http), Some(ClientScheme::Https));
    assert!(!secure(false, None, None).await);
    assert!(!secure(false, None, Some("https")).await, "not trusted");
    assert!(secure(true, None, Some("https")).await);
    assert!(!secure(true, None, Some("http")).await);
    assert!(secure(false, https, None).await);
    assert!(!secure(true, http, Some("https")).await);
}

async fn a_node_s_name_travels_with_the_token_if_that_is_wanted(home: &Home) {
    let app = App::with(home, |builder| builder.node("n1").affinity(true));
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

async fn a_late_request_around_a_login_never_overwrites_the_new_cookie(home: &Home) {
    let app = App::with(home, |builder| {
        builder.cookie(SessionCookie::default().max_age(MaxAge::Timeout))
    });
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

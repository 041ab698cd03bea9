//! What is refused when the layer is built, with an error that says how to mend it.

use std::time::Duration;

use cloakroom::{
    BuildError, CookieError, CookieSecure, MaxAge, MemoryStore, SameSite, SessionCookie,
    SessionHeader, SessionLayer,
};

fn built(cookie: SessionCookie) -> Result<(), BuildError> {
    SessionLayer::builder(MemoryStore::new())
        .cookie(cookie)
        .build()
        .map(|_| ())
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
fn a_store_that_cannot_end_sessions_is_refused_and_one_that_cannot_find_them_is_warned_about() {
    use crate::logs::Logs;
    use cloakroom::{Capabilities, Expiry};
    use cloakroom_conformance::FaultyStore;
    let over = |expiry| {
        let (store, faults) = FaultyStore::new(MemoryStore::new());
        faults.pretend(Capabilities {
            expiry,
            ..Capabilities::default()
        });
        let logs = Logs::default();
        let build = || {
            // Another test may have met the line without a subscriber.
            tracing::callsite::rebuild_interest_cache();
            SessionLayer::builder(store).build().map(drop)
        };
        let result = tracing::subscriber::with_default(logs.clone(), build);
        (result, logs.text().contains("cannot find the sessions"))
    };
    assert_eq!(over(Expiry::Search), (Ok(()), false));
    assert_eq!(over(Expiry::Native), (Ok(()), true));
    let (refused, _) = over(Expiry::Nobody);
    let refused = refused.unwrap_err();
    assert!(matches!(refused, BuildError::Contradiction(_)));
    let advice = refused.to_string();
    assert!(advice.contains("Expiry::Search") && advice.contains("Expiry::Native"));
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

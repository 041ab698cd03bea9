//! A request is a transaction: what overlaps survives, what fails leaves nothing, what has ended
//! stays ended.

use cloakroom_conformance::{Counts, ManualClock};

use crate::harness::{App, hold, increment, show};
use crate::home::Home;

scenarios! {
    a_request_sees_its_snapshot_and_its_own_changes_and_nothing_else,
    two_overlapping_requests_that_write_different_attributes_both_survive,
    twenty_six_overlapping_requests_keep_twenty_six_attributes,
    no_increment_through_an_update_is_lost,
    the_last_set_of_one_attribute_wins_and_an_update_after_a_set_is_a_set,
    an_update_of_one_attribute_of_an_existing_session_is_stored,
    the_closure_of_an_update_may_use_the_session,
    setting_an_equal_value_and_removing_an_absent_attribute_write_nothing,
    a_soft_change_beside_a_real_one_is_replayed_like_any_other,
    a_stale_copy_does_not_swallow_a_removal,
    nodes_whose_clocks_differ_by_seconds_agree_on_who_wrote_last,
}

const NOTHING: Counts = Counts {
    create: 0,
    load: 0,
    peek: 0,
    save: 0,
    touch: 0,
    end: 0,
    expire: 0,
    purge: 0,
    owned_by: 0,
};

async fn a_request_sees_its_snapshot_and_its_own_changes_and_nothing_else(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("own", 5)?;
        point.pass().await;
        let seen = [
            show::<i64>(&s, "n")?,
            show::<i64>(&s, "own")?,
            show::<i64>(&s, "late")?,
        ];
        Ok(seen.join(" "))
    });
    at.reached().await;
    app.call(&mut client, |s| async move {
        s.insert("n", 2)?;
        s.insert("late", 3)
    })
    .await;
    at.release();
    assert_eq!(slow.await.unwrap().body, "1 5 -");
    let mut all = Vec::new();
    for name in ["n", "late", "own"] {
        all.push(app.read(&client, name).await);
    }
    assert_eq!(all, ["2", "3", "5"]);
}

async fn two_overlapping_requests_that_write_different_attributes_both_survive(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("image1", 1)?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.insert("image2", 2) })
        .await;
    at.release();
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(app.read(&client, "image1").await, "1");
    assert_eq!(app.read(&client, "image2").await, "2");
}

async fn twenty_six_overlapping_requests_keep_twenty_six_attributes(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let mut held = Vec::new();
    let mut tasks = Vec::new();
    for letter in b'a'..=b'z' {
        let (point, mut at) = hold();
        tasks.push(app.start(&client, move |s| async move {
            s.insert(&char::from(letter).to_string(), i64::from(letter))?;
            point.pass().await;
            Ok(())
        }));
        at.reached().await;
        held.push(at);
    }
    held.into_iter().for_each(crate::harness::Held::release);
    for task in tasks {
        assert_eq!(task.await.unwrap().status, 200);
    }
    let keys = app
        .send(client.request(|s| async move { Ok(s.keys()?.concat()) }))
        .await;
    assert_eq!(keys.body, "abcdefghijklmnopqrstuvwxyz");
    assert_eq!(
        app.sessions.stats().conflicts,
        0,
        "commits of one node queue up"
    );
}

async fn no_increment_through_an_update_is_lost(home: &Home) {
    // On two nodes, so that conflicts are met and not only the queue of one node.
    let a = App::new(home);
    let b = App::node(a.store.clone(), a.clock.clone(), |builder| builder);
    let client = a.visitor().await;
    let mut held = Vec::new();
    let mut tasks = Vec::new();
    for round in 0..26 {
        let (point, mut at) = hold();
        let node = if round % 2 == 0 { &a } else { &b };
        tasks.push(node.start(&client, |s| async move {
            increment(&s, "n")?;
            increment(&s, "n")?;
            point.pass().await;
            Ok(())
        }));
        at.reached().await;
        held.push(at);
    }
    held.into_iter().for_each(crate::harness::Held::release);
    for task in tasks {
        assert_eq!(task.await.unwrap().status, 200);
    }
    // The last write may have been the other node's.
    a.hears().await;
    assert_eq!(a.read(&client, "n").await, "53");
    let conflicts = a.sessions.stats().conflicts + b.sessions.stats().conflicts;
    assert!(conflicts > 0, "or nothing was shown");
}

async fn the_last_set_of_one_attribute_wins_and_an_update_after_a_set_is_a_set(home: &Home) {
    let app = App::new(home);
    for (case, expected) in [
        ("set", "5"),
        ("set, update", "6"),
        ("remove", "-"),
        ("update", "101"),
        ("remove, update", "1"),
        ("clear, update", "1"),
    ] {
        let mut client = app.visitor().await;
        let (point, mut at) = hold();
        let slow = app.start(&client, move |s| async move {
            match case {
                "set" => s.insert("n", 5)?,
                "remove" => s.remove("n").map(|_| ())?,
                "set, update" => {
                    s.insert("n", 5)?;
                    increment(&s, "n")?;
                }
                "remove, update" => {
                    s.remove("n")?;
                    increment(&s, "n")?;
                }
                "clear, update" => {
                    s.clear()?;
                    increment(&s, "n")?;
                }
                _ => increment(&s, "n").map(|_| ())?,
            }
            point.pass().await;
            Ok(())
        });
        at.reached().await;
        app.call(&mut client, |s| async move { s.insert("n", 100) })
            .await;
        at.release();
        assert_eq!(slow.await.unwrap().status, 200);
        assert_eq!(app.read(&client, "n").await, expected, "{case}");
    }
}

async fn an_update_of_one_attribute_of_an_existing_session_is_stored(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    app.call(
        &mut client,
        |s| async move { increment(&s, "n").map(|_| ()) },
    )
    .await;
    app.sessions.reset();
    assert_eq!(app.read(&client, "n").await, "2");
}

async fn the_closure_of_an_update_may_use_the_session(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let reply = app
        .call(&mut client, |s| async move {
            let inside = s.clone();
            s.update("sum", move |_: Option<i64>| {
                inside.insert("seen", true).ok();
                inside.get::<i64>("n").ok().flatten().unwrap_or(0) + 1
            })?;
            Ok(())
        })
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(app.read(&client, "sum").await, "2");
}

async fn setting_an_equal_value_and_removing_an_absent_attribute_write_nothing(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    app.take_counts();
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("n", 1)?;
            s.remove("absent")?;
            s.set_idle_timeout(None)
        })
        .await;
    assert_eq!((reply.status, reply.cookie()), (200, None));
    assert_eq!(app.take_counts(), NOTHING);
}

async fn a_soft_change_beside_a_real_one_is_replayed_like_any_other(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("n", 1)?;
        s.remove("admin")?;
        s.insert("other", 1)?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    app.call(&mut client, |s| async move {
        s.insert("n", 2)?;
        s.insert("admin", 1)
    })
    .await;
    at.release();
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(app.read(&client, "n").await, "1");
    assert_eq!(app.read(&client, "admin").await, "-");
}

async fn a_stale_copy_does_not_swallow_a_removal(home: &Home) {
    for feed in [true, false] {
        let store = home.store();
        let clock = ManualClock::new(home.start());
        let node = || {
            if feed {
                App::node(store.clone(), clock.clone(), |builder| builder)
            } else {
                App::remote(store.clone(), clock.clone())
            }
        };
        let (a, b) = (node(), node());
        let mut client = a.visitor().await;
        let (point, mut at) = hold();
        let slow = a.start(&client, |s| async move {
            s.remove("admin")?;
            point.pass().await;
            Ok(())
        });
        at.reached().await;
        b.call(&mut client, |s| async move { s.insert("admin", 1) })
            .await;
        a.hears().await;
        at.release();
        assert_eq!(slow.await.unwrap().status, 200);
        assert_eq!(b.read(&client, "admin").await, "-", "{feed}");
    }
}

async fn nodes_whose_clocks_differ_by_seconds_agree_on_who_wrote_last(home: &Home) {
    for feed in [true, false] {
        let store = home.store();
        let nodes: Vec<App> = [0, 5, 10]
            .into_iter()
            .map(|skew| {
                let clock = ManualClock::new(home.start() + std::time::Duration::from_secs(skew));
                if feed {
                    App::node(store.clone(), clock, |builder| builder)
                } else {
                    App::remote(store.clone(), clock)
                }
            })
            .collect();
        let mut client = nodes[1].visitor().await;
        for round in 0..12_usize {
            let writer = &nodes[round % 3];
            let value = i64::try_from(round).unwrap();
            writer
                .call(&mut client, move |s| async move { s.insert("n", value) })
                .await;
            for reader in &nodes {
                reader.hears().await;
                assert_eq!(reader.read(&client, "n").await, value.to_string());
            }
        }
        let old = client.clone();
        nodes[2]
            .call(&mut client, |s| async move { s.destroy() })
            .await;
        for node in &nodes {
            node.hears().await;
            assert_eq!(node.presented(&old).await, "ended");
        }
    }
}

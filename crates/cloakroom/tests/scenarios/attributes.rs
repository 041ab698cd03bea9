//! Attributes that cannot be what they are asked to be.

use crate::harness::{App, hold, show, word};
use crate::home::Home;

scenarios! {
    an_attribute_of_another_type_is_an_error_of_that_call_alone,
    a_value_without_a_json_form_is_refused_before_anything_is_written,
    an_oversize_session_is_refused_before_anything_is_written,
    attributes_that_are_too_large_only_together_are_refused_at_the_commit,
    changes_that_a_conflict_makes_too_large_are_refused_and_change_nothing,
}

async fn an_attribute_of_another_type_is_an_error_of_that_call_alone(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("text", "words")?;
            let words = [
                word(s.get::<i64>("text")),
                word(s.take::<i64>("text")),
                word(s.update("text", |n: Option<i64>| n.unwrap_or(0))),
                word(s.get::<String>("text")),
                word(s.get::<i64>("n")),
            ];
            Ok(words.join(" "))
        })
        .await;
    assert_eq!(reply.body, "decode decode decode ok ok");
    let text = app
        .send(client.request(|s| async move { show::<String>(&s, "text") }))
        .await;
    assert_eq!(text.body, "words", "what does not decode is not lost");
}

async fn a_value_without_a_json_form_is_refused_before_anything_is_written(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    app.take_counts();
    let reply = app
        .call(&mut client, |s| async move {
            let bytes = std::collections::HashMap::from([((1, 2), 3)]);
            let words = [
                word(s.insert("x", f64::NAN)),
                word(s.insert("x", vec![1.0, f64::INFINITY])),
                word(s.insert("x", Some(f32::NEG_INFINITY))),
                word(s.insert("x", &bytes)),
                word(s.update("x", |_: Option<f64>| f64::NAN)),
                word(s.insert("", 1)),
                word(s.insert(&"n".repeat(256), 1)),
                word(s.insert("none", None::<f64>)),
            ];
            assert!(!s.contains("x")?);
            s.remove("none")?;
            Ok(words.join(" "))
        })
        .await;
    assert_eq!(
        reply.body,
        "encode encode encode encode encode invalid_attribute invalid_attribute ok"
    );
    assert_eq!(app.take_counts().writes(), 0);
}

async fn an_oversize_session_is_refused_before_anything_is_written(home: &Home) {
    let app = App::with(home, |builder| builder.max_bytes(1_000));
    let mut client = app.visitor().await;
    app.take_counts();
    let reply = app
        .call(&mut client, |s| async move {
            let big = "x".repeat(1_000);
            let first = word(s.insert("big", &big));
            let second = word(s.update("n", move |_: Option<i64>| 2));
            let third = word(s.update("big", move |_: Option<String>| big.clone()));
            Ok(format!("{first} {second} {third}"))
        })
        .await;
    assert_eq!(reply.body, "too_large ok too_large");
    assert_eq!(app.take_counts().save, 1);
    assert_eq!(app.read(&client, "n").await, "2");
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("big", "x".repeat(1_000))
        })
        .await;
    assert_eq!(reply.status, 413);
}

async fn attributes_that_are_too_large_only_together_are_refused_at_the_commit(home: &Home) {
    let app = App::with(home, |builder| builder.max_bytes(200));
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("a", "x".repeat(120))?;
        point.pass().await;
        Ok("fine")
    });
    at.reached().await;
    app.call(
        &mut client,
        |s| async move { s.insert("b", "x".repeat(120)) },
    )
    .await;
    let before = app.row(&client).await;
    at.release();
    let slow = slow.await.unwrap();
    assert_eq!(
        (slow.status, slow.body.as_str(), slow.cookie()),
        (413, "", None)
    );
    assert_eq!(app.row(&client).await, before);
}

async fn changes_that_a_conflict_makes_too_large_are_refused_and_change_nothing(home: &Home) {
    let small = |builder: cloakroom::SessionLayerBuilder| builder.max_bytes(200);
    let app = App::with(home, small);
    let client = app.visitor().await;
    let other = App::node(app.store.clone(), app.clock.clone(), small);
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.update("a", |a: Option<String>| {
            a.unwrap_or_default() + &"x".repeat(120)
        })?;
        s.insert("c", 1)?;
        point.pass().await;
        Ok("fine")
    });
    at.reached().await;
    // This node need not have heard of it when it commits: the store answers with a conflict.
    let mut there = client.clone();
    let theirs = other.call(
        &mut there,
        |s| async move { s.insert("a", "y".repeat(120)) },
    );
    assert_eq!(theirs.await.status, 200);
    let before = app.row(&client).await;
    at.release();
    let slow = slow.await.unwrap();
    assert_eq!(
        (slow.status, slow.body.as_str(), slow.cookie()),
        (413, "", None)
    );
    assert_eq!(app.row(&client).await, before);
}

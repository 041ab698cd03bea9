//! Where the token travels.

use cloakroom_tests::Node;

use super::start;

#[tokio::test]
async fn in_header_mode_the_token_travels_in_a_header_of_that_name() {
    let node = start("--transport header --name x-ticket").await;
    let visitor = node.client();
    let answer = visitor.put("/api/data/colour", "\"red\"").await;
    answer.assert_status(204);
    assert_eq!(answer.set_cookies(), [""; 0]);
    let token = answer.headers["x-ticket"].to_str().unwrap().to_owned();
    assert_eq!(token.len(), 48);
    let client = node.client().header("x-ticket", &token);
    let read = client.get("/api/data/colour").await;
    assert_eq!(read.text(), "\"red\"");
    assert!(
        !read.headers.contains_key("x-ticket"),
        "a read changes nothing"
    );
    let ended = client.delete("/api/session").await;
    assert_eq!(
        ended.headers["x-ticket"], "",
        "an empty value takes it back"
    );
    assert_eq!(client.session().await["presented"], "ended");
    let planted = node.client();
    planted.set_cookie("x-ticket", &token);
    assert_eq!(
        planted.session().await["presented"],
        "none",
        "a cookie is not looked at"
    );
}

#[tokio::test]
async fn with_two_transports_the_first_listed_sends_and_wins() {
    for (transport, first) in [("cookie,header", "cookie"), ("header,cookie", "header")] {
        let node = start(&format!("--transport {transport}")).await;
        let answer = node.client().put("/api/data/n", "1").await;
        let by_header = answer
            .headers
            .get("id")
            .map(|token| token.to_str().unwrap().to_owned());
        assert_eq!(by_header.is_some(), first == "header");
        assert_eq!(answer.set_cookies().len(), usize::from(first == "cookie"));

        let tokens = [token(&node, "1").await, token(&node, "2").await];
        let both = node.client().header("id", &tokens[0]);
        both.set_cookie("id", &tokens[1]);
        let expected = if first == "header" { "1" } else { "2" };
        assert_eq!(
            both.get("/api/data/n").await.text(),
            expected,
            "{transport}"
        );

        for one in [&tokens[0], &tokens[1]] {
            let alone = node.client().header("id", one);
            assert_eq!(
                alone.session().await["presented"],
                "active",
                "{transport}: header"
            );
            let alone = node.client();
            alone.set_cookie("id", one);
            assert_eq!(
                alone.session().await["presented"],
                "active",
                "{transport}: cookie"
            );
        }
        let recovered = node.client().header("id", "malformed");
        recovered.set_cookie("id", &tokens[1]);
        assert_eq!(
            recovered.get("/api/data/n").await.text(),
            "2",
            "a live one further on counts"
        );
    }
}

async fn token(node: &Node, value: &str) -> String {
    let client = node.client();
    let answer = client.put("/api/data/n", value).await;
    let by_header = answer
        .headers
        .get("id")
        .and_then(|token| token.to_str().ok());
    by_header
        .map(str::to_owned)
        .or_else(|| client.token())
        .expect("a token was sent")
}

#[tokio::test]
async fn several_cookies_of_our_name_are_tried_and_malformed_ones_do_not_count() {
    let node = start("").await;
    let client = node.client();
    client.put("/api/data/n", "1").await.assert_status(204);
    let token = client.token().unwrap();
    let line = format!("id=a; id=b; id=c; id=d; id=e; id={token}");
    let found = node.client().header("cookie", &line).session().await;
    assert_eq!(found["presented"], "active");
    let quoted = node
        .client()
        .header("cookie", &format!("id=\"{token}\""))
        .session()
        .await;
    assert_eq!(quoted["presented"], "active");
}

#[tokio::test]
async fn a_response_that_looked_at_the_session_varies_by_the_cookie() {
    let node = start("").await;
    let client = node.client();
    let looked = client.get("/api/session").await;
    assert!(
        looked.headers["vary"]
            .to_str()
            .unwrap()
            .to_lowercase()
            .contains("cookie")
    );
    let set = client.put("/api/data/n", "1").await;
    assert_eq!(set.headers["cache-control"], "no-cache=\"Set-Cookie\"");
    assert!(!client.get("/healthz").await.headers.contains_key("vary"));
}

#[tokio::test]
async fn affinity_puts_the_node_behind_the_token_and_accepts_a_foreign_one() {
    let node = start("--node n1 --affinity").await;
    let client = node.client();
    client.put("/api/data/n", "1").await.assert_status(204);
    let token = client.token().unwrap();
    assert_eq!(token.split_once('.').map(|(_, node)| node), Some("n1"));
    let foreign = node.client();
    foreign.set_cookie("id", &token.replace(".n1", ".n2"));
    assert_eq!(foreign.session().await["presented"], "active");
}

//! The page for people, as a browser without scripts uses it.

use cloakroom_tests::Client;

use super::start;

async fn submit(client: &Client, path: &str, form: &str) -> String {
    let client = client
        .clone()
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = client.post(path, form).await;
    assert_eq!(answer.status, 303, "{path}: {}", answer.text());
    let location = answer
        .headers
        .get("location")
        .expect("a redirect names its target");
    client.get(location.to_str().expect("a path")).await.text()
}

#[tokio::test]
async fn a_visitor_sees_a_page_and_gets_no_session() {
    let node = start("").await;
    let client = node.client();
    let page = client.get("/").await;
    page.assert_status(200);
    assert!(
        page.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(page.headers.contains_key("content-security-policy"));
    assert_eq!(page.set_cookies(), [""; 0]);
    assert!(page.text().contains("none yet") && page.text().contains("admin's door"));
    for asset in ["/page.css", "/page.js"] {
        client.get(asset).await.assert_status(200);
    }
}

#[tokio::test]
async fn the_forms_work_without_scripts() {
    let node = start("").await;
    let client = node.client();
    let page = submit(&client, "/form/set", "key=colour&value=red").await;
    assert!(page.contains("&quot;red&quot;"), "text is a JSON string");
    assert!(
        submit(&client, "/form/set", "key=size&value=%7B%22a%22%3A1.0%7D")
            .await
            .contains("1.0")
    );
    submit(&client, "/form/add", "key=n&by=41").await;
    submit(&client, "/form/add", "key=n&by=1").await;
    assert_eq!(client.get("/api/data/n").await.text(), "42");
    submit(&client, "/form/remove", "key=n").await;
    client.get("/api/data/n").await.assert_status(404);
    let page = submit(&client, "/form/login", "owner=ada").await;
    assert!(
        page.contains("<b id=owner>ada</b>") && page.contains("this one"),
        "{page}"
    );
    submit(&client, "/form/timeout", "idle=5m").await;
    let token = client.token();
    submit(&client, "/form/renew", "").await;
    assert_ne!(client.token(), token);
    submit(&client, "/form/slow", "key=s&value=1&ms=0").await;
    client.get("/api/data/s").await.assert_status(200);
    submit(&client, "/form/housekeeper/poll", "").await;
    submit(&client, "/form/clear", "").await;
    assert_eq!(client.session().await["data"], serde_json::json!({}));
    let page = submit(&client, "/form/logout", "").await;
    assert!(page.contains("none yet"), "the cookie was removed");
}

#[tokio::test]
async fn the_forms_of_the_trials_answer_as_the_api_does() {
    let node = start("").await;
    let client = node
        .client()
        .header("content-type", "application/x-www-form-urlencoded");
    client.post("/form/set", "key=a&value=1").await;
    let streamed = client.post("/form/stream", "key=b&value=2&ms=0").await;
    streamed.assert_status(200);
    assert_eq!(streamed.text().trim(), "ok");
    let form = "code=503&key=c&value=3";
    client.post("/form/status", form).await.assert_status(503);
    let form = "code=201&key=d&value=4";
    client.post("/form/status", form).await.assert_status(201);
    let data = &client.session().await["data"];
    assert_eq!(*data, serde_json::json!({"a": 1, "b": 2, "d": 4}));
}

#[tokio::test]
async fn an_owner_ends_another_session_from_the_page() {
    let node = start("").await;
    let (here, there, third) = (node.client(), node.client(), node.client());
    for client in [&here, &there, &third] {
        submit(client, "/form/login", "owner=ada").await;
    }
    let id = there.session().await["id"].as_str().unwrap().to_owned();
    assert!(here.get("/").await.text().contains(&id));
    assert!(
        !submit(&here, "/form/end", &format!("id={id}"))
            .await
            .contains(&id)
    );
    assert!(there.get("/").await.text().contains("ended from elsewhere"));
    submit(&here, "/form/end-others", "").await;
    assert_eq!(third.session().await["presented"], "ended");
}

#[tokio::test]
async fn a_form_that_fails_says_so_on_the_page() {
    let node = start("").await;
    let client = node.client();
    let page = submit(&client, "/form/set", "key=a%20b&value=1").await;
    assert!(page.contains("bad_request"), "{page}");
    assert!(
        submit(&client, "/form/timeout", "idle=soon")
            .await
            .contains("bad_request")
    );
    assert!(
        submit(&client, "/form/end", "id=nonsense")
            .await
            .contains("not_found")
    );
}

#[tokio::test]
async fn the_page_escapes_every_value() {
    let node = start("").await;
    let client = node.client();
    let evil = "<script>alert(1)</script>";
    let json = serde_json::to_string(evil).unwrap();
    client.put("/api/data/evil", &json).await.assert_status(204);
    client
        .post("/api/login", &format!("{{\"owner\":{json}}}"))
        .await
        .assert_status(204);
    let page = client
        .get("/?error=%3Cscript%3Ealert(1)%3C/script%3E")
        .await
        .text();
    assert!(!page.contains(evil), "{page}");
    assert!(page.matches("&lt;script&gt;alert(1)").count() >= 3);
}

#[tokio::test]
async fn the_page_tells_what_the_last_request_did() {
    let node = start("").await;
    let client = node.client();
    client
        .put("/api/data/colour", "\"red\"")
        .await
        .assert_status(204);
    let page = client.get("/").await.text();
    assert!(
        page.contains("created") && page.contains("at the latest"),
        "{page}"
    );
    let id = client.session().await["id"].as_str().unwrap().to_owned();
    let link = format!("/api/manage/{id}");
    assert!(page.contains(&link), "{page}");
    client.get(&link).await.assert_status(200);
    client.get("/api/live").await.assert_status(200);
    client.put("/api/data/size", "1").await.assert_status(204);
    let page = client.get("/").await.text();
    for part in ["PUT /api/data/size", "hit", "added size"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    client.get("/api/session").await.assert_status(200);
    assert!(client.get("/").await.text().contains("nothing was written"));
}

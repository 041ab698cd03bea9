//! A real browser: Debian's chromium without a screen, driven by its own chromedriver.
//!
//! Without a browser the cases are ignored, or failed if `CLOAKROOM_REQUIRE_SERVICES` is `1`.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test without the usual harness"
)]

use cloakroom_services::{ChromeDriver, Requirement, Server, require};
use cloakroom_tests::{Client as Curl, Node, TempDir, eventually};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

fn main() {
    let arguments = Arguments::from_args();
    let browser = require(ChromeDriver::find().map_err(Into::into));
    let case = |name: &str, run: fn() -> Result<(), Failed>| match &browser {
        Requirement::Ready(_) => Trial::test(name, run),
        Requirement::Ignored(reason) => {
            let name = format!("{name} ({reason})");
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
        Requirement::Failed(reason) => {
            let reason = reason.clone();
            Trial::test(name, move || Err(reason.into()))
        }
    };
    let trials = vec![
        case("a_browser_keeps_the_cookie_and_sees_its_session", || {
            block_on(keeps_the_cookie())
        }),
        case(
            "a_session_that_was_ended_elsewhere_is_shown_as_ended",
            || block_on(ended_elsewhere()),
        ),
        case("a_browser_without_scripts_can_do_the_same", || {
            block_on(without_scripts())
        }),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn block_on(case: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Runtime::new()?.block_on(case);
    Ok(())
}

/// One browser with a profile of its own.
struct Browser {
    client: Client,
    _driver: Server,
    _profile: TempDir,
}

impl Browser {
    async fn start(scripts: bool) -> Self {
        let profile = TempDir::new();
        let driver = ChromeDriver::start().unwrap();
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if !scripts {
            arguments.push("--blink-settings=scriptEnabled=false".to_owned());
        }
        let options = json!({ "args": arguments });
        let capabilities: serde_json::Map<String, Value> =
            [("goog:chromeOptions".to_owned(), options)]
                .into_iter()
                .collect();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(driver.url())
            .await
            .unwrap();
        Self {
            client,
            _driver: driver,
            _profile: profile,
        }
    }

    async fn visit(&self, node: &Node) {
        self.client
            .goto(&format!("http://{}/", node.address()))
            .await
            .unwrap();
    }

    async fn text(&self, selector: &str) -> String {
        let found = self.client.find(Locator::Css(selector)).await;
        match found {
            Ok(element) => element.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// What became of the ticket; nothing while the page is being drawn anew.
    async fn presented(&self) -> String {
        match self.client.find(Locator::Css("[data-presented]")).await {
            Ok(badge) => badge
                .attr("data-presented")
                .await
                .ok()
                .flatten()
                .unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    async fn fill(&self, selector: &str, text: &str) {
        let fill = async || {
            let field = self.client.find(Locator::Css(selector)).await?;
            field.clear().await?;
            field.send_keys(text).await
        };
        eventually("the field is there", async || fill().await.is_ok()).await;
    }

    async fn press(&self, selector: &str) {
        let press = async || {
            // The answer to the last button may lie over this one.
            if let Ok(close) = self
                .client
                .find(Locator::Css("#answer:not([hidden]) button"))
                .await
            {
                close.click().await?;
            }
            self.client
                .find(Locator::Css(selector))
                .await?
                .click()
                .await
        };
        eventually("the button can be pressed", async || press().await.is_ok()).await;
    }

    /// The session cookie; scripts cannot see it.
    async fn token(&self) -> Option<String> {
        let cookie = self.client.get_named_cookie("id").await.ok()?;
        assert_eq!(cookie.http_only(), Some(true));
        Some(cookie.value().to_owned())
    }

    async fn quit(self) {
        self.client.close().await.unwrap();
    }
}

async fn sign_in(browser: &Browser, owner: &str) {
    browser
        .fill("form[action='/form/login'] input[name=owner]", owner)
        .await;
    browser.press("form[action='/form/login'] button").await;
    eventually("the page shows the owner", async || {
        browser.text("#owner").await == owner
    })
    .await;
}

async fn keeps_the_cookie() {
    let node = Node::start().await;
    let browser = Browser::start(true).await;
    browser.visit(&node).await;
    assert_eq!(browser.presented().await, "none");
    assert_eq!(browser.token().await, None);

    browser
        .fill("form[action='/form/set'] input[name=key]", "colour")
        .await;
    browser
        .fill("form[action='/form/set'] input[name=value]", "red")
        .await;
    browser.press("form[action='/form/set'] button").await;
    let answered = async || {
        browser
            .text("#answer")
            .await
            .contains("PUT /api/data/colour → 204")
    };
    eventually("the script shows the answer", answered).await;
    let token = browser.token().await.unwrap();
    assert_eq!(token.len(), 48);
    eventually("the page is drawn anew", async || {
        browser.text("tbody").await.contains("red")
    })
    .await;

    browser.visit(&node).await;
    assert_eq!(browser.presented().await, "active");
    assert_eq!(
        browser.token().await.unwrap(),
        token,
        "a visit changes nothing"
    );
    let seen = browser
        .client
        .execute("return document.cookie", vec![])
        .await
        .unwrap();
    assert_eq!(seen, json!(""), "scripts do not see the cookie");

    let curl = node.client();
    curl.set_cookie("id", &token);
    assert_eq!(
        curl.session().await.get("data"),
        Some(&json!({ "colour": "red" }))
    );
    browser.quit().await;
}

async fn ended_elsewhere() {
    let node = Node::start().await;
    let browser = Browser::start(true).await;
    browser.visit(&node).await;
    sign_in(&browser, "ada").await;
    assert_eq!(browser.presented().await, "active");

    let elsewhere: Curl = node.client();
    elsewhere
        .post("/api/login", "{\"owner\":\"ada\"}")
        .await
        .assert_status(204);
    browser.visit(&node).await;
    assert_eq!(
        browser
            .client
            .find_all(Locator::Css(".sessions li"))
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        elsewhere.delete("/api/sessions").await.json(),
        json!({ "destroyed": 1 })
    );

    browser.visit(&node).await;
    assert_eq!(browser.presented().await, "ended");
    assert!(browser.text("main").await.contains("ended from elsewhere"));
    assert_eq!(browser.text("#owner").await, "");
    sign_in(&browser, "bob").await;
    assert_eq!(browser.presented().await, "active");
    browser.press("form[action='/form/logout'] button").await;
    eventually("the cookie is gone", async || {
        browser.token().await.is_none()
    })
    .await;
    browser.quit().await;
}

async fn without_scripts() {
    let node = Node::start().await;
    let browser = Browser::start(false).await;
    browser.visit(&node).await;
    sign_in(&browser, "ada").await;
    let address = browser.client.current_url().await.unwrap();
    assert_eq!(address.path(), "/", "the form came back to the page");
    assert_eq!(browser.text("#answer").await, "", "no script ran");
    browser.press("form[action='/form/logout'] button").await;
    eventually("the session is gone", async || {
        browser.presented().await == "none"
    })
    .await;
    assert_eq!(browser.token().await, None);
    browser.quit().await;
}

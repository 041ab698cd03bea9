//! Options: what starts, and what is refused with one line and exit status 2.

use cloakroom_tests::{Node, NodeBuilder};

async fn assert_refused(builder: NodeBuilder, needles: &[&str]) {
    let told = format!("{builder:?}");
    let refusal = builder.refused().await;
    assert_eq!(refusal.status.code(), Some(2), "{told}: {refusal:?}");
    assert_eq!(refusal.stdout, "", "{told}");
    assert_eq!(
        refusal.stderr.trim_end().lines().count(),
        1,
        "{told}: {}",
        refusal.stderr
    );
    for needle in needles {
        assert!(
            refusal.stderr.contains(needle),
            "{told}: {} names {needle}",
            refusal.stderr
        );
    }
}

#[tokio::test]
async fn wrong_options_are_refused_by_name_with_what_is_allowed() {
    let table: &[(&str, &[&str])] = &[
        ("--bogus 1", &["--bogus", "--idle", "--store"]),
        ("stray", &["stray"]),
        ("--idle", &["--idle", "needs a value"]),
        ("--idle soon", &["--idle", "soon", "never", "disabled"]),
        ("--idle 0s", &["--idle"]),
        ("--idle -5m", &["--idle", "-5m"]),
        ("--absolute disabled", &["--absolute", "never"]),
        ("--touch 20m --idle 30m", &["touch", "half"]),
        ("--store nowhere://x", &["--store", "memory:"]),
        ("--store memory:x", &["--store"]),
        ("--store memory: --table t", &["--table", "sqlite:"]),
        ("--store memory: --schema s", &["--schema", "postgres://"]),
        ("--table a-b", &["--table", "a-b", "1 to 48"]),
        ("--l2 memcached://localhost", &["--l2"]),
        ("--transport pigeon", &["--transport", "cookie", "header"]),
        ("--name a=b", &["a=b"]),
        ("--name __Host-id", &["__Host-id", "Secure"]),
        ("--transport header --name cookie", &["cookie"]),
        ("--max-age soon", &["--max-age", "session", "timeout"]),
        ("--cache-entries many", &["--cache-entries", "many"]),
        ("--evict sometimes", &["--evict", "on-exit"]),
        ("--coherence bounded", &["--coherence", "bounded=DURATION"]),
        ("--coherence hope", &["--coherence", "verify"]),
        ("--poll 61s?", &["--poll"]),
        ("--commit later", &["--commit", "last-exit"]),
        ("--on-shutdown panic", &["--on-shutdown", "destroy"]),
        ("--on-unreadable shrug", &["--on-unreadable", "replace"]),
        ("--node a.b", &["node"]),
        ("--max-bytes 1Mib!", &["--max-bytes", "1MiB"]),
        ("--max-bytes 0", &["--max-bytes"]),
        ("--drain x", &["--drain"]),
        ("--secure=perhaps", &["--secure", "true, false"]),
        ("--listen nowhere", &["--listen", "nowhere"]),
    ];
    for (arguments, needles) in table {
        assert_refused(Node::with("--listen 127.0.0.1:0").args(arguments), needles).await;
    }
}

/// With the default store, which is a file.
#[tokio::test]
async fn a_start_that_is_refused_for_its_options_leaves_no_file() {
    for arguments in [
        "--name a=b",
        "--name __Host-id",
        "--touch 15m",
        "--node a.b",
        "--affinity",
        "--max-age 500ms",
        "--absolute disabled",
        "--coherence verify --commit last-exit",
        "--cache-entries 0 --coherence exclusive --commit last-exit",
        "--l2 memcached://localhost",
        "--schema s",
    ] {
        let refusal = Node::with(arguments).refused().await;
        assert_eq!(refusal.status.code(), Some(2), "{refusal:?}");
        assert_eq!(refusal.left, 0, "{arguments}");
    }
}

#[tokio::test]
async fn a_value_that_came_by_a_variable_is_refused_by_its_name() {
    for (variable, value) in [
        ("CLOAKROOM_NAME", "a=b"),
        ("CLOAKROOM_NODE", "a.b"),
        ("CLOAKROOM_L2", "memcached://localhost"),
        ("CLOAKROOM_STORE", "nowhere://x"),
        ("CLOAKROOM_STORE", "sqlite:/no/such/folder/at/all.sqlite"),
        ("CLOAKROOM_TOUCH", "20m"),
        ("CLOAKROOM_MAX_AGE", "500ms"),
    ] {
        let builder = Node::with("--listen 127.0.0.1:0").env(variable, value);
        assert_refused(builder, &[variable]).await;
    }
    let table = Node::with("--store memory:").env("CLOAKROOM_TABLE", "t");
    assert_refused(table, &["CLOAKROOM_TABLE"]).await;
}

#[tokio::test]
async fn a_cron_line_has_three_fields_and_names_the_wrong_one() {
    for (line, needle) in [
        ("60 * *", "minute"),
        ("* * *", "minute"),
        ("15 24 *", "hour"),
        ("15 * 0", "day"),
        ("15 * 8", "day"),
        ("15 *", "15 *"),
        ("15 * * *", "15 * * *"),
        ("*/2 * *", "minute"),
    ] {
        assert_refused(
            Node::with("").arg("--purge").arg(line),
            &["--purge", needle],
        )
        .await;
    }
}

#[tokio::test]
async fn a_bad_variable_is_named_and_the_command_line_wins_over_it() {
    let bad = || Node::with("--store memory:").env("CLOAKROOM_IDLE", "soon");
    assert_refused(bad(), &["CLOAKROOM_IDLE", "soon", "never"]).await;
    let flag = Node::with("--store memory:").env("CLOAKROOM_SECURE", "1");
    assert_refused(flag, &["CLOAKROOM_SECURE", "true, false"]).await;
    let node = bad().args("--idle 1h").start().await;
    assert_eq!(node.client().get("/healthz").await.text(), "ok");
}

#[tokio::test]
async fn every_option_is_a_variable_too() {
    let node = Node::with("--store memory:")
        .env("CLOAKROOM_NAME", "ticket")
        .env("CLOAKROOM_MAX_AGE", "1h")
        .env("CLOAKROOM_COMMIT_ON_5XX", "true")
        .env("CLOAKROOM_LISTEN", "127.0.0.1:0")
        .start()
        .await;
    let client = node.client();
    let answer = client.put("/api/status/500/k", "1").await;
    let cookies = answer.set_cookies();
    assert!(
        cookies[0].starts_with("ticket=") && cookies[0].contains("Max-Age=3600"),
        "{cookies:?}"
    );
    client.get("/api/data/k").await.assert_status(200);
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused() {
    let node = Node::start().await;
    let listen = format!("--store memory: --listen {}", node.address());
    assert_refused(Node::with(&listen), &["--listen", node.address()]).await;
}

#[tokio::test]
async fn the_one_line_is_all_that_is_said() {
    let node = Node::start().await;
    node.client()
        .put("/api/data/a", "1")
        .await
        .assert_status(204);
    assert_eq!(
        node.stdout(),
        [format!("listening on http://{}", node.address())]
    );
    assert_eq!(node.stderr(), [""; 0]);
}

#[tokio::test]
async fn secure_means_a_host_cookie() {
    let node = Node::with("--store memory: --secure").start().await;
    let cookies = node.client().put("/api/data/a", "1").await.set_cookies();
    assert!(
        cookies[0].starts_with("__Host-id=") && cookies[0].contains("; Secure"),
        "{cookies:?}"
    );
}

#[tokio::test]
async fn all_harmless_options_start_together() {
    let node = Node::with(
        "--store memory: --idle 1h --absolute never --touch 10s --retention 2h --cache-entries 5 \
         --cache-idle 10m --cache-ttl 1h --evict 5m --coherence verify --poll off --purge 10s \
         --commit response-head --on-shutdown flush --on-unreadable fail --stale-if-error 30s \
         --node n1 --affinity --superseded 30s --max-bytes 2MiB --drain 1s --transport header,cookie",
    )
    .start()
    .await;
    assert_eq!(node.client().get("/healthz").await.text(), "ok");
    for arguments in [
        "--cache-entries 0",
        "--evict on-exit",
        "--commit last-exit",
        "--on-shutdown destroy",
        "--coherence bounded=1s",
    ] {
        let node = Node::with("--store memory:").args(arguments).start().await;
        let client = node.client();
        client.put("/api/data/a", "1").await.assert_status(204);
        assert_eq!(client.get("/api/data/a").await.text(), "1", "{arguments}");
    }
}

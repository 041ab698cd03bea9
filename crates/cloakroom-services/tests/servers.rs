//! What every server promises, tried on each kind that is installed.

mod harness;
mod redis_groups;
mod wire;

use std::process::ExitCode;
use std::time::Duration;

use cloakroom_services::{ChromeDriver, Error, MariaDb, Postgres, Redis, Server, Valkey, shared};
use harness::{is_gone, trial};
use libtest_mimic::{Arguments, Trial};
use wire::{Wire, talk};

type Start = fn() -> Result<Server, Error>;

const KINDS: [(&str, Start, &Wire); 7] = [
    ("redis", Redis::start, &wire::REDIS),
    ("valkey", Valkey::start, &wire::REDIS),
    ("postgres", Postgres::start, &wire::POSTGRES),
    (
        "postgres_with_password",
        || Postgres::start_with_password("secret"),
        &wire::POSTGRES,
    ),
    ("mariadb", MariaDb::start, &wire::MARIADB),
    (
        "mariadb_with_password",
        || MariaDb::start_with_password("secret"),
        &wire::MARIADB,
    ),
    ("chromedriver", ChromeDriver::start, &wire::HTTP),
];

fn main() -> ExitCode {
    if harness::is_victim() {
        return harness::victim();
    }
    let mut trials: Vec<Trial> = KINDS
        .iter()
        .map(|&(kind, start, wire)| trial(kind, "lives_and_leaves_nothing", start, lives(wire)))
        .collect();
    for &(kind, start, wire) in &KINDS {
        if !kind.contains("password") && kind != "chromedriver" {
            trials.push(trial(kind, "is_silent_while_frozen", start, freezes(wire)));
        }
    }
    let persistent: Start = || Redis::start_with(&["--appendonly", "yes"]);
    trials.extend([
        trial("redis", "keeps_acknowledged_data", persistent, |server| {
            keeps_data(&server);
        }),
        trial("redis", "says_why_it_does_not_start", broken, |message| {
            says_why(&message);
        }),
        trial("redis", "dies_with_a_killed_program", Redis::start, |_| {
            harness::a_killed_program_takes_its_server_along();
        }),
        trial("shared", "is_one_server", shared::redis, |first| {
            assert_eq!(shared::redis().ok(), Some(first));
        }),
    ]);
    trials.extend(redis_groups::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The whole life of a server: stop, restart, kill, restart, drop.
fn lives(wire: &'static Wire) -> impl Fn(Server) + Send + Sync + 'static {
    move |server| {
        let port = server.port();
        assert!(server.url().contains(&format!("127.0.0.1:{port}")));
        assert!(server.is_running());
        assert!(talk(wire, port).is_ok());

        server.stop().expect("it stops in good order");
        assert!(!server.is_running());
        assert!(talk(wire, port).is_err());

        server.restart().expect("it starts again");
        assert!(talk(wire, port).is_ok());
        let first = server.pid();

        server.kill().expect("it is killed");
        assert!(talk(wire, port).is_err());
        server.restart().expect("it starts after a kill");
        assert!(talk(wire, port).is_ok());
        assert_ne!(server.pid(), first);

        let (pid, folder) = (server.pid(), server.folder().to_path_buf());
        drop(server);
        assert!(pid.is_some_and(is_gone));
        assert!(!folder.exists());
        assert!(talk(wire, port).is_err());
    }
}

/// A connection that was open before goes silent too, and gets its answer afterwards; so does one made meanwhile.
fn freezes(wire: &'static Wire) -> impl Fn(Server) + Send + Sync + 'static {
    move |server| {
        let mut open = wire.open(server.port()).expect("a connection");
        assert!(open.ask(Duration::from_secs(10)).is_ok());

        server.freeze().expect("it freezes");
        assert!(server.is_running());
        assert!(talk(wire, server.port()).is_err());
        assert!(open.ask(Duration::from_millis(200)).is_err());
        let mut late = wire.open(server.port()).expect("the system accepts it");
        assert!(late.ask(Duration::from_millis(200)).is_err());

        server.thaw().expect("it thaws");
        assert!(late.answer(Duration::from_secs(10)).is_ok());
        if wire.can_ask() {
            assert!(open.answer(Duration::from_secs(10)).is_ok());
        }
        assert!(talk(wire, server.port()).is_ok());

        server.freeze().expect("it freezes again");
        drop(server); // ends, frozen as it is
    }
}

fn keeps_data(server: &Server) {
    let port = server.port();
    assert_eq!(wire::redis(port, "SET cloak room\r\n"), "+OK\r\n");
    server.kill().expect("it is killed");
    server.restart().expect("it starts again");
    assert_eq!(wire::redis(port, "GET cloak\r\n"), "$4\r\nroom\r\n");
}

/// `Ok` holds the message of a server that refused its arguments.
fn broken() -> Result<String, Error> {
    match Redis::start_with(&["--no-such-option", "1"]) {
        Err(Error::Failed(failure)) => Ok(failure.to_string()),
        Err(error) => Err(error),
        Ok(_) => Ok("it started".to_owned()),
    }
}

fn says_why(message: &str) {
    assert!(message.starts_with("Redis: ended while it started"));
    assert!(message.contains("no-such-option"), "{message}");
}

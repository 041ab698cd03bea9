//! An operator's connection to a Redis server.

use std::time::Duration;

use cloakroom_services::Server;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) struct Admin(BufReader<TcpStream>);

impl Admin {
    pub(crate) async fn of(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).await;
        Self(BufReader::new(stream.unwrap()))
    }

    /// One figure of a section of INFO.
    pub(crate) async fn figure(&mut self, section: &str, name: &str) -> u64 {
        let info = self.run(&format!("INFO {section}")).await;
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        let figure = line.and_then(|rest| rest.strip_prefix(':'));
        figure.map_or(0, |figure| figure.trim().parse().unwrap())
    }

    /// Runs a command that is answered by a line or a text.
    pub(crate) async fn run(&mut self, command: &str) -> String {
        let limit = Duration::from_secs(20);
        let answer = tokio::time::timeout(limit, self.try_run(command)).await;
        answer.unwrap().unwrap()
    }

    /// The same, where the connection may break.
    pub(crate) async fn try_run(&mut self, command: &str) -> std::io::Result<String> {
        self.0
            .write_all(format!("{command}\r\n").as_bytes())
            .await?;
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let line = line.trim_end();
        assert!(!line.starts_with('-'), "{command}: {line}");
        let Some(length) = line.strip_prefix('$') else {
            return Ok(line.to_owned());
        };
        let mut text = vec![0; length.parse::<usize>().unwrap() + 2];
        self.0.read_exact(&mut text).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// How many commands the nodes have sent since the last look: every operation of the store is one
    /// script. What runs inside of scripts, and the heartbeat of the feed, is not counted.
    pub(crate) async fn commands(&mut self) -> u64 {
        let stats = self.run("INFO commandstats").await;
        self.run("CONFIG RESETSTAT").await;
        let calls = |name: &str| {
            let start = format!("cmdstat_{name}:calls=");
            let line = stats.lines().find_map(|line| line.strip_prefix(&start));
            let calls = line.and_then(|rest| rest.split(',').next());
            calls.map_or(0, |calls| calls.parse::<u64>().unwrap())
        };
        calls("eval") + calls("evalsha")
    }

    /// Breaks the connections of the change feed.
    pub(crate) async fn kill_feed(&mut self) {
        self.run("CLIENT KILL TYPE pubsub").await;
    }

    /// Breaks every connection but this one.
    pub(crate) async fn kill_all(&mut self) {
        self.run("CLIENT KILL TYPE normal SKIPME yes").await;
        self.kill_feed().await;
    }
}

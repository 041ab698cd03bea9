use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::{Answer, Client, TempDir, eventually, playground};

/// How long a process may take for what it does at once.
const SOON: Duration = Duration::from_secs(20);

/// What a playground shall be started with.
#[derive(Debug)]
pub struct NodeBuilder {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A playground that would not start.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// How many files it has left in its folder.
    pub left: usize,
    /// Its exit status.
    pub status: ExitStatus,
    /// What it said on stdout.
    pub stdout: String,
    /// What it said on stderr.
    pub stderr: String,
}

/// A running playground on a port of its own, killed when dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    address: String,
    stdout: Lines,
    stderr: Lines,
    // The working directory: a store may make a file in it.
    directory: TempDir,
}

type Lines = Arc<Mutex<Vec<String>>>;

impl NodeBuilder {
    /// One more argument of the command line.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Arguments of the command line, separated by blanks.
    #[must_use]
    pub fn args(mut self, arguments: &str) -> Self {
        self.arguments
            .extend(arguments.split_whitespace().map(str::to_owned));
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn command(&self, directory: &TempDir) -> Command {
        let mut command = Command::new(playground());
        // The tests' own variables are not options.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CLOAKROOM_") {
                command.env_remove(name);
            }
        }
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts it and waits for its line.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn start(self) -> Node {
        let directory = TempDir::new();
        let builder = if self
            .arguments
            .iter()
            .any(|argument| argument.starts_with("--listen"))
        {
            self
        } else {
            self.args("--listen 127.0.0.1:0")
        };
        let mut child = builder
            .command(&directory)
            .spawn()
            .expect("the playground can be started");
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let first = collect(child.stdout.take(), &stdout);
        collect(child.stderr.take(), &stderr);
        let line = tokio::time::timeout(SOON, first)
            .await
            .ok()
            .and_then(Result::ok);
        let address = line
            .as_deref()
            .and_then(|line| line.strip_prefix("listening on http://"));
        let address = address
            .unwrap_or_else(|| no_line(line.as_deref(), &stderr))
            .to_owned();
        Node {
            child,
            address,
            stdout,
            stderr,
            directory,
        }
    }

    /// Starts it with the expectation that it refuses.
    ///
    /// # Panics
    ///
    /// If it starts after all.
    pub async fn refused(self) -> Refusal {
        let directory = TempDir::new();
        let output = tokio::time::timeout(SOON, self.command(&directory).output())
            .await
            .expect("the playground ends at once")
            .expect("the playground can be started");
        let left = std::fs::read_dir(directory.path()).expect("the folder is ours");
        Refusal {
            left: left.count(),
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

#[expect(clippy::panic, reason = "a test without its server cannot go on")]
fn no_line(line: Option<&str>, stderr: &Lines) -> ! {
    panic!(
        "the playground says where it listens, not {line:?}; on stderr: {:?}",
        kept(stderr)
    )
}

/// Keeps all lines of a pipe; tells the first.
fn collect(
    pipe: Option<impl AsyncRead + Unpin + Send + 'static>,
    lines: &Lines,
) -> tokio::sync::oneshot::Receiver<String> {
    let (first, receiver) = tokio::sync::oneshot::channel();
    let (mut first, lines) = (Some(first), Arc::clone(lines));
    let mut reader = BufReader::new(pipe.expect("the pipe was asked for")).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = reader.next_line().await {
            if let Some(first) = first.take() {
                // Nobody may wait for it.
                first.send(line.clone()).ok();
            }
            lines.lock().expect("no test panics here").push(line);
        }
    });
    receiver
}

fn kept(lines: &Lines) -> Vec<String> {
    lines.lock().expect("no test panics here").clone()
}

impl Node {
    /// A playground to be started with these arguments, separated by blanks.
    #[must_use]
    pub fn with(arguments: &str) -> NodeBuilder {
        NodeBuilder {
            arguments: Vec::new(),
            environment: Vec::new(),
        }
        .args(arguments)
    }

    /// A playground over memory with the defaults.
    pub async fn start() -> Self {
        Self::with("--store memory:").start().await
    }

    /// `127.0.0.1:12345`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its working directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A new browser that visits this node.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Sends a request and comes back as soon as its handler has the session in its hands, so that
    /// what is done next overlaps with it.
    pub async fn begin(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: &str,
    ) -> JoinHandle<Answer> {
        let operator = self.client();
        let before = operator.looked_at().await;
        let (client, path, body) = (client.clone(), path.to_owned(), body.to_owned());
        let running = tokio::spawn(async move { client.send(method, &path, body).await });
        eventually("the handler runs", async || {
            operator.looked_at().await > before
        })
        .await;
        running
    }

    /// The process, for signals.
    ///
    /// # Panics
    ///
    /// If it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the playground runs")
    }

    /// Sends a signal such as `TERM`, `STOP` or `KILL`.
    ///
    /// # Panics
    ///
    /// If there is no `kill`.
    pub async fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .await
            .expect("there is a kill");
        assert!(sent.success(), "the signal was sent");
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(SOON, self.child.wait())
            .await
            .expect("the playground ends")
            .expect("its status can be asked for")
    }

    /// What it has said on stdout so far.
    #[must_use]
    pub fn stdout(&self) -> Vec<String> {
        kept(&self.stdout)
    }

    /// What it has said on stderr so far.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        kept(&self.stderr)
    }
}

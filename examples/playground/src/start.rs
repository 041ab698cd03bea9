//! From the command line to a running server, and how it ends.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use tokio::net::TcpListener;

use crate::app::App;
use crate::log::Log;
use crate::options::{self, Invocation, Options};
use crate::server::{Server, StopSignal};
use crate::store::Opened;
use crate::{routes, sessions, store};

/// An error at start: one line, which becomes exit status 2.
#[derive(Debug)]
pub(crate) struct StartError(String);

impl StartError {
    /// `what` went wrong, and the causes behind it, on one line.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The error and its sources as one sentence. A source that its error already quotes is left
    /// out.
    pub(crate) fn caused_by(what: &str, error: &(dyn Error + 'static)) -> Self {
        let mut text = format!("{what}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        Self(text)
    }

    fn line(&self) -> String {
        let line: Vec<&str> = self.0.split_whitespace().collect();
        format!("playground: {}", line.join(" "))
    }
}

impl From<options::OptionError> for StartError {
    fn from(error: options::OptionError) -> Self {
        Self(error.to_string())
    }
}

/// Reads the options, runs the server until it is told to stop, and says how it went.
pub(crate) fn run() -> ExitCode {
    let log = Log::begin();
    match options::from_process()
        .map_err(StartError::from)
        .and_then(|invocation| invoke(invocation, &log))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if stderr is closed.
            drop(writeln!(std::io::stderr(), "{}", error.line()));
            ExitCode::from(2)
        }
    }
}

fn invoke(invocation: Invocation, log: &Log) -> Result<(), StartError> {
    match invocation {
        Invocation::Help => {
            drop(std::io::stdout().write_all(options::help().as_bytes()));
            Ok(())
        }
        Invocation::Serve(options) => {
            sessions::check(&options)?;
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|error| StartError::caused_by("cannot start the runtime", &error))?
                .block_on(serve(*options, log))
        }
    }
}

async fn serve(options: Options, log: &Log) -> Result<(), StartError> {
    let journal = crate::journal::Journal::shared();
    let Opened {
        builder,
        connections,
    } = store::open(&options).await?;
    let sessions = match sessions::layer(builder, &options, &journal) {
        Ok(sessions) => sessions,
        Err(error) => {
            connections.close().await;
            return Err(error);
        }
    };
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        let what = format!("{} {}", options.spelling("listen"), options.listen);
        StartError::caused_by(&what, &error)
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| StartError::caused_by(&options.spelling("listen"), &error))?;
    // Before the line below: whoever reads it may send SIGTERM at once.
    let stop = StopSignal::install()
        .map_err(|error| StartError::caused_by("cannot listen for signals", &error))?;

    let app = App::new(sessions.manager().clone(), journal, &options);
    let sockets = app.sockets.clone();
    let router = routes::router(app, &sessions).layer(sessions.clone());

    log.release();
    let mut stdout = std::io::stdout();
    drop(writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush()));

    Server {
        listener,
        router,
        sockets,
        drain: options.drain,
    }
    .run(stop)
    .await;
    let report = sessions.manager().shutdown().await;
    connections.close().await;
    tracing::info!(?report, "stopped");
    Ok(())
}

//! Cloakroom beside tower-sessions, in one run: `cargo xtask bench compare`.
//!
//! `cloakroom-compare [sql|http]`, without a word both:
//!
//! - `sql`: what each operation costs over `SQLite` and `PostgreSQL`, in-process
//! - `http`: axum served over HTTP with the sessions in Redis, driven by `wrk`
//!
//! Whatever is compared runs in turns, A B A B, and only the ratio of two neighbours counts: a
//! machine that slows down in the middle slows both.

mod clock;
mod http;
mod ratio;
mod report;
mod sql;

use std::process::ExitCode;

use report::{complain, say};

/// Whatever goes wrong here ends the run with a sentence.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long nobody may touch a session, for both sides.
const IDLE_MINUTES: u32 = 30;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [] => sql::run().and_then(|()| {
            say("");
            http::run()
        }),
        ["sql"] => sql::run(),
        ["http"] => http::run(),
        // What `http` starts for each of its servers.
        ["serve", variant, redis] => http::serve(variant, redis),
        other => Err(format!("`{}` is not understood: sql, http", other.join(" ")).into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// What `#[tokio::main]` makes: as many workers as this process may use processors.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

//! The playground: every behaviour of cloakroom, reachable with curl and a browser.
//!
//! A real server built only on the public API. The options and routes are in its README; the way
//! of a request through the files: `server` (connections) -> `routes` (one file per group) ->
//! `answer` (how an error looks). `sessions` turns the options into the session layer, `refusal`
//! words what the layer refuses by the names of the options, `store` opens the store, `page` draws the page for people.

mod answer;
mod app;
mod body;
mod extract;
mod journal;
mod log;
mod options;
mod page;
mod refusal;
mod routes;
mod running;
mod server;
mod sessions;
mod start;
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    start::run()
}

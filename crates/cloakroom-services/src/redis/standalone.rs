//! One server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::reply::ask;
use crate::privilege::Identity;
use crate::server::{Plan, Server};
use crate::{Error, Missing, find};

/// Starts private Redis servers. Nothing is written to disk unless the arguments say so.
#[derive(Debug)]
#[non_exhaustive]
pub struct Redis;

/// Starts private Valkey servers, where Valkey is installed: Debian 12 has it in backports only, so it is
/// [optional](Missing::is_optional).
#[derive(Debug)]
#[non_exhaustive]
pub struct Valkey;

impl Redis {
    /// Where the program is: the variable `REDIS_SERVER` if it is set, for tests of another release, or `redis-server`.
    ///
    /// # Errors
    ///
    /// If it is not installed.
    pub fn find() -> Result<PathBuf, Missing> {
        const PROGRAM: &str = "redis-server";
        find::given_or("REDIS_SERVER", PROGRAM)
            .ok_or_else(|| Missing::new("Redis", PROGRAM, &["redis-server"]))
    }

    /// Starts one; URL `redis://127.0.0.1:PORT/`.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start() -> Result<Server, Error> {
        Self::start_with(&[])
    }

    /// Starts one with more arguments, as on the command line: `&["--appendonly", "yes"]`, `&["--requirepass", "secret"]`. They
    /// come last, so that they win.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start; the error holds what the server said about the arguments.
    pub fn start_with(arguments: &[&str]) -> Result<Server, Error> {
        start("Redis", &Self::find()?, arguments)
    }
}

impl Valkey {
    /// Where the program is: the variable `VALKEY_SERVER` if it is set, or `valkey-server`.
    ///
    /// # Errors
    ///
    /// If it is not installed.
    pub fn find() -> Result<PathBuf, Missing> {
        const PROGRAM: &str = "valkey-server";
        find::given_or("VALKEY_SERVER", PROGRAM)
            .ok_or_else(|| Missing::new("Valkey", PROGRAM, &["valkey-server"]).optional())
    }

    /// Starts one; URL `redis://127.0.0.1:PORT/`, because clients know no other scheme.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start() -> Result<Server, Error> {
        Self::start_with(&[])
    }

    /// As [`Redis::start_with`].
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start_with(arguments: &[&str]) -> Result<Server, Error> {
        start("Valkey", &Self::find()?, arguments)
    }
}

pub(super) fn start(
    service: &'static str,
    program: &Path,
    arguments: &[&str],
) -> Result<Server, Error> {
    Server::launch(service, &Identity::Same, |port, folder| {
        let mut command: Vec<OsString> = vec![program.into()];
        command.extend(["--port", &port.to_string()].map(OsString::from));
        command.extend(["--bind", "127.0.0.1", "--dir"].map(OsString::from));
        command.push(folder.into());
        command.extend(["--save", "", "--appendonly", "no"].map(OsString::from));
        command.extend(arguments.iter().map(OsString::from));
        Ok(Plan {
            command,
            is_ready: Box::new(move |pid| answers(port, pid)),
            stop: "TERM",
            discard: "KILL",
            url: format!("redis://127.0.0.1:{port}/"),
        })
    })
}

/// Whether it is this process that answers, with its data loaded.
pub(super) fn answers(port: u16, pid: u32) -> bool {
    match ask(port, &["INFO"]) {
        Ok(info) => {
            field(&info, "process_id") == Some(&pid.to_string())
                && field(&info, "loading").is_none_or(|loading| loading == "0")
        }
        // It wants a password, which it can want only once it runs.
        Err(error) => {
            let text = error.to_string();
            text.starts_with("NOAUTH") || text.starts_with("NOPERM")
        }
    }
}

/// One field of an `INFO` reply, lines of `name:value`.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Server\r\ntcp_port:1\r\nport:2\r\n\r\n";
        assert_eq!(field(info, "port"), Some("2"));
        assert_eq!(field(info, "ort"), None);
    }
}

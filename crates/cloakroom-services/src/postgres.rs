//! `PostgreSQL`.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::privilege::Identity;
use crate::server::{Plan, Server};
use crate::{Error, Failure, Missing, find, home};

const SERVICE: &str = "PostgreSQL";
const TIMEOUT: Duration = Duration::from_secs(2);

/// Starts private `PostgreSQL` servers: user and database `postgres`, without `fsync` (a SIGKILL of the server loses nothing, a power
/// cut would).
#[derive(Debug)]
#[non_exhaustive]
pub struct Postgres;

impl Postgres {
    /// The folder that holds `postgres` and `initdb`, of the newest release that is installed unless `PATH` names one.
    ///
    /// # Errors
    ///
    /// If it is not installed.
    pub fn find() -> Result<PathBuf, Missing> {
        find::folder_with(&["initdb", "postgres"])
            .ok_or_else(|| Missing::new(SERVICE, "postgres with initdb", &["postgresql"]))
    }

    /// Starts one that trusts everybody; URL `postgres://postgres@127.0.0.1:PORT/postgres`.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start() -> Result<Server, Error> {
        launch(None, &[])
    }

    /// The same with more arguments, as on the command line: `&["-c", "max_connections=10"]`.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start_with(arguments: &[&str]) -> Result<Server, Error> {
        launch(None, arguments)
    }

    /// Starts one that asks for this password (SCRAM); it is in the URL, so it must need no escaping there.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start_with_password(password: &str) -> Result<Server, Error> {
        launch(Some(password), &[])
    }
}

fn launch(password: Option<&str>, arguments: &[&str]) -> Result<Server, Error> {
    let programs = Postgres::find()?;
    let identity = Identity::unprivileged()?;
    Server::launch(SERVICE, &identity, |port, folder| {
        let data = folder.join("data");
        initdb(&programs, &identity, &data, password)?;
        let mut command = identity.command(&programs.join("postgres"));
        command.push("-D".into());
        command.push(data.clone().into());
        command.extend(["-p", &port.to_string()].map(OsString::from));
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "shared_buffers=32MB",
            "fsync=off",
            "full_page_writes=off",
            // In the data folder, so that nothing is left in /dev/shm after a SIGKILL.
            "dynamic_shared_memory_type=mmap",
        ] {
            command.extend(["-c", setting].map(OsString::from));
        }
        command.extend(arguments.iter().map(OsString::from));
        let login = password.map_or_else(String::new, |password| format!(":{password}"));
        Ok(Plan {
            command,
            is_ready: Box::new(move |pid| is_ready(&data, port, pid).unwrap_or(false)),
            stop: "INT",
            discard: "QUIT",
            url: format!("postgres://postgres{login}@127.0.0.1:{port}/postgres"),
        })
    })
}

fn initdb(
    programs: &Path,
    identity: &Identity,
    data: &Path,
    password: Option<&str>,
) -> Result<(), Failure> {
    let failed = |what: String| Failure::new(SERVICE, format!("initdb: {what}"));
    let command = identity.command(&programs.join("initdb"));
    let mut words = command.iter();
    let program = words.next().ok_or_else(|| failed("no program".into()))?;
    let mut command = Command::new(program);
    command
        .args(words)
        .args(["-U", "postgres", "--no-sync", "--locale=C", "-E", "UTF8"])
        .arg("-D")
        .arg(data)
        .current_dir("/")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    match password {
        None => command.args(["-A", "trust"]),
        Some(password) => {
            let file = data.with_extension("password");
            home::write(&file, password, identity).map_err(|error| failed(error.to_string()))?;
            let mut option = OsString::from("--pwfile=");
            option.push(file);
            command.args(["-A", "scram-sha-256"]).arg(option)
        }
    };
    let output = command
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(failed(format!("{}\n{text}", output.status)))
    }
}

/// Whether the process has said so in its own folder, and accepts logins.
fn is_ready(data: &Path, port: u16, pid: u32) -> io::Result<bool> {
    let file = fs::read_to_string(data.join("postmaster.pid"))?;
    let mut lines = file.lines().map(str::trim);
    if lines.next() != Some(&pid.to_string()) || lines.next_back() != Some("ready") {
        return Ok(false);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(&startup_message())?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    // `R`: it wants to authenticate us, or has. While it starts or stops it answers `E`.
    Ok(kind == [b'R'])
}

/// Protocol 3.0: length, version, then names and values.
fn startup_message() -> Vec<u8> {
    const TEXT: &[u8] = b"\x00\x03\x00\x00user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(TEXT.len() + 4).unwrap_or_default();
    [&length.to_be_bytes(), TEXT].concat()
}

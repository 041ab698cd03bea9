//! `MariaDB`.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::privilege::Identity;
use crate::server::{Plan, Server};
use crate::{Error, Failure, Missing, find, home};

const SERVICE: &str = "MariaDB";
const TIMEOUT: Duration = Duration::from_secs(2);

/// Starts private `MariaDB` servers: user `root`, an empty database `cloakroom`.
#[derive(Debug)]
#[non_exhaustive]
pub struct MariaDb;

impl MariaDb {
    /// Where the server program is.
    ///
    /// # Errors
    ///
    /// If it, or the program that makes a data folder, is not installed.
    pub fn find() -> Result<PathBuf, Missing> {
        programs().map(|programs| programs.server)
    }

    /// Starts one without a password; URL `mysql://root@127.0.0.1:PORT/cloakroom`.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start() -> Result<Server, Error> {
        launch(None, &[])
    }

    /// The same with more arguments, as on the command line: `&["--max-connections=10"]`.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start_with(arguments: &[&str]) -> Result<Server, Error> {
        launch(None, arguments)
    }

    /// Starts one that asks for this password; it is in the URL and in an SQL literal, so it must need no escaping there.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start_with_password(password: &str) -> Result<Server, Error> {
        launch(Some(password), &[])
    }
}

struct Programs {
    server: PathBuf,
    install: PathBuf,
}

fn programs() -> Result<Programs, Missing> {
    let find = |program| {
        find::program(program).ok_or_else(|| {
            Missing::new(
                SERVICE,
                program,
                &["mariadb-server-core", "mariadb-client-core"],
            )
        })
    };
    Ok(Programs {
        server: find("mariadbd")?,
        install: find("mariadb-install-db")?,
    })
}

fn launch(password: Option<&str>, arguments: &[&str]) -> Result<Server, Error> {
    let programs = programs()?;
    let identity = Identity::unprivileged()?;
    Server::launch(SERVICE, &identity, |port, folder| {
        let data = folder.join("data");
        install(&programs.install, &identity, folder)?;
        let init = folder.join("init.sql");
        home::write(&init, &init_sql(password), &identity)
            .map_err(|error| Failure::new(SERVICE, error.to_string()))?;
        let pid_file = folder.join("pid");
        let mut command = identity.command(&programs.server);
        command.push("--no-defaults".into());
        command.push(option("--datadir", &data));
        command.push(option("--socket", &folder.join("socket")));
        command.push(option("--pid-file", &pid_file));
        command.push(option("--init-file", &init));
        command.push(format!("--port={port}").into());
        command.extend(
            [
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--innodb-log-file-size=8M",
                "--innodb-buffer-pool-size=32M",
                // As with PostgreSQL: a SIGKILL loses nothing, only a power cut would.
                "--innodb-flush-log-at-trx-commit=2",
                "--max-connections=300",
                // Looks that break off must not have 127.0.0.1 blocked.
                "--max-connect-errors=4294967295",
            ]
            .map(OsString::from),
        );
        command.extend(arguments.iter().map(OsString::from));
        let login = password.map_or_else(String::new, |password| format!(":{password}"));
        Ok(Plan {
            command,
            is_ready: Box::new(move |pid| is_ready(&pid_file, port, pid).unwrap_or(false)),
            stop: "TERM",
            discard: "KILL",
            url: format!("mysql://root{login}@127.0.0.1:{port}/cloakroom"),
        })
    })
}

/// Run by the server at every start, before it listens.
fn init_sql(password: Option<&str>) -> String {
    let alter = password.map_or_else(String::new, |password| {
        ["127.0.0.1", "localhost"]
            .map(|host| format!("ALTER USER 'root'@'{host}' IDENTIFIED BY '{password}';\n"))
            .concat()
    });
    format!("CREATE DATABASE IF NOT EXISTS cloakroom;\n{alter}")
}

fn install(program: &Path, identity: &Identity, folder: &Path) -> Result<(), Failure> {
    let failed = |what: String| Failure::new(SERVICE, format!("mariadb-install-db: {what}"));
    let command = identity.command(program);
    let mut words = command.iter();
    let program = words.next().ok_or_else(|| failed("no program".into()))?;
    let output = Command::new(program)
        .args(words)
        .arg("--no-defaults")
        .arg(option("--datadir", &folder.join("data")))
        .args([
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-log-file-size=8M",
        ])
        .current_dir(folder)
        // It runs the server, which must not meet another one's temporary files.
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(failed(format!("{}\n{text}", output.status)))
    }
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push("=");
    option.push(path);
    option
}

/// Whether it is this process that listens, and it greets.
fn is_ready(pid_file: &Path, port: u16, pid: u32) -> io::Result<bool> {
    if fs::read_to_string(pid_file)?.trim() != pid.to_string() {
        return Ok(false);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // Three bytes of length, one of sequence, then protocol version 10; an error would begin with 255.
    let mut greeting = [0; 5];
    stream.read_exact(&mut greeting)?;
    Ok(greeting.last() == Some(&10))
}

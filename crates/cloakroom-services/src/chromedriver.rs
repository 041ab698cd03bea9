//! Chromium and the driver that remote-controls it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::privilege::Identity;
use crate::server::{Plan, Server};
use crate::{Error, Missing, find};

const SERVICE: &str = "Chromium";
const TIMEOUT: Duration = Duration::from_secs(2);

/// Starts private `WebDriver` servers for Debian's Chromium. Run as root, the browser wants `--no-sandbox`.
#[derive(Debug)]
#[non_exhaustive]
pub struct ChromeDriver;

impl ChromeDriver {
    /// Where the driver is.
    ///
    /// # Errors
    ///
    /// If it or the browser is not installed.
    pub fn find() -> Result<PathBuf, Missing> {
        let find = |program| {
            find::program(program)
                .ok_or_else(|| Missing::new(SERVICE, program, &["chromium", "chromium-driver"]))
        };
        find("chromium").and_then(|_| find("chromedriver"))
    }

    /// Starts one; URL `http://127.0.0.1:PORT`. Browsers that it started end with it.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start.
    pub fn start() -> Result<Server, Error> {
        let program = Self::find()?;
        Server::launch(SERVICE, &Identity::Same, |port, _| {
            let port_option = OsString::from(format!("--port={port}"));
            Ok(Plan {
                command: vec![program.clone().into(), port_option],
                is_ready: Box::new(move |_| is_ready(port).unwrap_or(false)),
                stop: "TERM",
                discard: "KILL",
                url: format!("http://127.0.0.1:{port}"),
            })
        })
    }
}

fn is_ready(port: u16) -> io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    let mut bytes = [0; 1024];
    // The connection stays open: the answer ends where the driver says so.
    while !answer.contains("\"ready\":") {
        let length = stream.read(&mut bytes)?;
        if length == 0 {
            break;
        }
        answer.push_str(&String::from_utf8_lossy(
            bytes.get(..length).unwrap_or(&bytes),
        ));
    }
    Ok(answer.contains("\"ready\":true"))
}

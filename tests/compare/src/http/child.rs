//! A server in a process of its own, so that its processor time can be told from that of others.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use super::pin;
use super::variant::Variant;
use super::wrk::SESSIONS;
use crate::Result;

pub(super) struct Child {
    pub(super) variant: Variant,
    pub(super) port: u16,
    /// A line for each session, as a browser would send it.
    pub(super) cookies: String,
    process: std::process::Child,
}

impl Child {
    pub(super) fn start(variant: Variant, redis: &str, pinned: bool) -> Result<Self> {
        let program = std::env::current_exe()?;
        // `taskset` becomes what it starts: the process is the server's.
        let mut process = pin::to_servers_core(program.as_os_str(), pinned)
            .args(["serve", variant.name(), redis])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().strip_prefix("listening ");
        let port = port.ok_or("the server did not start")?.parse()?;
        let mut this = Self {
            variant,
            port,
            cookies: String::new(),
            process,
        };
        let cookies = (0..SESSIONS).map(|_| this.cookie());
        this.cookies = cookies.collect::<Result<Vec<_>>>()?.join("\n");
        Ok(this)
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A new session. The route without sessions gets one
    /// of the same length as ours, so that the server reads no less.
    fn cookie(&self) -> Result<String> {
        if !self.variant.keeps() {
            return Ok(format!("__Host-id={}", "A".repeat(48)));
        }
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(b"GET /write HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let cookie = answer
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .and_then(|(_, value)| value.split(';').next())
            .ok_or_else(|| format!("no cookie in `{answer}`"))?;
        Ok(cookie.to_owned())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The end of its standard input is its sign to leave.
        drop(self.process.stdin.take());
        self.process.wait().ok();
    }
}

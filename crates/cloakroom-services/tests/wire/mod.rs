//! Just enough of each protocol to see whether somebody answers.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How a connection begins and what is asked on it.
pub(crate) struct Wire {
    /// Sent first; the answer is read until it is this long or silent.
    login: &'static [u8],
    /// Asked as often as one likes. Empty where a question needs a login; then a new connection's greeting is the answer.
    question: &'static [u8],
}

pub(crate) const REDIS: Wire = Wire {
    login: b"",
    question: b"PING\r\n",
};

pub(crate) const POSTGRES: Wire = Wire {
    login: b"\x00\x00\x00\x29\x00\x03\x00\x00user\0postgres\0database\0postgres\0\0",
    question: b"Q\x00\x00\x00\x0dselect 1\0",
};

pub(crate) const MARIADB: Wire = Wire {
    login: b"",
    question: b"",
};

pub(crate) const HTTP: Wire = Wire {
    login: b"",
    question: b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n",
};

pub(crate) struct Connection {
    stream: TcpStream,
    question: &'static [u8],
}

impl Wire {
    /// Whether an open connection can be asked again.
    pub(crate) fn can_ask(&self) -> bool {
        !self.question.is_empty()
    }

    pub(crate) fn open(&self, port: u16) -> io::Result<Connection> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        if !self.login.is_empty() {
            stream.write_all(self.login)?;
        }
        Ok(Connection {
            stream,
            question: self.question,
        })
    }
}

impl Connection {
    pub(crate) fn ask(&mut self, patience: Duration) -> io::Result<()> {
        self.stream.write_all(self.question)?;
        self.answer(patience)
    }

    /// Waits for the first bytes of an answer, then reads what else has come.
    pub(crate) fn answer(&mut self, patience: Duration) -> io::Result<()> {
        let mut bytes = [0; 4096];
        self.stream.set_read_timeout(Some(patience))?;
        if self.stream.read(&mut bytes)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.stream
            .set_read_timeout(Some(Duration::from_millis(100)))?;
        while self.stream.read(&mut bytes).is_ok_and(|length| length > 0) {}
        Ok(())
    }
}

/// A new connection and one answer.
pub(crate) fn talk(wire: &Wire, port: u16) -> io::Result<()> {
    wire.open(port)?.ask(Duration::from_millis(500))
}

/// One command, in the form that people type.
pub(crate) fn redis(port: u16, command: &str) -> String {
    let mut answer = vec![0; 65_536];
    TcpStream::connect(("127.0.0.1", port))
        .and_then(|mut stream| {
            stream.write_all(command.as_bytes())?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            let length = stream.read(&mut answer)?;
            answer.truncate(length);
            Ok(())
        })
        .map_or_else(
            |error| error.to_string(),
            |()| String::from_utf8_lossy(&answer).into_owned(),
        )
}

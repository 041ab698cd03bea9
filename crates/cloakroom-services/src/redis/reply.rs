//! As much of the protocol as a launcher needs: one command, one reply, one connection.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Sends one command and returns the reply's text; an array's elements one a line. An error reply is an [`io::Error`] that holds
/// its text.
pub(super) fn ask(port: u16, command: &[&str]) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let words: Vec<String> = command
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()))
        .collect();
    write!(stream, "*{}\r\n{}", words.len(), words.concat())?;
    let mut texts = Vec::new();
    read(&mut BufReader::new(stream), &mut texts)?;
    Ok(texts.join("\n"))
}

fn read(from: &mut impl BufRead, texts: &mut Vec<String>) -> io::Result<()> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let mut chars = line.chars();
    let kind = chars.next().ok_or(ErrorKind::UnexpectedEof)?;
    let rest = chars.as_str();
    let length = || rest.parse::<i64>().map_err(io::Error::other);
    match kind {
        '-' => return Err(io::Error::other(rest.to_owned())),
        '$' => {
            // A length of -1 is the reply "nothing".
            if let Ok(length) = usize::try_from(length()?) {
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes)?;
                bytes.truncate(length);
                texts.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        '*' => {
            for _ in 0..length()? {
                read(from, texts)?;
            }
        }
        _ => texts.push(rest.to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(mut bytes: &[u8]) -> io::Result<Vec<String>> {
        let mut texts = Vec::new();
        read(&mut bytes, &mut texts).map(|()| texts)
    }

    #[test]
    fn every_kind_of_reply_becomes_text() {
        assert_eq!(parse(b"+PONG\r\n").unwrap(), ["PONG"]);
        assert_eq!(parse(b":42\r\n").unwrap(), ["42"]);
        assert_eq!(parse(b"$4\r\na\r\nb\r\n").unwrap(), ["a\r\nb"]);
        assert_eq!(parse(b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n").unwrap(), ["a", "1"]);
        assert!(parse(b"$-1\r\n").unwrap().is_empty());
    }

    #[test]
    fn an_error_and_a_torn_reply_are_errors() {
        assert_eq!(
            parse(b"-NOAUTH Authentication required.\r\n")
                .unwrap_err()
                .to_string(),
            "NOAUTH Authentication required."
        );
        assert!(parse(b"$4\r\nab").is_err());
        assert!(parse(b"").is_err());
    }
}

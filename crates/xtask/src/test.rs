//! `cargo xtask test`.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use cloakroom_services::REQUIRE_VARIABLE;

use crate::args::TestOptions;
use crate::output::{complain, pass_on, say};
use crate::services::Services;
use crate::tally::{Circumstances, Tally};
use crate::{install, valkey};

/// How long to go on reading when cargo has ended and something that a test left behind holds its output open.
const GRACE: Duration = Duration::from_secs(2);

/// Runs every test of the workspace and prints the closing line.
pub(crate) fn run(options: &TestOptions) -> ExitCode {
    let missing = install::missing(options.install);
    if options.install {
        valkey::fetch();
    }
    let services = Services::start();
    let mut tally = Tally::default();
    let cargo_succeeded = match cargo(options, &services, &mut tally) {
        Ok(succeeded) => succeeded,
        Err(error) => {
            complain(format_args!("cargo cannot be run: {error}"));
            false
        }
    };
    let circumstances = Circumstances {
        cargo_succeeded,
        missing_services: u64::try_from(missing.len()).unwrap_or(u64::MAX),
        broken_services: services.broken,
    };
    drop(services);
    let total = tally.total(circumstances);
    say(total);
    if total.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether cargo reported success; what the tests said goes into the tally.
fn cargo(options: &TestOptions, services: &Services, tally: &mut Tally) -> io::Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    // Tests drive the binaries of other packages, which `cargo test` would not build. If this fails, so does the next.
    Command::new(&cargo)
        .args(["build", "--workspace", "--all-features", "--bins"])
        .stdin(Stdio::null())
        .status()?;
    let mut command = Command::new(&cargo);
    command
        .args(["test", "--workspace", "--all-features", "--no-fail-fast"])
        .arg("--")
        .args(&options.filter)
        .env(REQUIRE_VARIABLE, "1")
        .envs(services.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    // Both into one pipe: what cargo says of a program comes in order with what the program says.
    let (output, input) = io::pipe()?;
    command.stdout(input.try_clone()?).stderr(input);
    let mut child = command.spawn()?;
    // It holds our end for writing, and the output would never end.
    drop(command);
    listen(&mut child, output, |line| {
        pass_on(line);
        tally.line(&String::from_utf8_lossy(line));
    });
    Ok(child.wait()?.success())
}

/// Hands each line on as it comes, until the output ends or cargo has.
fn listen(child: &mut Child, output: impl Read + Send + 'static, mut hand_on: impl FnMut(&[u8])) {
    let lines = lines(output);
    loop {
        match lines.recv_timeout(GRACE) {
            Ok(line) => hand_on(&line),
            Err(RecvTimeoutError::Timeout) if matches!(child.try_wait(), Ok(None)) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Lines with their ends, as bytes: a test may print what is no text.
fn lines(output: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Child, impl Read + Send + 'static) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        (child, output)
    }

    #[test]
    fn every_line_arrives_whether_it_is_text_and_whole_or_not() {
        let (mut child, output) = shell("printf 'one\\n\\377\\nlast'");
        let mut lines: Vec<Vec<u8>> = Vec::new();
        listen(&mut child, output, |line| lines.push(line.to_vec()));
        child.wait().unwrap();
        assert_eq!(lines, [&b"one\n"[..], b"\xff\n", b"last"]);
    }

    #[test]
    fn a_process_that_a_test_left_behind_does_not_hold_the_run_up() {
        let (mut child, output) = shell("sleep 60 & echo $!");
        let mut left = String::new();
        listen(&mut child, output, |line| {
            left.push_str(&String::from_utf8_lossy(line));
        });
        child.wait().unwrap();
        // It is still there, so that the output was still open when we stopped to read.
        let script = format!("kill {left}");
        let killed = Command::new("sh").args(["-c", &script]).status();
        assert!(killed.unwrap().success());
    }
}

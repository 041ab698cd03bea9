//! Signals to a server and to the processes that it made.

use std::io;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// How often a condition is looked at.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// Looks until the answer is yes, at most this many times, one [`PAUSE`] apart. Counted, because time is no business of a
/// launcher: a machine that is busy gets its looks all the same.
pub(crate) fn eventually(looks: u32, mut condition: impl FnMut() -> bool) -> bool {
    for _ in 0..looks {
        if condition() {
            return true;
        }
        sleep(PAUSE);
    }
    condition()
}

/// Sends a signal by name. A process that has ended meanwhile is no error.
pub(crate) fn signal(name: &str, pids: &[u32]) -> io::Result<()> {
    if pids.is_empty() {
        return Ok(());
    }
    // The shell's own `kill`: the program of that name is in a package that not every machine has.
    Command::new("sh")
        .args([
            "-c",
            "signal=$1; shift; kill -s \"$signal\" -- \"$@\"",
            "sh",
        ])
        .arg(name)
        .args(pids.iter().map(u32::to_string))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(drop)
}

/// Children and children's children. `PostgreSQL` puts each into a session of its own, so that a process group does not
/// hold them together.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, stat(pid)?.parent))
        })
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.remove(0);
    found
}

/// Whether it runs no more. In a container nobody may collect what it leaves, so that a zombie counts as gone.
pub(crate) fn is_gone(pid: u32) -> bool {
    stat(pid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X'))
}

/// Whether SIGSTOP has reached it.
pub(crate) fn is_stopped(pid: u32) -> bool {
    stat(pid).is_none_or(|stat| matches!(stat.state, 'T' | 'Z' | 'X'))
}

struct Stat {
    state: char,
    parent: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may hold anything, parentheses included.
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some(Stat {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_tree_is_seen_stopped_and_a_killed_one_gone() {
        let mut parent = Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .spawn()
            .unwrap();
        let pid = parent.id();
        assert!(eventually(500, || descendants(pid).len() == 1));
        let all = [vec![pid], descendants(pid)].concat();

        assert!(!all.iter().copied().any(is_stopped));
        signal("STOP", &all).unwrap();
        assert!(eventually(500, || all.iter().copied().all(is_stopped)));
        assert!(!all.iter().copied().any(is_gone));

        signal("KILL", &all).unwrap();
        assert!(eventually(500, || all.iter().copied().all(is_gone)));
        parent.wait().unwrap();
        signal("KILL", &all).unwrap(); // gone: no error
    }
}

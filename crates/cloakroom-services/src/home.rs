//! The folder that holds everything a test program's servers write, and the watcher that clears up after the program.

use std::fs::{self, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::Failure;
use crate::privilege::{Identity, is_root};

/// Reads `+ pid` and `- pid` until the program that writes them is gone, however it went; then ends those servers and removes
/// the folder. A parent-death signal would end them too, but it is sent when the *thread* that started a server ends, and
/// every test is a thread.
const WATCHER: &str = r#"
trap '' HUP INT QUIT TERM
pids=
while read -r op pid; do
  if [ "$op" = + ]; then pids="$pids $pid"; continue; fi
  rest=
  for p in $pids; do [ "$p" = "$pid" ] || rest="$rest $p"; done
  pids=$rest
done
if [ -n "$pids" ]; then
  kill -TERM $pids; kill -CONT $pids; sleep 0.5; kill -KILL $pids; sleep 0.1
fi
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;

static HOME: OnceLock<Result<Home, String>> = OnceLock::new();

struct Home {
    path: PathBuf,
    watcher: Mutex<Child>,
    made: AtomicU32,
}

/// A folder of one server, removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(service: &'static str, identity: &Identity) -> Result<Self, Failure> {
        let home = home().map_err(|reason| Failure::new(service, reason))?;
        let number = home.made.fetch_add(1, Ordering::Relaxed);
        let name = service.to_lowercase().replace(' ', "-");
        let path = home.path.join(format!("{name}-{number}"));
        make(&path, 0o700, identity.owner())
            .map_err(|error| Failure::new(service, format!("{}: {error}", path.display())))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the server's output goes.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the watcher.
        fs::remove_dir_all(&self.path).ok();
    }
}

/// Has these processes ended when this program is gone.
pub(crate) fn watch(pids: &[u32]) {
    tell('+', pids);
}

/// They have ended: their numbers may belong to others soon.
pub(crate) fn forget(pids: &[u32]) {
    tell('-', pids);
}

fn tell(op: char, pids: &[u32]) {
    let Ok(home) = home() else { return };
    let mut watcher = home.watcher.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pipe) = watcher.stdin.as_mut() {
        for pid in pids {
            // If somebody has killed the watcher, servers still end when they are dropped.
            writeln!(pipe, "{op} {pid}").ok();
        }
    }
}

fn home() -> Result<&'static Home, String> {
    HOME.get_or_init(|| Home::new().map_err(|error| format!("no temporary folder: {error}")))
        .as_ref()
        .map_err(Clone::clone)
}

impl Home {
    fn new() -> io::Result<Self> {
        let random = RandomState::new().hash_one(()) % 0x1_0000_0000;
        let name = format!("cloakroom-{}-{random:08x}", std::process::id());
        let path = base().join(name);
        make(&path, 0o755, None)?;
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "sh"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // So that Ctrl-C in a terminal, which goes to a whole group, does not end it first.
            .process_group(0)
            .spawn()?;
        Ok(Self {
            path,
            watcher: Mutex::new(watcher),
            made: AtomicU32::new(0),
        })
    }
}

fn make(path: &Path, mode: u32, owner: Option<u32>) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    if let Some(owner) = owner {
        chown(path, Some(owner), Some(owner))?;
    }
    Ok(())
}

/// Writes a file that the server can read, whatever our umask says.
pub(crate) fn write(path: &Path, text: &str, identity: &Identity) -> io::Result<()> {
    fs::write(path, text)?;
    identity
        .owner()
        .map_or(Ok(()), |owner| chown(path, Some(owner), Some(owner)))
}

/// The temporary folder; as root one that `nobody` can walk into.
fn base() -> PathBuf {
    let configured = std::env::temp_dir();
    if !is_root() {
        return configured;
    }
    [configured, "/tmp".into(), "/var/tmp".into()]
        .into_iter()
        .find(|folder| is_passable(folder))
        .unwrap_or_else(|| "/tmp".into())
}

fn is_passable(folder: &Path) -> bool {
    folder
        .ancestors()
        .all(|part| fs::metadata(part).is_ok_and(|entry| entry.mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{eventually, is_gone};

    #[test]
    fn a_folder_goes_when_it_is_dropped() {
        let folder = Folder::new("Test", &Identity::Same).unwrap();
        let path = folder.path().to_path_buf();
        fs::write(folder.log(), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_watcher_ends_what_it_was_told_of_and_forgets_what_it_was_told_to_forget() {
        let folder = Folder::new("Test", &Identity::Same).unwrap();
        let mut sleepers: Vec<Child> = (0..2)
            .map(|_| Command::new("sleep").arg("60").spawn().unwrap())
            .collect();
        let pids: Vec<u32> = sleepers.iter().map(Child::id).collect();
        let mut watcher = Command::new("sh")
            .args(["-c", WATCHER, "sh"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = watcher.stdin.take().unwrap();
        writeln!(pipe, "+ {}\n+ {}\n- {}", pids[0], pids[1], pids[0]).unwrap();
        assert!(watcher.try_wait().unwrap().is_none());
        drop(pipe); // what the system does when the program ends, by whatever signal

        watcher.wait().unwrap();
        assert!(eventually(500, || is_gone(pids[1])));
        assert!(!is_gone(pids[0]));
        assert!(!folder.path().exists());
        for sleeper in &mut sleepers {
            sleeper.kill().ok();
            sleeper.wait().unwrap();
        }
    }
}

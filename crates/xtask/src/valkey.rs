//! Valkey on Debian 12, which has it in its backports only: fetched and unpacked into the target folder, not installed.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cloakroom_services::Valkey;

use crate::install::is_root;
use crate::output::complain;

const RELEASE: &str = "bookworm";

/// The program: the installed one, or the one that [`fetch`] unpacked.
pub(crate) fn find() -> Option<PathBuf> {
    let unpacked = folder().join("root/usr/bin/valkey-server");
    Valkey::find()
        .ok()
        .or_else(|| Some(unpacked).filter(|path| path.exists()))
}

/// Unpacks it if it is not there, as root on Debian 12. Where that fails its tests are ignored, which is said.
pub(crate) fn fetch() {
    if find().is_some() || !is_root() || release().as_deref() != Some(RELEASE) {
        return;
    }
    if let Err(error) = unpack(&folder()) {
        complain(format_args!("no Valkey, its tests are ignored: {error}"));
    }
}

fn unpack(folder: &Path) -> io::Result<()> {
    let mirror = mirror().ok_or_else(|| io::Error::other("no Debian mirror is configured"))?;
    complain(format_args!("fetching Valkey from {RELEASE}-backports"));
    fs::create_dir_all(folder.join("lists"))?;
    // A list of sources of its own: the machine's stays as it is.
    let sources = folder.join("sources.list");
    fs::write(&sources, format!("deb {mirror} {RELEASE}-backports main\n"))?;
    let option = |name: &str, value: &OsStr| {
        let mut option = std::ffi::OsString::from(format!("-o{name}="));
        option.push(value);
        option
    };
    let options = [
        option("Dir::Etc::SourceList", sources.as_os_str()),
        option("Dir::Etc::SourceParts", OsStr::new("/dev/null")),
        option("Dir::State::Lists", folder.join("lists").as_os_str()),
        option("APT::Sandbox::User", OsStr::new("root")),
    ];
    for words in [
        &["-q", "update"][..],
        &["-q", "download", "valkey-server", "valkey-tools"],
    ] {
        let mut command = Command::new("apt-get");
        check(command.args(&options).args(words).current_dir(folder))?;
    }
    for entry in fs::read_dir(folder)? {
        let package = entry?.path();
        if package.extension() == Some(OsStr::new("deb")) {
            let mut command = Command::new("dpkg-deb");
            check(command.arg("-x").arg(&package).arg(folder.join("root")))?;
            fs::remove_file(package)?;
        }
    }
    fs::remove_dir_all(folder.join("lists"))
}

fn check(command: &mut Command) -> io::Result<()> {
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{command:?}: {status}")))
    }
}

/// Beside what cargo builds.
fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    target.join("services/valkey")
}

fn release() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    value(&text, "VERSION_CODENAME=").map(str::to_owned)
}

/// The address from which this machine gets its Debian packages.
fn mirror() -> Option<String> {
    let new = fs::read_to_string("/etc/apt/sources.list.d/debian.sources").unwrap_or_default();
    let old = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    value(&new, "URIs: ")
        .or_else(|| value(&old, "deb "))
        .and_then(|rest| rest.split_whitespace().find(|word| word.contains("://")))
        .map(str::to_owned)
}

/// The rest of the first line that begins so.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_rest_of_its_line() {
        let text = "# URIs: no\nURIs: http://mirror/debian\nSuites: bookworm\n";
        assert_eq!(value(text, "URIs: "), Some("http://mirror/debian"));
        assert_eq!(value(text, "Types: "), None);
    }
}

//! Which services are missing, and their installation on Debian.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use cloakroom_services::{ChromeDriver, MariaDb, Missing, Postgres, Redis};

use crate::output::complain;

/// Every service that the tests need and this machine does not have, after an attempt to install them if that is allowed.
pub(crate) fn missing(may_install: bool) -> Vec<Missing> {
    let missing = look();
    if missing.is_empty() {
        return missing;
    }
    for service in &missing {
        complain(format_args!("{} is not installed", service.service()));
    }
    let packages = packages(&missing);
    if may_install && is_root() && Path::new("/etc/debian_version").exists() {
        if !(apt_get(&["update"]) && apt_get(&install(&packages))) {
            complain("the installation failed");
        }
        return look();
    }
    complain("without them their tests fail; as root:");
    complain(format_args!("apt-get {}", install(&packages).join(" ")));
    missing
}

/// Whether this is root, as the owner of our own entry in `/proc` says.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;

    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

fn look() -> Vec<Missing> {
    [
        Redis::find(),
        Postgres::find(),
        MariaDb::find(),
        ChromeDriver::find(),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect()
}

/// Each once, however many services want it.
fn packages(missing: &[Missing]) -> BTreeSet<&'static str> {
    missing
        .iter()
        .flat_map(Missing::packages)
        .copied()
        .collect()
}

/// One command for all.
fn install<'a>(packages: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let mut words = vec!["install", "-y", "--no-install-recommends"];
    words.extend(packages);
    words
}

/// Runs it without a question; its output goes to the standard error, which leaves ours to the tests.
fn apt_get(words: &[&str]) -> bool {
    complain(format_args!("apt-get {}", words.join(" ")));
    Command::new("apt-get")
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // A package that brings a server must not start it: the tests have their own.
        .env("RUNLEVEL", "1")
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_goes_into_one_command() {
        let packages = BTreeSet::from(["redis-server", "chromium", "chromium-driver"]);
        assert_eq!(
            install(&packages).join(" "),
            "install -y --no-install-recommends chromium chromium-driver redis-server"
        );
    }
}

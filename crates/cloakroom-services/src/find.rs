//! Where programs are: `PATH`, and the places where Debian keeps servers.

use std::path::PathBuf;

/// Folders that hold servers without being on everybody's `PATH`.
const USUAL: [&str; 6] = [
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
];

/// Debian keeps each `PostgreSQL` release in a folder of its own.
const POSTGRES_RELEASES: &str = "/usr/lib/postgresql";

/// The first executable file of this name.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    folders()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The program that this environment variable holds, or the first of this name.
pub(crate) fn given_or(variable: &str, name: &str) -> Option<PathBuf> {
    match std::env::var_os(variable) {
        Some(given) if !given.is_empty() => {
            Some(given.into()).filter(|path: &PathBuf| path.is_file())
        }
        _ => program(name),
    }
}

/// The first folder that holds all of these, so that they belong to one release.
pub(crate) fn folder_with(names: &[&str]) -> Option<PathBuf> {
    folders().find(|folder| names.iter().all(|name| folder.join(name).is_file()))
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let mut folders = Vec::new();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path).filter(|folder| folder.is_absolute()));
    folders.extend(USUAL.map(PathBuf::from));
    folders.extend(postgres_releases());
    folders.into_iter()
}

/// Newest first.
fn postgres_releases() -> Vec<PathBuf> {
    let mut releases: Vec<(u32, PathBuf)> = std::fs::read_dir(POSTGRES_RELEASES)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let release = entry.file_name().to_str()?.parse().ok()?;
            Some((release, entry.path().join("bin")))
        })
        .collect();
    releases.sort_unstable_by(|a, b| b.cmp(a));
    releases.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_every_machine_has() {
        assert!(program("sh").is_some_and(|path| path.is_absolute()));
        assert!(folder_with(&["sh", "ls"]).is_some());
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert_eq!(program("no-such-program-anywhere"), None);
        assert_eq!(folder_with(&["sh", "no-such-program-anywhere"]), None);
    }
}

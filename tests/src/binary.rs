use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The path of the playground, built once for each test binary with the profile of the tests.
///
/// `PLAYGROUND_BIN` names another binary to be tested.
///
/// # Panics
///
/// If the playground does not compile.
pub fn playground() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("PLAYGROUND_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    // .../target/debug/deps/contract-0123: the profile's folder is two levels up.
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("tests lie in target/PROFILE/deps");
    let target = profile.parent().expect("a profile lies in a target folder");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--quiet",
            "--package",
            "playground",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    let built = cargo.status().expect("cargo can be started");
    assert!(built.success(), "the playground compiles");
    profile.join(format!("playground{}", std::env::consts::EXE_SUFFIX))
}

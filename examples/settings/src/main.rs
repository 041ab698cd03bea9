//! Builds a layer from each table of a settings file, and prints what it means in our words.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;

use cloakroom::{MemoryStore, SessionLayer, Settings};

type Tables = BTreeMap<String, Settings>;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/settings.toml").to_owned());
    let tables: Tables = toml::from_str(&std::fs::read_to_string(path)?)?;
    let environment = Settings::from_env("CLOAKROOM_", std::env::vars())?;

    let mut out = std::io::stdout().lock();
    for (name, settings) in &tables {
        // Each has a store of its own, as each would in its own application.
        let _layer = build(settings, &environment)?;
        writeln!(out, "[{name}]")?;
        print(&mut out, settings)?;
    }
    writeln!(out, "[environment]")?;
    print(&mut out, &environment)?;
    Ok(())
}

/// The environment goes before the file.
fn build(file: &Settings, environment: &Settings) -> Result<SessionLayer, cloakroom::BuildError> {
    SessionLayer::builder(MemoryStore::new())
        .settings(file)
        .settings(environment)
        .build()
}

fn print(out: &mut impl std::io::Write, settings: &Settings) -> std::io::Result<()> {
    for (key, value) in settings.iter() {
        writeln!(out, "{key} = {value:?}")?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../settings.toml");

    fn lines(settings: &Settings) -> String {
        let mut out = Vec::new();
        print(&mut out, settings).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_table_of_the_file_builds_a_layer() {
        let tables: Tables = toml::from_str(FILE).unwrap();
        let names: Vec<_> = tables.keys().collect();
        assert_eq!(names, ["cloakroom", "jarvis", "jetty", "stalwart"]);
        let environment = Settings::from_env("CLOAKROOM_", [("CLOAKROOM_EAGER", "true")]).unwrap();
        for (name, settings) in &tables {
            build(settings, &environment).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn the_page_shows_what_is_printed() {
        let tables: Tables = toml::from_str(FILE).unwrap();
        let shown = format!("[jarvis]\n{}", lines(&tables["jarvis"]));
        assert!(
            include_str!("../README.md").contains(shown.trim()),
            "{shown}"
        );
        let stalwart = "purge = \"15 * *\"\ncache.entries = \"100\"\ncache.idle = \"1h\"";
        assert_eq!(lines(&tables["stalwart"]).trim(), stalwart);
    }

    #[test]
    fn a_mistake_in_the_file_is_told_with_its_key() {
        let wrong = FILE.replace("SessionTimeout = 20", "SessionTimeout = nan");
        let error = toml::from_str::<Tables>(&wrong).unwrap_err().to_string();
        assert!(
            error.contains("SessionTimeout cannot be \"NaN\""),
            "{error}"
        );
    }
}

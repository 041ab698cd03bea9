//! The page that lists the scenarios is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/scenarios.md")).expect("the page is in docs/")
}

/// The rows of all tables, cell by cell.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let is_row = |line: &&str| {
        line.starts_with("| ") && !line.starts_with("| row") && !line.starts_with("| part")
    };
    page.lines()
        .filter(is_row)
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_page_names_exists() {
    let page = page();
    let mut named = 0;
    for row in rows(&page) {
        assert_eq!(row.len(), 4, "{row:?}");
        let mut sources = String::new();
        for path in quoted(row[3]).filter(|path| path.contains('/')) {
            let source = fs::read_to_string(root().join(path));
            sources.push_str(&source.unwrap_or_else(|_| panic!("{path} is no file")));
        }
        for name in quoted(row[2]) {
            let is_there = ['(', '<']
                .iter()
                .any(|c| sources.contains(&format!("fn {name}{c}")));
            assert!(is_there, "{name}, row {}", row[0]);
            named += 1;
        }
    }
    assert!(named > 100, "the page was read");
}

#[test]
fn every_row_of_the_list_has_its_line() {
    let page = page();
    let found: BTreeSet<&str> = rows(&page).iter().map(|row| row[0]).collect();
    for (letter, last) in [('A', 58), ('B', 35)] {
        for number in 1..=last {
            let row = format!("{letter}{number}");
            assert!(found.contains(row.as_str()), "{row}");
        }
    }
}

#[test]
fn every_file_of_scenarios_is_run_over_every_store() {
    let read = |path: &Path| fs::read_to_string(path).expect("the file can be read");
    let program = read(&root().join("tests/tests/stores/main.rs"));
    let mut files = 0;
    for entry in fs::read_dir(root().join("crates/cloakroom/tests/scenarios")).expect("a folder") {
        let path = entry.expect("its entries can be read").path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if read(&path).contains("\nscenarios! {\n") {
            assert!(
                program.contains(&format!("tests/scenarios/{name}\",")),
                "{name}"
            );
            files += 1;
        }
    }
    assert!(files > 10, "the folder was read");
}

//! The compatibility page has a row for everything that the forerunners do, and every test that it
//! names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rows of each forerunner: Stalwart, Jarvis, Jetty.
const ROWS: [(char, usize); 3] = [('S', 7), ('J', 16), ('T', 32)];

/// Where the number of columns says that a row is whole: row, theirs, ours, default, tests.
const COLUMNS: usize = 5;

/// What stands for the tests of a row that cannot have one.
const WITHOUT_TEST: [&str; 2] = ["not yet", "left out"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Row {
    name: String,
    tests: String,
}

fn rows() -> Vec<Row> {
    let page = fs::read_to_string(repository().join("docs/compatibility.md"));
    let page = page.expect("the page is there");
    page.lines().filter_map(row).collect()
}

/// A table's line that begins with a letter of ours and a number.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line
        .strip_prefix('|')?
        .trim_end()
        .strip_suffix('|')?
        .split('|')
        .map(str::trim)
        .collect();
    let name = *cells.first()?;
    let number = name.strip_prefix(|letter| ROWS.iter().any(|(ours, _)| *ours == letter))?;
    number.parse::<usize>().ok()?;
    assert_eq!(cells.len(), COLUMNS, "{line}");
    assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
    Some(Row {
        name: name.to_owned(),
        tests: (*cells.last()?).to_owned(),
    })
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Every function in the sources of this repository.
fn functions() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["crates", "examples", "tests"] {
        collect(&repository().join(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("its entries can be read").path();
        let name = path.file_name().and_then(|name| name.to_str());
        if path.is_dir() {
            if name != Some("target") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            // A file of somebody's may vanish while the tests run.
            let text = fs::read_to_string(&path).unwrap_or_default();
            let names = text.split("fn ").skip(1).map(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                rest.split_at(end.unwrap_or(rest.len())).0.to_owned()
            });
            found.extend(names);
        }
    }
}

#[test]
fn every_row_of_the_forerunners_is_on_the_page_once_and_in_order() {
    let expected: Vec<String> = ROWS
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |n| format!("{letter}{n}")))
        .collect();
    let found: Vec<String> = rows().into_iter().map(|row| row.name).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_test_that_the_page_names_exists() {
    let functions = functions();
    for Row { name, tests } in rows() {
        let named: Vec<&str> = quoted(&tests).collect();
        let excused = WITHOUT_TEST.iter().any(|word| tests.starts_with(word));
        assert!(!named.is_empty() || excused, "{name} names no test");
        for test in named {
            assert!(functions.contains(test), "{name}: there is no test {test}");
        }
    }
}

#[test]
fn a_row_is_told_from_other_lines() {
    assert!(row("| # | theirs | ours | default | tests |").is_none());
    assert!(row("| Some | text |").is_none());
    let found = row("| T3 | a | b | c | `one`, `two` |").unwrap();
    assert_eq!(found.name, "T3");
    assert_eq!(quoted(&found.tests).collect::<Vec<_>>(), ["one", "two"]);
}

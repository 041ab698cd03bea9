//! The one table of keys, and how a key is found in it.

use super::key::{Key, Spelling};
use super::{cache, times, ways, writing};

/// All rows. Settings are applied in this order.
fn rows() -> impl Iterator<Item = &'static Key> {
    times::KEYS
        .iter()
        .chain(cache::KEYS)
        .chain(writing::KEYS)
        .chain(ways::KEYS)
}

/// The row, our name, and the spelling that was used. The case of the letters does not count,
/// because variables of the environment have only one.
pub(super) fn find(key: &str) -> Option<(usize, &'static str, &'static Spelling)> {
    rows().enumerate().find_map(|(row, entry)| {
        let mut spellings = entry.spellings();
        let spelling = spellings.find(|spelling| spelling.name.eq_ignore_ascii_case(key))?;
        Some((row, entry.ours.name, spelling))
    })
}

/// The three known keys that are most like this one.
pub(super) fn nearest(key: &str) -> Vec<&'static str> {
    let key = key.to_ascii_lowercase();
    let mut names: Vec<_> = rows()
        .flat_map(Key::spellings)
        .map(|spelling| (unlikeness(&key, spelling.name), spelling.name))
        .collect();
    names.sort_by_key(|(unlikeness, _)| *unlikeness);
    names.into_iter().take(3).map(|(_, name)| name).collect()
}

/// How many letters differ: of the whole, or of the part behind the last dot and one more, so that
/// `entries` finds `cache.entries`.
fn unlikeness(key: &str, name: &str) -> usize {
    let name = name.to_ascii_lowercase();
    let last = |whole: &str| whole.rsplit('.').next().unwrap_or_default().to_owned();
    edits(key, &name).min(edits(&last(key), &last(&name)) + 1)
}

/// Levenshtein's distance.
fn edits(from: &str, to: &str) -> usize {
    // A key from anywhere may be of any length; beyond this it is like none.
    let from = from.chars().take(64);
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(to.chars()) {
            let changed = before + usize::from(a != b);
            before = *cell;
            left = changed.min(before + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_are_the_same_in_any_case() {
        let mut names: Vec<_> = rows()
            .flat_map(Key::spellings)
            .map(|spelling| spelling.name.to_ascii_lowercase())
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_name_is_in_the_documented_table_and_none_else() {
        let documented: Vec<_> = include_str!("keys.md")
            .lines()
            .filter(|line| line.starts_with("| `"))
            .flat_map(|line| {
                let cells: Vec<_> = line.split('|').collect();
                [cells[1], cells[3]].map(|cell| {
                    cell.split('`')
                        .skip(1)
                        .step_by(2)
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                })
            })
            .flatten()
            .collect();
        let known: Vec<_> = rows()
            .flat_map(Key::spellings)
            .map(|spelling| spelling.name)
            .collect();
        assert_eq!(documented, known);
    }

    #[test]
    fn the_nearest_names_are_found() {
        let table = [
            ("idle_timout", "idle_timeout"),
            ("entries", "cache.entries"),
            ("cache.entrys", "cache.entries"),
            ("sessiontimeouts", "SessionTimeout"),
            ("cookie.samesite", "cookie.same_site"),
        ];
        for (key, expected) in table {
            assert_eq!(nearest(key).first(), Some(&expected), "{key}");
        }
        for key in ["", ".", "é", &"x".repeat(10_000)] {
            assert_eq!(nearest(key).len(), 3, "{key:.20}");
        }
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
    }
}

//! Every relative link in the Markdown of this repository leads somewhere: to a file or folder that is
//! there, and to a heading that is in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All Markdown files below a folder, without what tools have put there.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let is_ours = name.is_some_and(|name| name != "target" && !name.starts_with('.'));
        if is_ours && path.is_dir() {
            pages(&path, found);
        } else if is_ours && path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

/// The lines outside of fenced code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The text without what stands between backticks.
fn unquoted(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Where links lead, whole pages of other sites left out.
fn targets(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(page) {
        let line = unquoted(line);
        for rest in line.split("](").skip(1) {
            found.extend(rest.split([')', ' ']).next().map(str::to_owned));
        }
        // The definition of a link that the text names: `[name]: target`.
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            found.push(target.trim().to_owned());
        }
    }
    found.retain(|target| !target.contains("://") && !target.starts_with("mailto:"));
    found
}

/// The names of the headings, as the usual hosts make them; the second of a name gets a `-1`.
fn anchors(page: &str) -> Vec<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let headings = prose(page).filter_map(|line| {
        let text = line.trim_start_matches('#');
        (text.len() < line.len()).then(|| text.strip_prefix(' '))?
    });
    headings
        .map(|heading| {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let name: String = heading.trim().to_lowercase().chars().filter(kept).collect();
            let name = name.replace(' ', "-");
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            match *count {
                1 => name,
                again => format!("{name}-{}", again - 1),
            }
        })
        .collect()
}

/// What is wrong with a link of a page, if anything is.
fn dead(page: &Path, target: &str) -> Option<String> {
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let file = match path {
        "" => page.to_owned(),
        path => page.parent().expect("a page is in a folder").join(path),
    };
    if !file.exists() {
        return Some(format!("{}: {target} is not there", page.display()));
    }
    let text = anchor.and_then(|_| fs::read_to_string(&file).ok());
    match (anchor, text) {
        (Some(anchor), Some(text)) if anchors(&text).iter().all(|name| name != anchor) => {
            Some(format!("{}: {target}: no such heading", page.display()))
        }
        _ => None,
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut found = Vec::new();
    pages(&repository(), &mut found);
    let mut checked = 0;
    let mut wrong = Vec::new();
    for page in found {
        let text = fs::read_to_string(&page).expect("the page can be read");
        for target in targets(&text) {
            checked += 1;
            wrong.extend(dead(&page, &target));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 10, "links are found: {checked}");
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    let readme = repository().join("README.md");
    for (target, is_dead) in [
        ("docs/deployment.md", false),
        ("docs/deployment.md#redis-and-valkey", false),
        ("docs/decisions/", false),
        ("docs/deployment.html", true),
        ("docs/deployment.md#redis", true),
        ("#no-such-heading", true),
    ] {
        assert_eq!(dead(&readme, target).is_some(), is_dead, "{target}");
    }
    let page =
        "[a](b.md) `[c](d.md)` [e](https://f.g) [h](#i \"j\")\n```sh\n[k](l.md)\n```\n[m]: n.md\n";
    assert_eq!(targets(page), ["b.md", "#i", "n.md"]);
    let page = "# A `b`, c!\n## Two\n```sh\n# not one\n```\n## Two\n#not one\n";
    assert_eq!(anchors(page), ["a-b-c", "two", "two-1"]);
}

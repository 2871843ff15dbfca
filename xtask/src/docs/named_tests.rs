//! Checks that the tests that the documentation of Data Storage names exist.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};

use super::markdown::Page;

/// The pages that name tests, by their folder.
const PAGES: &str = "docs/data-storage";
/// The folders with tests.
const FOLDERS: [&str; 2] = ["crates", "tests"];

/// One line for every test that does not exist.
pub(super) fn problems(root: &Path, pages: &[Page]) -> Result<Vec<String>> {
    let mut functions = BTreeSet::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut functions)?;
    }
    let mut problems = Vec::new();
    for page in pages.iter().filter(|page| page.path.starts_with(PAGES)) {
        let text = fs::read_to_string(root.join(&page.path))?;
        for (number, line) in (1..).zip(text.lines()) {
            let missing = named(line).filter(|name| !functions.contains(*name));
            problems.extend(missing.map(|name| format!("{}:{number}: there is no test {name}", page.path.display())));
        }
    }
    Ok(problems)
}

/// The functions that code spans such as `module::function` name.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let spans = line.split('`').skip(1).step_by(2);
    let is_path = |span: &&str| {
        span.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || "_:".contains(char))
    };
    spans
        .filter(is_path)
        .filter_map(|span| span.rsplit_once("::").map(|(_, name)| name))
        .filter(|name| !name.is_empty())
}

/// Adds the names of all functions in the Rust files of a folder.
fn collect(folder: &Path, functions: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, functions)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            for line in fs::read_to_string(&path)?.lines() {
                let name = line.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next());
                functions.extend(name.map(str::to_owned));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_named_in_a_code_span_with_its_module() {
        let line = "| a | `roles::it_works`, `x::y::it_stops` and `audit::` or `Type::new` or `--flag` |";
        assert_eq!(named(line).collect::<Vec<_>>(), ["it_works", "it_stops"]);
    }
}

//! Parses the headings, the links and the code blocks of Markdown.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::chart;

/// A page of Markdown.
#[derive(Debug)]
pub(super) struct Page {
    /// The path, relative to the root of the project.
    pub(super) path: PathBuf,
    /// The anchors of the headings.
    pub(super) anchors: BTreeSet<String>,
    /// The line and the target of every link.
    pub(super) links: Vec<(usize, String)>,
    /// The fenced code blocks.
    pub(super) blocks: Vec<Block>,
}

/// A fenced code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The number of the first line of code.
    pub(super) line: usize,
    /// The language after the opening fence.
    pub(super) language: String,
    /// The code.
    pub(super) code: String,
}

/// The pages of the book, of the root of the project and of the charts.
pub(super) fn pages(root: &Path) -> Result<Vec<Page>> {
    let mut paths: Vec<_> = chart::CHARTS.iter().map(|chart| Path::new(chart).join("README.md")).collect();
    for folder in ["", "docs", "docs/data-storage"] {
        let entries = fs::read_dir(root.join(folder)).with_context(|| format!("cannot read {folder:?}"))?;
        for entry in entries {
            let name = PathBuf::from(entry?.file_name());
            if name.extension().is_some_and(|extension| extension == "md") {
                paths.push(Path::new(folder).join(name));
            }
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(parse(path, &text))
    };
    paths.into_iter().map(read).collect()
}

fn parse(path: PathBuf, text: &str) -> Page {
    let mut page = Page { path, anchors: BTreeSet::new(), links: Vec::new(), blocks: Vec::new() };
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim_start();
        if let Some(rest) = content.strip_prefix("```") {
            if let Some((_, block)) = open.take() {
                page.blocks.push(block);
            } else {
                let language = rest.trim().to_owned();
                let indent = line.len() - content.len();
                open = Some((indent, Block { line: number + 1, language, code: String::new() }));
            }
        } else if let Some((indent, block)) = &mut open {
            block.code.push_str(line.get(*indent..).unwrap_or(content));
            block.code.push('\n');
        } else {
            if line.starts_with('#') {
                let anchor = unique(&page.anchors, anchor(line.trim_start_matches('#')));
                page.anchors.insert(anchor);
            }
            page.links.extend(links(line).map(|link| (number, link)));
        }
    }
    page
}

/// The anchor that GitHub and mdBook create for a heading.
fn anchor(heading: &str) -> String {
    let heading = heading.trim().to_lowercase();
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.map(|char| if char == ' ' { '-' } else { char }).collect()
}

fn unique(taken: &BTreeSet<String>, anchor: String) -> String {
    if !taken.contains(&anchor) {
        return anchor;
    }
    let mut numbered = (1..=taken.len()).map(|number| format!("{anchor}-{number}"));
    numbered.find(|anchor| !taken.contains(anchor)).unwrap_or(anchor)
}

/// The targets of `[text](target)` outside of code spans.
fn links(line: &str) -> impl Iterator<Item = String> {
    let mut prose = String::new();
    // A code span cannot contain a link, but it can be the text of a link.
    for (index, part) in line.split('`').enumerate() {
        prose.push_str(if index % 2 == 0 { part } else { "code" });
    }
    let targets: Vec<_> = prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned()))
        .collect();
    targets.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_the_anchors_of_github() {
        let page = parse(
            PathBuf::new(),
            "# My Service is not picked\n## `spec.sources[]`\n## What *it* may do\n# Twice\n# Twice\n",
        );
        let expected = ["my-service-is-not-picked", "specsources", "what-it-may-do", "twice", "twice-1"];
        assert_eq!(page.anchors, expected.map(str::to_owned).into());
    }

    #[test]
    fn links_are_found_outside_of_code() {
        let page = parse(PathBuf::new(), "[a](b.md#c) and `[no](x)` and [`d`](e.md)\n```\n[no](y)\n```\n");
        assert_eq!(page.links, [(1, "b.md#c".to_owned()), (1, "e.md".to_owned())]);
    }

    #[test]
    fn a_code_block_has_its_language_and_line() {
        let page = parse(PathBuf::new(), "text\n\n1. item\n   ```yaml\n   a:\n     b: 1\n   ```\n");
        assert_eq!(page.blocks, [Block { line: 5, language: "yaml".to_owned(), code: "a:\n  b: 1\n".to_owned() }]);
    }
}

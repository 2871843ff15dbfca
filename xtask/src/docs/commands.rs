//! Checks what the documentation shows of `kubectl toolset`: a command on the files in `examples/` prints the lines that
//! stand below it.
//!
//! In the documentation, the line `…` stands for any lines, and a line that ends with `…` is cut off. The number of spaces
//! between words does not count, because a table with fewer rows has narrower columns.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::markdown::{Block, Page};
use crate::workspace;

/// How the documentation calls the plugin.
const CALLS: [&str; 3] = ["$ kubectl toolset ", "$ cargo toolset ", "$ cargo run -p cli -- "];

/// A command with the lines that it prints, according to the documentation.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    arguments: Vec<String>,
    /// The number of the first line below the command in its block, from 0.
    line: usize,
    output: Vec<String>,
}

/// One line for every command that prints something else.
pub(super) fn problems(root: &Path, pages: &[Page], kubectl_toolset: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for page in pages {
        for block in page.blocks.iter().filter(|block| block.language == "console") {
            for shown in commands(block) {
                let mut command = workspace::command(kubectl_toolset);
                command.args(&shown.arguments).current_dir(root).env("NO_COLOR", "1");
                let output = command.output().context("cannot run kubectl-toolset")?;
                let printed = String::from_utf8_lossy(&output.stdout);
                let printed: Vec<_> = printed.lines().collect();
                if let Some((line, why)) = difference(&shown.output, &printed) {
                    let number = block.line + shown.line + line;
                    problems.push(format!("{}:{number}: {why}", page.path.display()));
                }
            }
        }
    }
    Ok(problems)
}

/// The commands on examples that are shown with their output.
fn commands(block: &Block) -> Vec<Shown> {
    let mut found: Vec<Option<Shown>> = Vec::new();
    for (number, line) in block.code.lines().enumerate() {
        if line.starts_with("$ ") {
            found.push(CALLS.iter().find_map(|call| line.strip_prefix(call)).and_then(|rest| {
                let mut arguments: Vec<_> = rest.split_whitespace().map(str::to_owned).collect();
                if !arguments.iter().any(|argument| argument.starts_with("examples/")) {
                    return None;
                }
                // On a terminal, as for a reader, this is the default.
                if arguments.first().is_some_and(|first| first == "render") && !rest.contains(" -o ") {
                    arguments.extend(["-o", "table"].map(str::to_owned));
                }
                Some(Shown { arguments, line: number + 1, output: Vec::new() })
            }));
        } else if let Some(Some(shown)) = found.last_mut() {
            shown.output.push(line.to_owned());
        }
    }
    found.into_iter().flatten().filter(|shown| !shown.output.is_empty()).collect()
}

/// The first line of the documentation that the command does not print, and what is wrong with it.
fn difference(shown: &[String], printed: &[&str]) -> Option<(usize, String)> {
    let mut rest = printed.iter();
    let mut skipped = false;
    for (number, line) in shown.iter().enumerate() {
        if line == "…" {
            skipped = true;
        } else if skipped {
            skipped = false;
            if !rest.any(|one| fits(line, one)) {
                return Some((number, format!("the command does not print the line {line:?} here")));
            }
        } else {
            let one = rest.next().copied().unwrap_or_default();
            if !fits(line, one) {
                return Some((number, format!("the command prints the line {one:?} here")));
            }
        }
    }
    None
}

fn fits(shown: &str, printed: &str) -> bool {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    match shown.strip_suffix('…') {
        Some(start) => words(printed).starts_with(&words(start)),
        None => words(printed) == words(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(code: &str) -> Block {
        Block { line: 1, language: "console".to_owned(), code: code.to_owned() }
    }

    #[test]
    fn only_commands_on_examples_with_output_are_checked() {
        let code = "$ ls\na\n$ kubectl toolset render -f examples/stack.yaml\n9 tools\n$ kubectl toolset render --live\n1\n\
                    $ kubectl toolset explain x -f examples/stack.yaml\n";
        let found = commands(&block(code));
        let arguments = ["render", "-f", "examples/stack.yaml", "-o", "table"].map(str::to_owned).to_vec();
        assert_eq!(found, [Shown { arguments, line: 3, output: vec!["9 tools".to_owned()] }]);
    }

    #[test]
    fn a_line_may_be_cut_off_and_lines_may_be_left_out() {
        let shown = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let printed = ["one", "two", "three and more", "four"];
        assert_eq!(difference(&shown(&["one", "…", "three…"]), &printed), None);
        assert_eq!(difference(&shown(&["…", "four"]), &printed), None);
        assert_eq!(difference(&shown(&["one", "two", " three  and…"]), &printed), None);
        assert_eq!(difference(&shown(&["one", "three…"]), &printed).map(|(line, _)| line), Some(1));
        assert_eq!(difference(&shown(&["…", "four", "five"]), &printed).map(|(line, _)| line), Some(2));
    }
}

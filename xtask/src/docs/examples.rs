//! Checks the code blocks of the documentation: YAML and JSON can be parsed, and every ToolsetConfig is valid.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::markdown::{Block, Page};
use crate::workspace;

/// One line for every code block with a problem.
pub(super) fn problems(root: &Path, pages: &[Page], kubectl_toolset: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let folder = root.join("target/docs-examples");
    // Files of an earlier run must not be checked again.
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut examples = Vec::new();
    for page in pages {
        for block in &page.blocks {
            let place = format!("{}:{}", page.path.display(), block.line);
            match documents(block) {
                Err(error) => problems.push(format!("{place}: {error}")),
                Ok(documents) => {
                    for (index, document) in documents.iter().filter(|document| is_toolset_config(document)).enumerate()
                    {
                        let name = format!("{}-{index}.json", place.replace(['/', ':'], "_"));
                        fs::write(folder.join(&name), document.to_string())?;
                        examples.push((place.clone(), name));
                    }
                }
            }
        }
    }
    for (place, name) in examples {
        let mut validate = workspace::command(kubectl_toolset);
        validate.args(["validate", "-f"]).arg(folder.join(name));
        let output = validate.output().context("cannot run kubectl-toolset")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            problems.extend(errors.lines().map(|line| format!("{place}: {line}")));
        }
    }
    Ok(problems)
}

fn documents(block: &Block) -> Result<Vec<Value>, String> {
    match block.language.as_str() {
        "yaml" => serde_saphyr::from_multiple(&block.code)
            .map_err(|error| format!("the code block is not valid YAML: {error}")),
        "json" => serde_json::from_str(&block.code)
            .map(|value| vec![value])
            .map_err(|error| format!("the code block is not valid JSON: {error}")),
        "" => Err("the code block has no language; use text if it is not code".to_owned()),
        _ => Ok(Vec::new()),
    }
}

fn is_toolset_config(document: &Value) -> bool {
    document["kind"] == "ToolsetConfig"
        && document["apiVersion"].as_str().is_some_and(|group| group.starts_with("toolset."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(language: &str, code: &str) -> Block {
        Block { line: 1, language: language.to_owned(), code: code.to_owned() }
    }

    #[test]
    fn code_that_cannot_be_parsed_is_a_problem() {
        assert!(documents(&block("yaml", "a: [")).is_err());
        assert!(documents(&block("json", "{")).is_err());
        assert!(documents(&block("", "x")).is_err());
        assert_eq!(documents(&block("yaml", "a: 1\n---\nb: 2\n")).map(|all| all.len()), Ok(2));
        assert_eq!(documents(&block("console", "$ ls")), Ok(Vec::new()));
    }
}

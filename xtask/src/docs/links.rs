//! Checks that links have a target, that every page is in the book, and that every alert has a runbook.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::markdown::Page;

/// The URL of the documentation.
const DOCS: &str = "https://github.com/kubernaut/toolset-operator/blob/main/";
/// The alerts, and the page with their runbooks.
const ALERTS: [(&str, &str); 2] = [
    ("charts/data-storage/files/alerts.yaml", "docs/data-storage/runbooks.md"),
    ("charts/toolset-operator/files/alerts.yaml", "docs/runbooks.md"),
];

/// One line for every broken link, every page that is not in the book, and every alert without a runbook.
pub(super) fn problems(root: &Path, pages: &[Page]) -> Result<Vec<String>> {
    let by_path: BTreeMap<_, _> = pages.iter().map(|page| (page.path.as_path(), page)).collect();
    let mut problems = Vec::new();
    for page in pages {
        for (line, link) in &page.links {
            if let Some(why) = broken(root, &by_path, page, link) {
                problems.push(format!("{}:{line}: {link}: {why}", page.path.display()));
            }
        }
    }
    let summary = by_path.get(Path::new("docs/SUMMARY.md")).context("docs/SUMMARY.md does not exist")?;
    for page in pages.iter().filter(|page| page.path.starts_with("docs") && page.path != summary.path) {
        let name = page.path.strip_prefix("docs")?.to_string_lossy();
        if !summary.links.iter().any(|(_, link)| *link == name) {
            problems.push(format!("{}: the page is not in docs/SUMMARY.md", page.path.display()));
        }
    }
    for (alerts, runbooks) in ALERTS {
        let page = by_path.get(Path::new(runbooks)).with_context(|| format!("{runbooks} does not exist"))?;
        problems.extend(alerts_without_runbook(root, Path::new(alerts), page)?);
    }
    Ok(problems)
}

fn broken(root: &Path, pages: &BTreeMap<&Path, &Page>, page: &Page, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() {
        page.path.clone()
    } else {
        match resolve(page.path.parent().unwrap_or(Path::new("")), path) {
            Some(target) => target,
            None => return Some("the target is outside the project".to_owned()),
        }
    };
    if !root.join(&target).exists() {
        return Some(format!("{} does not exist", target.display()));
    }
    let anchor = anchor?;
    let target = pages.get(target.as_path())?;
    (!target.anchors.contains(anchor)).then(|| format!("{} has no heading #{anchor}", target.path.display()))
}

fn resolve(folder: &Path, link: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

fn alerts_without_runbook(root: &Path, path: &Path, runbooks: &Page) -> Result<Vec<String>> {
    let text = fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {}", path.display()))?;
    let rules: serde_json::Value =
        serde_saphyr::from_str(&text).context("the file with the alerts is not valid YAML")?;
    let groups = rules["groups"].as_array().context("the file with the alerts has no groups")?;
    let alerts = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    let page = runbooks.path.display();
    let start = format!("{DOCS}{page}#");
    let problem = |alert: &serde_json::Value| {
        let name = alert["alert"].as_str().unwrap_or_default();
        let url = alert["annotations"]["runbook_url"].as_str().unwrap_or_default();
        let anchor = url.strip_prefix(&start).unwrap_or_default();
        let fits = anchor == name.to_lowercase() && runbooks.anchors.contains(anchor);
        (!fits).then(|| {
            format!(
                "{}: {name}: runbook_url {url:?} does not refer to the heading of the alert in {page}",
                path.display()
            )
        })
    };
    Ok(alerts.filter_map(problem).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_link_is_resolved_from_its_page_and_must_stay_in_the_project() {
        assert_eq!(resolve(Path::new("docs"), "../charts/x.md"), Some("charts/x.md".into()));
        assert_eq!(resolve(Path::new("docs"), "./y.md"), Some("docs/y.md".into()));
        assert_eq!(resolve(Path::new(""), "../z.md"), None);
        assert_eq!(resolve(Path::new("docs"), "/etc/passwd"), None);
    }
}

//! `cargo xtask docs`: the book's reference is generated from the CRD; links, code blocks and examples are checked.

mod examples;
mod links;
mod markdown;
mod reference;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::generated::{Generated, write_or_check};

/// Generates `docs/toolsetconfig.md` (with `check`, fails if it is not up to date), then checks every page.
///
/// Fails with one line per problem, `page:line: what is wrong`.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let crd = root.join("crds/toolsetconfigs.toolset.kubernaut.io.yaml");
    let crd = fs::read_to_string(&crd).with_context(|| format!("cannot read {}", crd.display()))?;
    let reference = Generated { path: root.join("docs/toolsetconfig.md"), text: reference::page(&crd)? };
    write_or_check(&[reference], check, "cargo xtask docs")?;

    let pages = markdown::pages(root)?;
    let mut problems = links::problems(root, &pages)?;
    problems.extend(examples::problems(root, &pages)?);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

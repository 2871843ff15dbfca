//! `cargo xtask docs`: generates the reference from the CRD, and checks links, code blocks, examples and the output of
//! commands.

mod commands;
mod examples;
mod links;
mod markdown;
mod reference;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{
    generated::{Generated, write_or_check},
    programs,
};

/// Generates `docs/toolsetconfig.md` and checks every page. With `check`, fails if the reference is out of date.
///
/// The error has one line per problem, in the form `page:line: problem`.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let crd = root.join("crds/toolsetconfigs.toolset.kubernaut.io.yaml");
    let crd = fs::read_to_string(&crd).with_context(|| format!("cannot read {}", crd.display()))?;
    let reference = Generated { path: root.join("docs/toolsetconfig.md"), text: reference::page(&crd)? };
    write_or_check(&[reference], check, "cargo xtask docs")?;

    let pages = markdown::pages(root)?;
    let mut problems = links::problems(root, &pages)?;
    let [kubectl_toolset] = programs::build(["kubectl-toolset"])?;
    problems.extend(examples::problems(root, &pages, &kubectl_toolset)?);
    problems.extend(commands::problems(root, &pages, &kubectl_toolset)?);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

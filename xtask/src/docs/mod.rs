//! `cargo xtask docs`: generates the reference from the CRD and the tables of flags, and checks links, code blocks,
//! examples and the output of commands.

mod commands;
mod examples;
mod flags;
mod links;
mod markdown;
mod named_tests;
mod reference;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{
    generated::{Generated, write_or_check},
    programs, workspace,
};

/// Generates `docs/toolsetconfig.md`, the tables in `docs/data-storage/configuration.md` and `docs/data-storage/openapi.json`, and
/// checks every page. With `check`, fails if a generated text is out of date.
///
/// The error has one line per problem, in the form `page:line: problem`.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let crd = root.join("crds/toolsetconfigs.toolset.kubernaut.io.yaml");
    let crd = fs::read_to_string(&crd).with_context(|| format!("cannot read {}", crd.display()))?;
    let reference = Generated { path: root.join("docs/toolsetconfig.md"), text: reference::page(&crd)? };
    let [kubectl_toolset, datastorage] = programs::build(["kubectl-toolset", "datastorage"])?;
    let path = root.join("docs/data-storage/configuration.md");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = flags::page(&text, &datastorage).with_context(|| path.display().to_string())?;
    let openapi = Generated {
        path: root.join("docs/data-storage/openapi.json"),
        text: workspace::output(workspace::command(&datastorage).arg("openapi"))?,
    };
    write_or_check(&[reference, Generated { path, text }, openapi], check, "cargo xtask docs")?;

    let pages = markdown::pages(root)?;
    let mut problems = links::problems(root, &pages)?;
    problems.extend(examples::problems(root, &pages, &kubectl_toolset)?);
    problems.extend(commands::problems(root, &pages, &kubectl_toolset)?);
    problems.extend(named_tests::problems(root, &pages)?);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

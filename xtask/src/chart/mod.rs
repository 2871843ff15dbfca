//! `cargo xtask chart`: generates files of the chart.
//!
//! ```text
//! values.yaml, with its comments ──► values.schema.json   (with values.definitions.json)
//!                                └─► README.md            (with README.md.in)
//! the whole chart ── Helm ──► charts/install.yaml
//! ```

mod install;
mod readme;
mod schema;
mod values;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::generated::{Generated, write_or_check};

/// Generates the files. With `check`, fails if they are out of date.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let folder = root.join("charts/toolset-operator");
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let documented = values::parse(&read("values.yaml")?).context("values.yaml")?;
    let definitions = serde_json::from_str(&read("values.definitions.json")?).context("values.definitions.json")?;
    let mut files = vec![
        Generated { path: folder.join("values.schema.json"), text: schema::schema(&documented, definitions)? },
        Generated { path: folder.join("README.md"), text: readme::readme(&read("README.md.in")?, &documented)? },
    ];
    write_or_check(&files, check, "cargo xtask chart")?;
    // Helm reads the files that were just written. Without Helm this file is not checked here, but the tests of the
    // chart check it too.
    files.clear();
    if let Some(text) = install::install_yaml(root)? {
        files.push(Generated { path: root.join("charts/install.yaml"), text });
    }
    write_or_check(&files, check, "cargo xtask chart")
}

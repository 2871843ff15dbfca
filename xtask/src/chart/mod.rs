//! `cargo xtask chart`: generates files of the charts.
//!
//! ```text
//! values.yaml, with its comments ──► values.schema.json   (with values.definitions.json)
//!                                └─► README.md            (with README.md.in)
//! the chart of the operator ── Helm ──► charts/install.yaml
//! ```

mod install;
mod readme;
mod schema;
mod values;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::generated::{Generated, write_or_check};

/// The folders of the charts.
pub(crate) const CHARTS: [&str; 2] = ["charts/data-storage", "charts/toolset-operator"];

/// Generates the files. With `check`, fails if they are out of date.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let mut files = Vec::new();
    for chart in CHARTS {
        files.extend(of_values(&root.join(chart)).context(chart)?);
    }
    write_or_check(&files, check, "cargo xtask chart")?;
    // Helm reads the files that were just written. Without Helm this file is not checked here, but the tests of the
    // chart check it too.
    files.clear();
    if let Some(text) = install::install_yaml(root)? {
        files.push(Generated { path: root.join("charts/install.yaml"), text });
    }
    write_or_check(&files, check, "cargo xtask chart")
}

/// What follows from the values of the chart in this folder.
fn of_values(folder: &Path) -> Result<[Generated; 2]> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let documented = values::parse(&read("values.yaml")?).context("values.yaml")?;
    let definitions = serde_json::from_str(&read("values.definitions.json")?).context("values.definitions.json")?;
    Ok([
        Generated { path: folder.join("values.schema.json"), text: schema::schema(&documented, definitions)? },
        Generated { path: folder.join("README.md"), text: readme::readme(&read("README.md.in")?, &documented)? },
    ])
}

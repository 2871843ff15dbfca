//! Generates the SBOM as a `CycloneDX` document. It lists every linked crate with its licence and its checksum.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Contents;
use crate::workspace;

/// The name and the version of a crate.
type Crate = (String, String);

/// The document for the program of an image. `digest` is the SHA-256 digest of the program.
pub(super) fn cyclone_dx(contents: &Contents, target: &str, version: &str, digest: &str) -> Result<String> {
    let tree = workspace::output(&mut workspace::cargo(&[
        "tree",
        "--package",
        contents.package,
        // Procedural macros run in the compiler and are not a part of the program.
        "--edges=normal,no-proc-macro",
        "--target",
        target,
        "--prefix=depth",
        "--format=|{p}|{l}",
    ]))?;
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let document = document(contents.program, &tree, &checksums(&lock), version, digest)?;
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn document(
    program: &str,
    tree: &str,
    checksums: &BTreeMap<Crate, String>,
    version: &str,
    digest: &str,
) -> Result<Value> {
    let mut licences = BTreeMap::new();
    let mut edges: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
    let mut path: Vec<Crate> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (depth, name, licence) =
            parse(line).with_context(|| format!("cannot parse the line {line:?} of cargo tree"))?;
        path.truncate(depth);
        if let Some(parent) = path.last() {
            edges.entry(parent.clone()).or_default().insert(name.clone());
        }
        edges.entry(name.clone()).or_default();
        licences.entry(name.clone()).or_insert(licence);
        path.push(name);
    }
    let root = path.first().cloned().context("cargo tree printed nothing")?;
    let components: Vec<_> = licences
        .iter()
        .filter(|(name, _)| **name != root)
        .map(|((name, version), licence)| {
            let key = (name.clone(), version.clone());
            let mut component = json!({
                "type": "library",
                "bom-ref": reference(&key),
                "name": name,
                "version": version,
                "licenses": [{"expression": licence}],
            });
            // The crates of the workspace are in no registry, so they have no checksum.
            if let Some(checksum) = checksums.get(&key) {
                component["purl"] = json!(reference(&key));
                component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
            }
            component
        })
        .collect();
    let dependencies: Vec<_> = edges
        .iter()
        .map(|(name, inner)| json!({"ref": reference(name), "dependsOn": inner.iter().map(reference).collect::<Vec<_>>()}))
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": reference(&root),
                "name": program,
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
            },
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// Parses the depth, the crate and the licence of a line such as `2|name v1.2.3 (path)|licence (*)`.
fn parse(line: &str) -> Option<(usize, Crate, String)> {
    let mut parts = line.splitn(3, '|');
    let depth = parts.next()?.parse().ok()?;
    let mut fields = parts.next()?.split_whitespace();
    let name = (fields.next()?.to_owned(), fields.next()?.strip_prefix('v')?.to_owned());
    let licence = parts.next()?.trim_end_matches("(*)").trim();
    // Old manifests use a slash instead of OR.
    Some((depth, name, licence.replace('/', " OR ")))
}

fn reference((name, version): &Crate) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// The checksums of crates from a registry.
fn checksums(lock: &str) -> BTreeMap<Crate, String> {
    let package = |block: &str| {
        let value = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
            Some(line.trim_matches('"').to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    };
    lock.split("[[package]]").filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str =
        "0|controller v0.1.0 (/src)|Apache-2.0\n1|a v1.0.0|MIT/Apache-2.0\n2|b v2.0.0|MIT\n1|b v2.0.0|MIT (*)\n";
    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"aa\"\n\n\
        [[package]]\nname = \"controller\"\nversion = \"0.1.0\"\n";

    #[test]
    fn every_crate_is_listed_once_with_licence_checksum_and_dependencies() {
        let document = document("toolset-controller", TREE, &checksums(LOCK), "0.1.0", "dd").unwrap();
        let component = |index: usize| &document["components"][index];
        assert_eq!(document["components"].as_array().unwrap().len(), 2);
        assert_eq!(component(0)["purl"], "pkg:cargo/a@1.0.0");
        assert_eq!(component(0)["licenses"], json!([{"expression": "MIT OR Apache-2.0"}]));
        assert_eq!(component(0)["hashes"], json!([{"alg": "SHA-256", "content": "aa"}]));
        assert_eq!(component(1)["name"], "b");
        let depends = json!(["pkg:cargo/a@1.0.0", "pkg:cargo/b@2.0.0"]);
        assert_eq!(document["dependencies"][2], json!({"ref": "pkg:cargo/controller@0.1.0", "dependsOn": depends}));
        assert_eq!(document["metadata"]["component"]["name"], "toolset-controller");
    }

    #[test]
    fn unexpected_output_of_cargo_is_an_error() {
        assert!(document("p", "nonsense", &BTreeMap::new(), "0", "").is_err());
        assert!(document("p", "", &BTreeMap::new(), "0", "").is_err());
    }
}

//! Writes the image as one file, which `docker load`, `kind load image-archive` and `ctr images import` read.
//!
//! The archive contains the OCI layout, and a `manifest.json` for the tools that know only the format of `docker save`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::tar::Tar;

/// Packs the layout in `folder`. The tools give the image this name.
pub(super) fn pack(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let blobs = folder.join("blobs/sha256");
    let index: Value = serde_json::from_slice(&read(&folder.join("index.json"))?)?;
    let blob = |entry: &Value| -> Result<String> {
        let digest = entry["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
        Ok(format!("blobs/sha256/{}", digest.context("the layout names no digest")?))
    };
    let manifest: Value = serde_json::from_slice(&read(&folder.join(blob(&index["manifests"][0])?))?)?;
    let layers = manifest["layers"].as_array().context("the image has no layers")?;
    let layers = layers.iter().map(blob).collect::<Result<Vec<_>>>()?;
    let docker = json!([{"Config": blob(&manifest["config"])?, "RepoTags": [name], "Layers": layers}]);

    let mut names = Vec::new();
    for entry in fs::read_dir(&blobs).with_context(|| format!("cannot read {}", blobs.display()))? {
        names.push(format!("blobs/sha256/{}", entry?.file_name().to_string_lossy()));
    }
    names.sort();
    names.extend(["index.json".to_owned(), "oci-layout".to_owned()]);
    let mut tar = Tar::default();
    for name in names {
        tar.append(&name, 0o644, &read(&folder.join(&name))?)?;
    }
    tar.append("manifest.json", 0o644, &serde_json::to_vec(&docker)?)?;
    Ok(tar.finish())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{super::Image, super::layer::Layer, super::layout, *};

    #[test]
    fn the_archive_has_the_name_of_the_image_and_every_blob() {
        let folder = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        let layer = Layer::of_program("program", b"content").unwrap();
        let metadata = layout::ImageMetadata {
            name: "registry.example/program:1.2.3",
            version: "1.2.3",
            architecture: "amd64",
            created: "1970-01-01T00:00:00Z",
            contents: &Image::ToolsetOperator.contents(),
        };
        layout::write(&folder, &layer, &metadata).unwrap();
        let archive = pack(&folder, metadata.name).unwrap();

        let unpacked = folder.join("unpacked");
        fs::create_dir(&unpacked).unwrap();
        fs::write(folder.join("image.tar"), archive).unwrap();
        let unpack = ["--extract", "--file", "image.tar", "--directory", "unpacked"];
        assert!(Command::new("tar").args(unpack).current_dir(&folder).status().unwrap().success());
        let manifest: Value = serde_json::from_slice(&fs::read(unpacked.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest[0]["RepoTags"], json!(["registry.example/program:1.2.3"]));
        let layer_path = manifest[0]["Layers"][0].as_str().unwrap();
        assert_eq!(fs::read(unpacked.join(layer_path)).unwrap(), layer.compressed);
        assert!(unpacked.join(manifest[0]["Config"].as_str().unwrap()).is_file());
        let index: Value = serde_json::from_slice(&fs::read(unpacked.join("index.json")).unwrap()).unwrap();
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "registry.example/program:1.2.3");
        fs::remove_dir_all(&folder).unwrap();
    }
}

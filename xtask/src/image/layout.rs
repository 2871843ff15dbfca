//! Writes the image in the OCI layout, which `skopeo copy oci:…` and `crane push` read.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Contents, layer::Layer};

/// The user of the program. The charts use the same number.
const USER: &str = "65532:65532";
const SOURCE: &str = env!("CARGO_PKG_REPOSITORY");

/// The metadata of the image.
pub(super) struct ImageMetadata<'a> {
    /// The name with which containerd and Docker load the image.
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) architecture: &'a str,
    pub(super) created: &'a str,
    pub(super) contents: &'a Contents,
}

/// Writes the layout to a folder and returns the digest of the manifest without the prefix `sha256:`.
pub(super) fn write(folder: &Path, layer: &Layer, metadata: &ImageMetadata<'_>) -> Result<String> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("cannot create {}", blobs.display()))?;
    let put = |kind: &str, bytes: &[u8]| -> Result<Value> {
        let digest = digest(bytes);
        fs::write(blobs.join(&digest), bytes)?;
        Ok(json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()}))
    };
    let layer_entry = put("application/vnd.oci.image.layer.v1.tar+gzip", &layer.compressed)?;
    let config = serde_json::to_vec(&config(layer, metadata))?;
    let config = put("application/vnd.oci.image.config.v1+json", &config)?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer_entry],
        "annotations": labels(metadata),
    }))?;
    let mut entry = put("application/vnd.oci.image.manifest.v1+json", &manifest)?;
    entry["platform"] = json!({"os": "linux", "architecture": metadata.architecture});
    entry["annotations"] = json!({
        "org.opencontainers.image.ref.name": metadata.version,
        "io.containerd.image.name": metadata.name,
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });
    fs::write(folder.join("index.json"), serde_json::to_vec(&index)?)?;
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(digest(&manifest))
}

fn config(layer: &Layer, metadata: &ImageMetadata<'_>) -> Value {
    let ports = metadata.contents.ports.iter().map(|port| (format!("{port}/tcp"), json!({})));
    let ports: Map<_, _> = ports.collect();
    json!({
        "created": metadata.created,
        "architecture": metadata.architecture,
        "os": "linux",
        "config": {
            "User": USER,
            "Entrypoint": [format!("/{}", metadata.contents.program)],
            "WorkingDir": "/",
            "ExposedPorts": ports,
            "Labels": labels(metadata),
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer.archive))]},
        "history": [{"created": metadata.created, "created_by": "cargo xtask image"}],
    })
}

fn labels(metadata: &ImageMetadata<'_>) -> Value {
    json!({
        "org.opencontainers.image.title": metadata.contents.name,
        "org.opencontainers.image.description": metadata.contents.description,
        "org.opencontainers.image.version": metadata.version,
        "org.opencontainers.image.created": metadata.created,
        "org.opencontainers.image.source": SOURCE,
        "org.opencontainers.image.licenses": "Apache-2.0",
    })
}

/// The SHA-256 digest in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(bytes) {
        digits.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or_default()));
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::{super::Image, *};

    #[test]
    fn every_blob_has_its_digest_as_its_name_and_no_blob_is_missing() {
        let folder = std::env::temp_dir().join(format!("xtask-layout-{}", std::process::id()));
        let layer = Layer::of_program("program", b"content").unwrap();
        let metadata = ImageMetadata {
            name: "registry.example/program:1.2.3",
            version: "1.2.3",
            architecture: "amd64",
            created: "1970-01-01T00:00:00Z",
            contents: &Image::ToolsetOperator.contents(),
        };
        let manifest_digest = write(&folder, &layer, &metadata).unwrap();

        let blob = |name: &str| fs::read(folder.join("blobs/sha256").join(name)).unwrap();
        for entry in fs::read_dir(folder.join("blobs/sha256")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert_eq!(digest(&blob(&name)), name);
        }
        let manifest: Value = serde_json::from_slice(&blob(&manifest_digest)).unwrap();
        let named = |entry: &Value| blob(entry["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap());
        assert_eq!(named(&manifest["layers"][0]), layer.compressed);
        let config: Value = serde_json::from_slice(&named(&manifest["config"])).unwrap();
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.source"], SOURCE);
        assert!(SOURCE.starts_with("https://"), "{SOURCE}");
        assert_eq!(config["config"]["Entrypoint"], json!(["/toolset-controller"]));
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", digest(&layer.archive)));
        fs::remove_dir_all(&folder).unwrap();
    }
}

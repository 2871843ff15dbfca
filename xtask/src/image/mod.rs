//! `cargo xtask image`: builds container images with one static program each, without a container daemon.
//!
//! ```text
//! cargo build (static) ──► layer: one file ──► OCI layout: config, manifest, index ──► target/image/<name>.oci
//!        │                                     all of that in one file ──► target/image/<name>.tar
//!        └─► its crates, from cargo tree and Cargo.lock ──► target/image/<name>.cdx.json (`CycloneDX`)
//! the layer, unpacked ──► run once as user 65532, with the layer as the root file system
//! ```
//!
//! The image contains no time and no path of the machine. So the same commit and the same toolchain give the same bytes
//! on every machine.

mod archive;
mod binary;
mod layer;
mod layout;
mod sbom;
mod tar;
mod trial;

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};

use crate::workspace;
use layer::Layer;

/// The registry of the images. The charts use the same.
const REGISTRY: &str = "ghcr.io/kubernaut";

/// An image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Image {
    /// The operator
    ToolsetOperator,
    /// Data Storage
    DataStorage,
}

/// What an image is made of.
struct Contents {
    /// The name of the image, without its registry.
    name: &'static str,
    /// The name of the program in the workspace and in the image.
    program: &'static str,
    /// The package that contains the program.
    package: &'static str,
    /// The profile of the program. It is also the folder of what cargo builds.
    profile: &'static str,
    /// What the program does.
    description: &'static str,
    /// The ports that the program listens on.
    ports: &'static [u16],
    /// The maximum size of the compressed layer in bytes.
    max_bytes: usize,
}

impl Image {
    const fn contents(self) -> Contents {
        match self {
            Self::ToolsetOperator => Contents {
                name: "toolset-operator",
                program: "toolset-controller",
                package: "controller",
                profile: "release",
                description: "Keeps the toolset file of an AI operations agent up to date",
                ports: &[8080, 9090],
                max_bytes: 8_000_000,
            },
            Self::DataStorage => Contents {
                name: "data-storage",
                program: "datastorage",
                package: "datastorage",
                profile: "service",
                description: "Keeps audit records of operations in PostgreSQL and finds them again",
                ports: &[8080, 8081, 9090],
                max_bytes: 8_000_000,
            },
        }
    }
}

/// Arguments of `cargo xtask image`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The images to build
    #[arg(value_enum, default_value = "toolset-operator")]
    images: Vec<Image>,
    /// The Linux target to build for; its Rust standard library must be installed
    #[arg(long, default_value = "x86_64-unknown-linux-gnu")]
    target: String,
    /// Do not run the programs from the unpacked layers
    #[arg(long)]
    no_trial: bool,
}

/// Builds the images and their SBOMs in `target/image`.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = workspace::root().join("target/image");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for &image in &arguments.images {
        build(image, &folder, arguments)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn build(image: Image, folder: &Path, arguments: &Arguments) -> Result<()> {
    let contents = image.contents();
    let program = binary::build(&contents, &arguments.target)?;
    let layer = Layer::of_program(contents.program, &program)?;
    ensure!(
        layer.compressed.len() <= contents.max_bytes,
        "the compressed layer has {} bytes, but at most {} are allowed",
        layer.compressed.len(),
        contents.max_bytes
    );

    let version = env!("CARGO_PKG_VERSION");
    let sbom = folder.join(format!("{}.cdx.json", contents.name));
    fs::write(&sbom, sbom::cyclone_dx(&contents, &arguments.target, version, &layout::digest(&program))?)?;
    let name = format!("{REGISTRY}/{}:{version}", contents.name);
    let layout = folder.join(format!("{}.oci", contents.name));
    let root = folder.join(format!("{}.root", contents.name));
    for earlier in [&layout, &root] {
        if earlier.exists() {
            fs::remove_dir_all(earlier).with_context(|| format!("cannot empty {}", earlier.display()))?;
        }
    }
    let manifest = layout::write(
        &layout,
        &layer,
        &layout::ImageMetadata {
            name: &name,
            version,
            architecture: binary::architecture(&arguments.target)?,
            created: &binary::commit_time(),
            contents: &contents,
        },
    )?;

    let archive = folder.join(format!("{}.tar", contents.name));
    fs::write(&archive, archive::pack(&layout, &name)?)?;

    if !arguments.no_trial {
        let printed = trial::run(image, &root, &layout, &layer)?;
        let expected = format!("{} {version}", contents.program);
        ensure!(printed.trim() == expected, "the program printed the version {printed:?}, not {expected:?}");
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}\n{}\n{}", layout.display(), archive.display(), sbom.display())?;
    writeln!(
        out,
        "image={name} digest=sha256:{manifest} program_bytes={} compressed_bytes={}",
        program.len(),
        layer.compressed.len()
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_the_name_of_its_chart() {
        for image in Image::value_variants() {
            let contents = image.contents();
            assert_eq!(image.to_possible_value().unwrap().get_name(), contents.name);
            let values = workspace::root().join("charts").join(contents.name).join("values.yaml");
            let repository = format!("repository: {REGISTRY}/{}\n", contents.name);
            assert!(fs::read_to_string(values).unwrap().contains(&repository), "{repository}");
        }
    }
}

//! `cargo xtask image`: builds a container image with one static program, without a container daemon.
//!
//! ```text
//! cargo build (static) ──► layer: one file ──► OCI layout: config, manifest, index ──► target/image/oci
//!        │                                     all of that in one file ──► target/image/toolset-operator.tar
//!        └─► its crates, from cargo tree and Cargo.lock ──► target/image/toolset-operator.cdx.json (`CycloneDX`)
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
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::workspace;
use layer::Layer;

/// The maximum size of the compressed layer in bytes.
const MAX_BYTES: usize = 8_000_000;

/// The repository of the image. The chart uses the same.
const REPOSITORY: &str = "ghcr.io/kubernaut/toolset-operator";

/// Arguments of `cargo xtask image`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The Linux target to build for; its Rust standard library must be installed
    #[arg(long, default_value = "x86_64-unknown-linux-gnu")]
    target: String,
    /// Do not run the program from the unpacked layer
    #[arg(long)]
    no_trial: bool,
}

/// Builds the image and its SBOM in `target/image`.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = workspace::root().join("target/image");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let program = binary::build(&arguments.target)?;
    let layer = Layer::of_program(binary::NAME, &program)?;
    ensure!(
        layer.compressed.len() <= MAX_BYTES,
        "the compressed layer has {} bytes, but at most {MAX_BYTES} are allowed",
        layer.compressed.len()
    );

    let version = env!("CARGO_PKG_VERSION");
    let sbom = folder.join("toolset-operator.cdx.json");
    fs::write(&sbom, sbom::cyclone_dx(&arguments.target, version, &layout::digest(&program))?)?;
    let name = format!("{REPOSITORY}:{version}");
    let layout = folder.join("oci");
    let manifest = layout::write(
        &layout,
        &layer,
        &layout::ImageMetadata {
            name: &name,
            version,
            architecture: binary::architecture(&arguments.target)?,
            created: &binary::commit_time(),
            program: binary::NAME,
        },
    )?;

    let archive = folder.join("toolset-operator.tar");
    fs::write(&archive, archive::pack(&layout, &name)?)?;

    if !arguments.no_trial {
        let printed = trial::run(&folder.join("root"), &layout, &layer, binary::NAME)?;
        let expected = format!("{} {version}", binary::NAME);
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
    Ok(ExitCode::SUCCESS)
}

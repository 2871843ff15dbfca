//! `cargo xtask image`: a container image of one static program, made without a daemon.
//!
//! ```text
//! cargo build (static) ──► layer: one file ──► OCI layout: config, manifest, index ──► target/image/oci
//!        └─► its crates, from cargo tree and Cargo.lock ──► target/image/toolset-operator.cdx.json (`CycloneDX`)
//! the layer, unpacked ──► run once as its own root, as user 65532
//! ```
//!
//! The same commit gives the same bytes on every machine with the same toolchain: nothing in it is the time or a path of the
//! machine's.

mod binary;
mod layer;
mod layout;
mod sbom;
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

/// The most that the compressed layer may take.
const LIMIT: usize = 8_000_000;

/// Arguments of `cargo xtask image`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The target to build for: one of Linux whose standard library is installed. GNU ones are linked statically, too.
    #[arg(long, default_value = "x86_64-unknown-linux-gnu")]
    target: String,
    /// Do not run the program from its unpacked root.
    #[arg(long)]
    no_trial: bool,
}

/// Builds everything into `target/image`.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = workspace::root().join("target/image");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let program = binary::build(&arguments.target)?;
    let layer = Layer::of_program(binary::NAME, &program)?;
    ensure!(layer.compressed.len() <= LIMIT, "the layer has {} bytes, {LIMIT} are allowed", layer.compressed.len());

    let version = env!("CARGO_PKG_VERSION");
    let sbom = folder.join("toolset-operator.cdx.json");
    fs::write(&sbom, sbom::cyclone_dx(&arguments.target, version, &layout::digest(&program))?)?;
    let layout = folder.join("oci");
    let manifest = layout::write(
        &layout,
        &layer,
        &layout::Facts {
            version,
            architecture: binary::architecture(&arguments.target)?,
            created: &binary::commit_time(),
            program: binary::NAME,
        },
    )?;

    if !arguments.no_trial {
        let said = trial::run(&folder.join("root"), &layout, &layer, binary::NAME)?;
        ensure!(said.trim() == format!("{} {version}", binary::NAME), "it says {said:?}");
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}\n{}", layout.display(), sbom.display())?;
    writeln!(
        out,
        "digest=sha256:{manifest} program_bytes={} compressed_bytes={}",
        program.len(),
        layer.compressed.len()
    )?;
    Ok(ExitCode::SUCCESS)
}

//! The one program of the image.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace;

/// Its name, in the workspace and in the image.
pub(super) const NAME: &str = "toolset-controller";

/// Builds it, linked statically and without paths of this machine, and returns its bytes.
///
/// Fails if the result is not static.
pub(super) fn build(target: &str) -> Result<Vec<u8>> {
    let mut build =
        workspace::cargo(&["build", "--release", "--package", "controller", "--bin", NAME, "--target", target]);
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let cargo_home = cargo_home.context("neither CARGO_HOME nor a home directory is known")?;
    // On GNU targets the C library is linked in as well. It would load libraries of the machine's to look up names in other
    // places than files and DNS; in a cluster the API server is reached by its address.
    // And a static program cannot ask at run time whether the C library has getrandom: without being told that the kernel
    // has it, it would need a /dev/urandom.
    let flags = format!(
        "-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\" --remap-path-prefix={}=/src \
         --remap-path-prefix={}=/cargo",
        workspace::root().display(),
        cargo_home.display()
    );
    build.env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
    workspace::succeed(&mut build)?;
    let here = workspace::built_here()?;
    let path = here.parent().context("this program is in no target folder")?.join(target).join("release").join(NAME);
    let program = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(!wants_interpreter(&program)?, "{} is linked dynamically", path.display());
    Ok(program)
}

/// Whether an ELF program names a dynamic linker.
fn wants_interpreter(elf: &[u8]) -> Result<bool> {
    const INTERPRETER: [u8; 4] = 3_u32.to_le_bytes();
    ensure!(elf.starts_with(b"\x7fELF\x02\x01"), "the program is no 64-bit little-endian ELF file");
    let number = |at: usize, size: usize| -> Result<usize> {
        let bytes = elf.get(at..at + size).context("the program is cut off")?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let kind = |index: usize| elf.get(table + index * size..table + index * size + 4);
    Ok((0..count).any(|index| kind(index) == Some(&INTERPRETER)))
}

/// What container images call the target's processor.
pub(super) fn architecture(target: &str) -> Result<&'static str> {
    match target.split('-').next() {
        Some("x86_64") => Ok("amd64"),
        Some("aarch64") => Ok("arm64"),
        _ => bail!("images for {target} are not made yet"),
    }
}

/// When the commit was made, as images have it; the start of time outside of a repository.
pub(super) fn commit_time() -> String {
    let mut log = workspace::command("git");
    log.args(["log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"]).env("TZ", "UTC");
    match workspace::output(&mut log) {
        Ok(time) if !time.trim().is_empty() => time.trim().to_owned(),
        Ok(_) | Err(_) => "1970-01-01T00:00:00Z".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header with one program header of this kind.
    fn elf(kind: u8) -> Vec<u8> {
        let mut elf = vec![0; 64 + 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 1;
        elf[64] = kind;
        elf
    }

    #[test]
    fn a_program_with_a_dynamic_linker_is_told_from_a_static_one() {
        assert!(wants_interpreter(&elf(3)).unwrap());
        assert!(!wants_interpreter(&elf(1)).unwrap());
        assert!(wants_interpreter(b"#!/bin/sh").is_err());
    }

    #[test]
    fn processors_have_the_names_that_images_use() {
        assert_eq!(architecture("x86_64-unknown-linux-musl").unwrap(), "amd64");
        assert_eq!(architecture("aarch64-unknown-linux-gnu").unwrap(), "arm64");
        assert!(architecture("riscv64gc-unknown-linux-gnu").is_err());
    }
}

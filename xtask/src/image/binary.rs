//! Builds the program of an image.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::Contents;
use crate::workspace;

/// The start of the variables by which the tests redirect connections and shorten pauses of a debug build.
const TESTS_ONLY: [&[u8]; 2] = [b"TOOLSET_TEST_", b"DATASTORAGE_TEST_"];

/// Builds the program and returns its bytes. It is linked statically and contains no paths of this machine.
///
/// Fails if the program is not static, or if it contains what only the tests use.
pub(super) fn build(contents: &Contents, target: &str) -> Result<Vec<u8>> {
    let Contents { package, program: name, profile, .. } = *contents;
    let what = ["build", "--profile", profile, "--package", package, "--bin", name, "--target", target];
    let mut build = workspace::cargo(&what);
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let cargo_home =
        cargo_home.context("cannot find the folder of cargo, because there is no home directory; set CARGO_HOME")?;
    // On GNU targets the C library is linked statically too. To look up names elsewhere than in files and DNS, it would
    // load shared libraries. The programs do not need them: in a cluster, the operator connects to the address of the API
    // server, and Data Storage finds PostgreSQL by DNS, which the trial run repeats. A static program cannot detect at run time whether the C library has getrandom. Without this setting it
    // would need /dev/urandom, which the image does not have.
    let flags = format!(
        "-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\" --remap-path-prefix={}=/src \
         --remap-path-prefix={}=/cargo",
        workspace::root().display(),
        cargo_home.display()
    );
    build.env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
    workspace::succeed(&mut build)?;
    let here = workspace::built_here()?;
    let path = here.parent().context("this program is not in a target folder")?.join(target).join(profile).join(name);
    let program = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        !TESTS_ONLY.iter().any(|text| contains(&program, text)),
        "{} contains what only the tests may use",
        path.display()
    );
    ensure!(!has_interpreter(&program)?, "{} is linked dynamically, but the image has no libraries", path.display());
    Ok(program)
}

fn contains(program: &[u8], text: &[u8]) -> bool {
    program.windows(text.len()).any(|window| window == text)
}

/// Whether an ELF program needs a dynamic linker.
fn has_interpreter(elf: &[u8]) -> Result<bool> {
    const INTERPRETER: [u8; 4] = 3_u32.to_le_bytes();
    ensure!(elf.starts_with(b"\x7fELF\x02\x01"), "the program is not a 64-bit little-endian ELF file");
    let number = |at: usize, size: usize| -> Result<usize> {
        let bytes = elf.get(at..at + size).context("the ELF file is incomplete")?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let kind = |index: usize| elf.get(table + index * size..table + index * size + 4);
    Ok((0..count).any(|index| kind(index) == Some(&INTERPRETER)))
}

/// The name of the architecture in container images.
pub(super) fn architecture(target: &str) -> Result<&'static str> {
    match target.split('-').next() {
        Some("x86_64") => Ok("amd64"),
        Some("aarch64") => Ok("arm64"),
        _ => bail!("the target {target} is not supported; use x86_64 or aarch64"),
    }
}

/// The time of the commit in the format of images. Without a repository, this is 1970.
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
    fn a_program_with_a_dynamic_linker_is_detected() {
        assert!(has_interpreter(&elf(3)).unwrap());
        assert!(!has_interpreter(&elf(1)).unwrap());
        assert!(has_interpreter(b"#!/bin/sh").is_err());
    }

    #[test]
    fn a_program_with_a_variable_of_the_tests_is_detected() {
        assert!(contains(b"..TOOLSET_TEST_REDIRECTS..", TESTS_ONLY[0]));
        assert!(!contains(b"TOOLSET_LOG_LEVEL", TESTS_ONLY[0]));
    }

    #[test]
    fn architectures_have_the_names_of_container_images() {
        assert_eq!(architecture("x86_64-unknown-linux-musl").unwrap(), "amd64");
        assert_eq!(architecture("aarch64-unknown-linux-gnu").unwrap(), "arm64");
        assert!(architecture("riscv64gc-unknown-linux-gnu").is_err());
    }
}

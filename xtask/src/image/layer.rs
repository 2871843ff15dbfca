//! Creates the layer of the image: a tar archive with one file.

use std::io::Write as _;

use anyhow::{Result, ensure};
use flate2::{Compression, GzBuilder};

const BLOCK: usize = 512;

/// A layer. An image has the digests of both forms.
pub(super) struct Layer {
    /// The tar archive.
    pub(super) archive: Vec<u8>,
    /// The compressed archive.
    pub(super) compressed: Vec<u8>,
}

impl Layer {
    /// A layer with the program in the root folder. The file belongs to root, everyone can read and execute it, and its
    /// time is 0.
    pub(super) fn of_program(name: &str, program: &[u8]) -> Result<Self> {
        let mut archive = header(name, program.len())?.to_vec();
        archive.extend_from_slice(program);
        // The content is padded to a whole block. Two empty blocks mark the end of the archive.
        archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        gzip.write_all(&archive)?;
        Ok(Self { compressed: gzip.finish()?, archive })
    }
}

/// A header in the ustar format.
fn header(name: &str, size: usize) -> Result<[u8; BLOCK]> {
    ensure!(name.len() < 100 && size < 1 << 33, "{name} does not fit into a tar header");
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(156, "0");
    put(257, "ustar\x0000");
    // The checksum is computed with spaces in its own field.
    put(148, "        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn tar_unpacks_the_same_program() {
        let folder = std::env::temp_dir().join(format!("xtask-layer-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let program = b"#!/bin/sh\necho it runs\n";
        let layer = Layer::of_program("program", program).unwrap();
        assert_eq!(layer.archive.len() % BLOCK, 0);
        fs::write(folder.join("layer.tar.gz"), &layer.compressed).unwrap();
        let unpack = ["--extract", "--gzip", "--file", "layer.tar.gz"];
        assert!(Command::new("tar").args(unpack).current_dir(&folder).status().unwrap().success());
        let output = Command::new(folder.join("program")).output().unwrap();
        assert_eq!(output.stdout, b"it runs\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_same_program_gives_the_same_bytes() {
        let compressed = || Layer::of_program("program", b"content").unwrap().compressed;
        assert_eq!(compressed(), compressed());
    }
}

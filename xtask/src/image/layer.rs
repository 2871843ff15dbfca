//! Creates the layer of the image: a compressed tar archive with one file.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, GzBuilder};

use super::tar::Tar;

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
        let mut tar = Tar::default();
        tar.append(name, 0o755, program)?;
        let archive = tar.finish();
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        gzip.write_all(&archive)?;
        Ok(Self { compressed: gzip.finish()?, archive })
    }
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
        assert_eq!(layer.archive.len() % 512, 0);
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

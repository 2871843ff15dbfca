//! Writes tar archives in the ustar format. The files belong to root, and their time is 0.

use anyhow::{Result, ensure};

const BLOCK: usize = 512;

/// An archive that grows file by file.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    /// Adds a file with these permissions.
    pub(super) fn append(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.0.extend_from_slice(&header(name, mode, content.len())?);
        self.0.extend_from_slice(content);
        // The content is padded to a whole block.
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        Ok(())
    }

    /// The bytes of the archive. Two empty blocks mark its end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

fn header(name: &str, mode: u32, size: usize) -> Result<[u8; BLOCK]> {
    ensure!(name.len() < 100 && size < 1 << 33, "{name} does not fit into a tar header");
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
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

//! Prints the CRDs: `cargo run -p crd-types --example crds`.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::io::stdout().write_all(crd_types::crds_yaml()?.as_bytes())?;
    Ok(())
}

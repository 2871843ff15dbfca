//! Placeholder.
/// Placeholder.
#[derive(Clone, Debug, Default)]
pub struct BaseFile;
/// Placeholder.
pub fn parse(_text: &str) -> Result<BaseFile, String> {
    Ok(BaseFile)
}

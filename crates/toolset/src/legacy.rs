//! Placeholder.
/// Placeholder.
#[derive(Clone, Debug, Default)]
pub struct LegacyOverrides;
/// Placeholder.
pub fn parse(_text: &str) -> Result<LegacyOverrides, String> {
    Ok(LegacyOverrides)
}

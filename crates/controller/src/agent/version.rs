//! The version of an agent, which must be known before the first request. Pure.
//!
//! Before 0.45.0, a request for the state of the toolsets replaced the toolsets of the running agent. So the version
//! comes from the image of the agent's Pod, or from the ToolsetConfig if the image does not show it.

use std::fmt;

/// The oldest version that the operator asks.
pub(crate) const OLDEST: Version = Version { numbers: [0, 45, 0], suffix: String::new() };

/// The length of the longest version in a status.
const LONGEST: usize = 63;

/// A version such as `0.45.0` or `0.45.0-alpha`. It is ordered as in Semantic Versioning, so a version with a suffix is
/// before the same version without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u32; 3],
    /// What follows the numbers, with the character between them.
    suffix: String,
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Build metadata after a plus sign does not make a version earlier.
        let rank = |version: &Self| version.suffix.is_empty() || version.suffix.starts_with('+');
        let key = |version: &Self| (version.numbers, rank(version));
        key(self).cmp(&key(other)).then_with(|| self.suffix.cmp(&other.suffix))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}{}", self.suffix)
    }
}

impl Version {
    /// Reads three numbers with an optional `v` before them and an optional suffix. `None` for anything else, so no other
    /// text of an agent reaches a status.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let text = text.strip_prefix('v').unwrap_or(text);
        let (numbers, suffix) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
        if suffix.len() == 1 || !suffix.chars().all(allowed) {
            return None;
        }
        let mut parts = numbers.split('.').map(number);
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then(|| Self { numbers, suffix: suffix.to_owned() })
    }
}

/// A number of at most five digits.
fn number(text: &str) -> Option<u32> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Why the operator does not ask an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unsupported {
    TooOld(Version),
    /// Neither the image nor the ToolsetConfig says which version it is.
    Unknown,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld(version) => write!(f, "runs version {version}, and the operator asks only {OLDEST} and later"),
            Self::Unknown => write!(
                f,
                "has an image without a version in its tag; if it is version {OLDEST} or later, set \
                 spec.consumer.agentVersion"
            ),
        }
    }
}

/// The version of the agent with this image. `stated` is `consumer.agentVersion`, which counts only if the tag does not
/// show the version.
///
/// Fails if the operator must not ask this agent.
pub(crate) fn of_agent(image: &str, stated: Option<&str>) -> Result<Version, Unsupported> {
    // A suffix may mark a pre-release or a variant of the image. For the oldest version this makes a difference.
    let shown = tag(image).and_then(Version::parse);
    let shown = shown.filter(|version| version.suffix.is_empty() || version.numbers != OLDEST.numbers);
    let version = shown.or_else(|| stated.and_then(Version::parse)).ok_or(Unsupported::Unknown)?;
    if version < OLDEST { Err(Unsupported::TooOld(version)) } else { Ok(version) }
}

/// The tag of an image reference such as `registry:5000/folder/holmes:0.45.0@sha256:…`.
fn tag(image: &str) -> Option<&str> {
    let without_digest = image.split_once('@').map_or(image, |(name, _)| name);
    let name = without_digest.rsplit_once('/').map_or(without_digest, |(_, name)| name);
    name.split_once(':').map(|(_, tag)| tag)
}

/// Whether the name of an image is that of the agent.
pub(crate) fn is_agents_image(image: &str) -> bool {
    let name = image.rsplit_once('/').map_or(image, |(_, name)| name);
    name.split([':', '@']).next().is_some_and(|name| name.contains("holmes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(image: &str, stated: Option<&str>) -> Result<String, &'static str> {
        of_agent(image, stated).map(|version| version.to_string()).map_err(|why| match why {
            Unsupported::TooOld(_) => "too old",
            Unsupported::Unknown => "unknown",
        })
    }

    const DIGEST: &str = "robustadev/holmes@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn the_tag_of_the_image_shows_the_version() {
        for (image, expected) in [
            ("robustadev/holmes:0.45.0", Ok("0.45.0")),
            ("robustadev/holmes:v0.45.0", Ok("0.45.0")),
            ("us-docker.pkg.dev/genuine/dev/holmes:0.45.1", Ok("0.45.1")),
            ("registry:5000/robustadev/holmes:1.2.3", Ok("1.2.3")),
            ("robustadev/holmes:0.46.0-alpha", Ok("0.46.0-alpha")),
            ("robustadev/holmes:0.45.0@sha256:00", Ok("0.45.0")),
            ("robustadev/holmes:0.44.9", Err("too old")),
            ("robustadev/holmes:v0.9.0", Err("too old")),
            ("robustadev/holmes:0.44.0-arm64", Err("too old")),
            ("robustadev/holmes:0.45.0-alpha", Err("unknown")),
            ("robustadev/holmes:0.45.0-arm64", Err("unknown")),
            ("robustadev/holmes:latest", Err("unknown")),
            ("robustadev/holmes:0.45", Err("unknown")),
            ("robustadev/holmes:0.45.0.1", Err("unknown")),
            ("robustadev/holmes:0.45.x", Err("unknown")),
            ("robustadev/holmes:sha-0451234", Err("unknown")),
            ("robustadev/holmes", Err("unknown")),
            ("registry:5000/holmes", Err("unknown")),
            (DIGEST, Err("unknown")),
            ("", Err("unknown")),
        ] {
            assert_eq!(of(image, None), expected.map(str::to_owned), "{image}");
        }
    }

    #[test]
    fn the_stated_version_counts_only_if_the_tag_shows_none() {
        assert_eq!(of(DIGEST, Some("0.45.0")), Ok("0.45.0".to_owned()));
        assert_eq!(of(DIGEST, Some("v0.46.1")), Ok("0.46.1".to_owned()));
        assert_eq!(of(DIGEST, Some("0.44.0")), Err("too old"));
        assert_eq!(of(DIGEST, Some("0.45.0-alpha")), Err("too old"));
        assert_eq!(of(DIGEST, Some("latest")), Err("unknown"));
        assert_eq!(of("holmes:0.45.0-arm64", Some("0.45.0")), Ok("0.45.0".to_owned()));
        assert_eq!(of("holmes:0.44.0", Some("0.45.0")), Err("too old"), "a tag with a version wins");
    }

    #[test]
    fn versions_are_ordered_as_in_semantic_versioning() {
        let sorted = ["0.9.0", "0.44.10", "0.45.0-alpha", "0.45.0", "0.45.0+build", "0.45.1", "0.100.0", "1.0.0"];
        let versions: Vec<Version> = sorted.iter().map(|text| Version::parse(text).unwrap()).collect();
        assert!(versions.is_sorted());
        assert!(OLDEST <= versions[4]);
    }

    #[test]
    fn no_other_text_is_a_version() {
        for text in
            ["", "v", "0.45", "0.45.0-", "0.45.0 ", "0.45.0\n", "0.45.0-a\u{202e}b", "0.45.0-<b>", "dev-abc", "-1.0.0"]
        {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
        assert_eq!(Version::parse("999999.0.0"), None);
        assert_eq!(Version::parse(&format!("0.45.0-{}", "a".repeat(60))), None);
    }

    #[test]
    fn the_agents_image_is_known_by_its_name() {
        assert!(is_agents_image("us-docker.pkg.dev/genuine/dev/holmes:0.45.0"));
        assert!(is_agents_image("robustadev/holmesgpt@sha256:00"));
        assert!(!is_agents_image("quay.io/holmes/oauth2-proxy:v7.6.0"));
        assert!(!is_agents_image("istio/proxyv2:1.29.0"));
    }

    proptest! {
        #[test]
        fn what_is_read_is_short_and_harmless(text in "\\PC{0,80}") {
            if let Some(version) = Version::parse(&text) {
                let shown = version.to_string();
                prop_assert!(shown.len() <= LONGEST);
                prop_assert!(shown.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c)));
            }
        }
    }
}

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
    /// Neither the images nor the ToolsetConfig say for certain which version it is.
    Unknown,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld(version) => write!(f, "runs version {version}, but {OLDEST} or later is required"),
            Self::Unknown => write!(
                f,
                "has an unknown version, because its image has no version in its tag or is pinned by digest, or its containers \
                 differ; if it is version {OLDEST} or later, set spec.consumer.agentVersion"
            ),
        }
    }
}

/// The images of an agent's Pod that may be the agent's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Images<'a> {
    /// As the Pod asks for them.
    pub(crate) wanted: Vec<&'a str>,
    /// As the kubelet reports them. They are missing at first, and may be another name of the same image.
    pub(crate) running: Vec<&'a str>,
}

/// The version of the agent with these images. `stated` is `consumer.agentVersion`.
///
/// An old agent must not be asked, so every source has to agree: no image and no statement may show an old version. Without
/// a statement, all images must show the same version. A tag beside a digest shows nothing, because the digest decides.
///
/// Fails if the operator must not ask this agent.
pub(crate) fn of_agent(images: &Images<'_>, stated: Option<&str>) -> Result<Version, Unsupported> {
    let parsed = stated.and_then(Version::parse);
    let tags = images.wanted.iter().chain(&images.running).filter_map(|image| shown(image));
    if let Some(old) = tags.chain(parsed.clone()).filter(|version| *version < OLDEST).min() {
        return Err(Unsupported::TooOld(old));
    }
    if stated.is_some() { parsed } else { agreed(images) }.ok_or(Unsupported::Unknown)
}

/// The version that all images show.
fn agreed(images: &Images<'_>) -> Option<Version> {
    let certain = |image: &&str| if image.contains('@') { None } else { shown(image) };
    let first = images.wanted.first().and_then(certain)?;
    let mut running = images.running.iter().filter_map(|image| shown(image));
    let same = images.wanted.iter().all(|image| certain(image).as_ref() == Some(&first));
    (same && running.all(|version| version == first)).then_some(first)
}

/// The version in the tag of an image, also beside a digest. A suffix may mark a pre-release or a variant of the image. For
/// the oldest version this makes a difference.
fn shown(image: &str) -> Option<Version> {
    let version = tag(image).and_then(Version::parse)?;
    (version.suffix.is_empty() || version.numbers != OLDEST.numbers).then_some(version)
}

/// The tag of an image reference such as `registry:5000/folder/holmes:0.45.0@sha256:…`.
fn tag(image: &str) -> Option<&str> {
    let without_digest = image.split_once('@').map_or(image, |(name, _)| name);
    let name = without_digest.rsplit_once('/').map_or(without_digest, |(_, name)| name);
    name.split_once(':').map(|(_, tag)| tag)
}

/// Whether an image has exactly the name of the agent's.
pub(crate) fn is_agents_image(image: &str) -> bool {
    matches!(name(image), "holmes" | "holmesgpt")
}

/// Whether the name of an image contains that of the agent.
pub(crate) fn is_like_agents_image(image: &str) -> bool {
    name(image).contains("holmes")
}

/// The name of an image without registry, folder, tag and digest.
fn name(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    name.split_once(':').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(image: &str, stated: Option<&str>) -> Result<String, &'static str> {
        of_all(&[image], &[], stated)
    }

    fn of_all(wanted: &[&str], running: &[&str], stated: Option<&str>) -> Result<String, &'static str> {
        of_agent(&Images { wanted: wanted.to_vec(), running: running.to_vec() }, stated)
            .map(|version| version.to_string())
            .map_err(|why| match why {
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
            ("robustadev/holmes:0.45.0@sha256:00", Err("unknown")),
            ("robustadev/holmes:0.44.0@sha256:00", Err("too old")),
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
    fn the_stated_version_is_needed_where_the_image_shows_none() {
        assert_eq!(of(DIGEST, Some("0.45.0")), Ok("0.45.0".to_owned()));
        assert_eq!(of(DIGEST, Some("v0.46.1")), Ok("0.46.1".to_owned()));
        for unreadable in ["latest", "0.39.0.1"] {
            assert_eq!(of(DIGEST, Some(unreadable)), Err("unknown"), "{unreadable}");
            assert_eq!(of("mirror/agent:2.1.0", Some(unreadable)), Err("unknown"), "{unreadable}");
        }
        assert_eq!(of("holmes:0.45.0-arm64", Some("0.45.0")), Ok("0.45.0".to_owned()));
        assert_eq!(of("holmes:0.46.0@sha256:00", Some("0.45.0")), Ok("0.45.0".to_owned()), "the digest decides");
    }

    #[test]
    fn one_source_that_shows_an_old_version_is_enough() {
        assert_eq!(of(DIGEST, Some("0.44.0")), Err("too old"));
        assert_eq!(of(DIGEST, Some("0.45.0-alpha")), Err("too old"));
        assert_eq!(of("holmes:0.44.0", Some("0.45.0")), Err("too old"));
        assert_eq!(of("holmes:0.44.0@sha256:00", Some("0.45.0")), Err("too old"));
        assert_eq!(of("mirror/agent:2.1.0", Some("0.39.0")), Err("too old"), "a version of its own");
        assert_eq!(of_all(&["holmes:0.45.0", "agent:0.44.0"], &[], Some("0.45.0")), Err("too old"));
        assert_eq!(of_all(&["holmes:0.45.0"], &["holmes:0.44.0"], None), Err("too old"), "it still runs");
    }

    #[test]
    fn images_that_differ_show_nothing() {
        let differ = ["holmes-ui:1.4.0", "agent:0.45.0"];
        assert_eq!(of_all(&differ, &[], None), Err("unknown"));
        assert_eq!(of_all(&differ, &[], Some("0.45.0")), Ok("0.45.0".to_owned()));
        assert_eq!(of_all(&["holmes:0.45.0", "agent:latest"], &[], None), Err("unknown"));
        assert_eq!(of_all(&["holmes:0.46.0"], &["holmes:0.45.0"], None), Err("unknown"), "the Pod has been patched");
        for running in ["docker.io/holmes:v0.45.0", "sha256:0123", "holmes@sha256:0123", ""] {
            assert_eq!(of_all(&["holmes:0.45.0"], &[running], None), Ok("0.45.0".to_owned()), "{running}");
        }
        assert_eq!(of_all(&[], &[], None), Err("unknown"));
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
        assert!(is_agents_image("registry:5000/holmes"));
        for other in ["quay.io/holmes/oauth2-proxy:v7.6.0", "istio/proxyv2:1.29.0", "x/y:holmes"] {
            assert!(!is_agents_image(other) && !is_like_agents_image(other), "{other}");
        }
        assert!(!is_agents_image("x/holmes-ui:1.4.0") && is_like_agents_image("x/holmes-ui:1.4.0"));
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

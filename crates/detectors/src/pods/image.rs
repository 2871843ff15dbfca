//! The name of an image: what is behind the registry and before tag and digest.

use crate::engine::whole_words;

/// Vendors build other programs' images under a name of their own: Red Hat's `ose-prometheus` and
/// `prometheus-rhel9`, and Iron Bank's and others' `prometheus-ubi8`.
const VENDOR_PREFIXES: &[&str] = &["ose-", "origin-"];
const VENDOR_SUFFIXES: &[&str] = &["-rhel7", "-rhel8", "-rhel9", "-ubi", "-ubi7", "-ubi8", "-ubi9", "-fips"];
/// Rancher mirrors `<organisation>/<name>` as `rancher/mirrored-<organisation>-<name>`.
const MIRROR_PREFIX: &str = "mirrored-";

/// An image reference.
#[derive(Clone, Copy)]
pub(crate) struct Image<'a> {
    /// The registry and the path, without the last component.
    folder: &'a str,
    /// The last path component.
    name: &'a str,
    tag: Option<&'a str>,
}

impl<'a> Image<'a> {
    pub(crate) fn of(reference: &'a str) -> Self {
        let reference = reference.split('@').next().unwrap_or_default();
        let (folder, last) = reference.rsplit_once('/').unwrap_or(("", reference));
        let (name, tag) = last.split_once(':').map_or((last, None), |(name, tag)| (name, Some(tag)));
        Self { folder, name, tag }
    }

    /// The name in a list that this image has, as written there.
    pub(crate) fn name_in(&self, names: &[&'static str]) -> Option<&'static str> {
        self.spellings().find_map(|spelling| names.iter().copied().find(|name| *name == spelling))
    }

    /// The name, if it can be shown and read as that of a program: it is not a digest's or a placeholder's.
    pub(crate) fn program(&self) -> Option<&'a str> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        (!self.name.is_empty() && self.name.len() <= 64 && self.name.chars().all(plain)).then_some(self.name)
    }

    /// The words of the name.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'a str> {
        whole_words::split(self.name)
    }

    /// Whether a component of the path before the name is this one.
    pub(crate) fn is_in(&self, component: &str) -> bool {
        self.folder.split('/').any(|one| one == component)
    }

    /// The major version in the tag.
    pub(crate) fn major(&self) -> Option<u16> {
        let tag = self.tag?;
        let digits = tag.strip_prefix('v').unwrap_or(tag);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        // `8` and `8.17.4` are versions, `20240607` is a date.
        digits[..end].parse().ok().filter(|major| *major < 1000)
    }

    /// The name as written, then without what vendors add to it.
    fn spellings(&self) -> impl Iterator<Item = &'a str> {
        let name = self.name;
        let without_suffix = VENDOR_SUFFIXES.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let without_prefix = VENDOR_PREFIXES.iter().find_map(|start| without_suffix.strip_prefix(start));
        let mirrored = name.strip_prefix(MIRROR_PREFIX).into_iter().flat_map(|rest| {
            // The organisation has one word or two. The longer name comes first.
            let after = |count| rest.match_indices('-').nth(count).map(|(at, _)| &rest[at + 1..]);
            [Some(rest), after(0), after(1)].into_iter().flatten()
        });
        [Some(name), (without_suffix != name).then_some(without_suffix), without_prefix]
            .into_iter()
            .flatten()
            .chain(mirrored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["prometheus", "grafana", "elasticsearch", "jaeger-query", "loki", "prometheus-operator"];

    fn name(reference: &str) -> Option<&'static str> {
        Image::of(reference).name_in(NAMES)
    }

    #[test]
    fn the_last_path_component_counts_whatever_the_registry() {
        for reference in [
            "prometheus",
            "prom/prometheus",
            "quay.io/prometheus/prometheus:v3.1.0",
            "10.0.0.7:5000/prometheus/prometheus:v3.1.0@sha256:0a1b",
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/prom/prometheus@sha256:0a1b",
            "$REGISTRY/prometheus:1",
            "rancher/mirrored-prometheus-prometheus:v2.42.0",
            "registry.redhat.io/openshift4/ose-prometheus:v4.15",
            "registry.redhat.io/openshift4/ose-prometheus-rhel9:v4.15",
        ] {
            assert_eq!(name(reference), Some("prometheus"), "{reference}");
        }
        assert_eq!(name("rancher/mirrored-jaegertracing-jaeger-query:1.42"), Some("jaeger-query"));
    }

    #[test]
    fn another_name_is_another_program() {
        for reference in [
            "prom:v1",
            "quay.io/example/prometheus-msteams:1",
            "example/prometheus/exporter:1",
            "example/my-prometheus",
            "prometheus.example/app",
            "",
            "@",
            "/:",
        ] {
            assert_eq!(name(reference), None, "{reference}");
        }
        let operator = "rancher/mirrored-prometheus-operator-prometheus-operator:v0.65.1";
        assert_eq!(name(operator), Some("prometheus-operator"));
    }

    #[test]
    fn the_major_version_is_a_number_at_the_start_of_the_tag() {
        let major = |reference| Image::of(reference).major();
        assert_eq!(major("elasticsearch:8.17.4"), Some(8));
        assert_eq!(major("elasticsearch:v7-debian"), Some(7));
        assert_eq!(major("elasticsearch:20240607"), None);
        assert_eq!(major("elasticsearch:latest"), None);
        assert_eq!(major("elasticsearch@sha256:8"), None);
        assert_eq!(major("10.0.0.8:5000/elasticsearch"), None);
    }
}

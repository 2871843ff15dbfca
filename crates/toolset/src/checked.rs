//! Decides which text from a Service may reach the output. Nothing else does.
//!
//! `HolmesGPT` expands `{{ env.X }}` and renders Jinja, so text that a tenant wrote must not contain an expansion.

use crate::visible::is_invisible;

/// What starts a template or shell expansion in some reader of the output.
const EXPANSIONS: [&str; 5] = ["{{", "{%", "${", "$(", "`"];
/// Longest path, in characters, without the leading slash.
const MAX_PATH: usize = 128;
/// The most characters of a tool's name.
pub const MAX_TOOL_NAME: usize = 40;

/// Checks a text. `Err` says what is wrong, in words that follow "the value".
pub fn text(text: &str, max_chars: usize) -> Result<(), String> {
    if text.chars().count() > max_chars {
        return Err(format!("is longer than {max_chars} characters"));
    }
    if let Some(opener) = EXPANSIONS.iter().find(|opener| text.contains(**opener)) {
        return Err(format!("contains {opener}, which a reader of the output could expand"));
    }
    match text.chars().find(|c| is_invisible(*c)) {
        Some(c) => Err(format!("contains the control character U+{:04X}", c as u32)),
        None => Ok(()),
    }
}

/// A path as the output may hold it, without a trailing slash (`/` becomes the empty path). `Err` says what is wrong.
///
/// A path matches `^/[A-Za-z0-9._~/-]{0,128}$` and has no empty, `.` or `..` segment. So it needs no escaping, it
/// cannot change the host, and no reader normalises it to another path.
pub fn path(path: &str) -> Result<String, String> {
    let Some(rest) = path.strip_prefix('/') else { return Err("must start with /".to_owned()) };
    if rest.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} characters"));
    }
    if let Some(c) = rest.chars().find(|c| !(c.is_ascii_alphanumeric() || "._~/-".contains(*c))) {
        return Err(format!("contains {c:?}; allowed are letters, digits and . _ ~ / -"));
    }
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    if trimmed.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("has an empty, . or .. segment".to_owned());
    }
    Ok(trimmed.to_owned())
}

/// As [`path`], but the empty path is allowed too.
pub fn path_prefix(prefix: &str) -> Result<String, String> {
    if prefix.is_empty() { Ok(String::new()) } else { path(prefix) }
}

/// Whether `name` can be a tool's name: `^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$`, as the schema says.
pub fn is_tool_name(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| edge(c) || c == '_' || c == '-';
    (1..=MAX_TOOL_NAME).contains(&name.len())
        && name.chars().all(inner)
        && name.starts_with(edge)
        && name.ends_with(edge)
}

/// A Service's name as the name of a tool. A longer one is cut.
pub fn tool_name_of(service: &str) -> &str {
    let end = service.char_indices().nth(MAX_TOOL_NAME).map_or(service.len(), |(at, _)| at);
    service[..end].trim_end_matches('-')
}

/// Whether `name` is a DNS label (RFC 1123), as the names of namespaces and Services are.
pub fn is_dns_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// Whether `name` is a DNS subdomain (RFC 1123): labels with single dots between them, at most 253 characters.
pub fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// The domain of a cluster's Service names, as both programs take it on the command line. A single trailing dot is
/// dropped. `Err` says what is wrong.
pub fn cluster_domain(text: &str) -> Result<String, String> {
    let domain = text.strip_suffix('.').unwrap_or(text);
    if is_dns_subdomain(domain) {
        Ok(domain.to_owned())
    } else {
        Err("not a DNS domain in lower case, such as cluster.local".to_owned())
    }
}

/// Whether `name` can be the name of a user's own type: `^[a-z][a-z0-9-]{0,31}$`.
pub fn is_custom_type(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether the schema of `ToolsetConfig` takes this override.
    fn schema_takes(mut override_: serde_json::Value) -> bool {
        override_["name"] = "o".into();
        override_["match"] = serde_json::json!({"type": "Prometheus"});
        let config = serde_json::json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1",
            "kind": "ToolsetConfig",
            "metadata": {"name": "default", "namespace": "holmes"},
            "spec": {
                "sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}],
                "overrides": [override_],
            },
        });
        crd_types::validate(&config).is_empty()
    }

    proptest! {
        #[test]
        fn the_schema_and_the_annotation_take_the_same_names(
            name in prop_oneof!["[a-z0-9_-]{0,4}", "[a-z0-9]{38,42}", "[A-Za-z0-9._ -]{1,4}"],
        ) {
            prop_assert_eq!(is_tool_name(&name), schema_takes(serde_json::json!({"toolName": name})), "{}", name);
        }

        #[test]
        fn a_path_that_the_schema_takes_is_one_here_too(
            given in prop_oneof!["[/.a]{1,8}", "/[A-Za-z0-9._~/-]{0,6}", "/a{126,129}", "[/a%?# ]{1,4}"],
        ) {
            let taken = schema_takes(serde_json::json!({"endpoint": {"path": given}}));
            prop_assert!(path(&given).is_ok() || !taken, "{}", given);
        }
    }

    #[test]
    fn a_cluster_domain_is_a_dns_domain() {
        assert_eq!(cluster_domain("cluster.local").as_deref(), Ok("cluster.local"));
        assert_eq!(cluster_domain("corp.example.").as_deref(), Ok("corp.example"));
        assert_eq!(cluster_domain("local").as_deref(), Ok("local"));
        let long = ["a".repeat(63).as_str(); 4].join(".");
        for bad in ["", ".", "..", "a..b", ".a", "a..", "evil{{", "A.b", "a_b", "-a.b", "a b", "a.b\n", long.as_str()] {
            assert!(cluster_domain(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_loses_its_trailing_slash_and_nothing_else() {
        assert_eq!(path("/").as_deref(), Ok(""));
        assert_eq!(path("/prometheus/").as_deref(), Ok("/prometheus"));
        assert_eq!(path("/select/0/prometheus").as_deref(), Ok("/select/0/prometheus"));
    }

    #[test]
    fn a_path_that_could_become_something_else_is_refused() {
        for bad in [
            "",
            "x",
            "@evil.example/x",
            "/a/../b",
            "/..",
            "/.",
            "//host",
            "/a//b",
            "/%2f..",
            "/a b",
            "/a?b",
            "/a#b",
            "/\\evil",
            "/a\r\nb",
            "/{{x}}",
        ] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        assert!(path(&format!("/{}", "a".repeat(129))).is_err());
        assert!(path(&format!("/{}", "a".repeat(128))).is_ok());
    }

    #[test]
    fn text_that_a_reader_could_expand_or_not_see_is_refused() {
        for bad in
            ["{{ env.TOKEN }}", "{% raw %}", "${HOME}", "$(id)", "`id`", "a\nb", "a\u{202E}b", "a\u{200B}b", "\u{7f}"]
        {
            assert!(text(bad, 256).is_err(), "{bad:?}");
        }
        assert!(text("größe – ok $5 {x}", 256).is_ok());
        assert!(text("abc", 2).is_err());
    }
}

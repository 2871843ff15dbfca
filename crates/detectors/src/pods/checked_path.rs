//! Checks paths from a Pod or from its responses before they are kept.

/// The longest path, without the slash at its start.
const MAX: usize = 128;

/// The path without slashes at its end: `""` for the root. `None` if it is not one of letters, digits and `._~/-`, or
/// if a segment is empty, `.` or `..`. The builder of endpoints takes each of them.
pub(crate) fn checked(path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Some(String::new());
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~/-".contains(c);
    let is_normal = path.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    (path.len() <= MAX && path.chars().all(plain) && is_normal).then(|| format!("/{path}"))
}

/// The path of a URL, or of a path that is given instead of one. `None` if it is no plain one.
pub(crate) fn checked_of_url(url: &str) -> Option<String> {
    let path = match url.split_once("://") {
        Some((_, rest)) => {
            // A query or a fragment ends the authority, too.
            let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            // A placeholder for any text can hold a path.
            if rest[..authority].contains(super::settings::UNKNOWN) {
                return None;
            }
            let path = &rest[authority..];
            path.split(['?', '#']).next().unwrap_or(path)
        }
        // Without a scheme all of it is a path, unless it is a host with a port.
        None if !url.contains(':') => url,
        None => return None,
    };
    checked(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_are_dropped_and_one_at_the_start_is_added() {
        assert_eq!(checked("/grafana/").as_deref(), Some("/grafana"));
        assert_eq!(checked("grafana").as_deref(), Some("/grafana"));
        assert_eq!(checked("/").as_deref(), Some(""));
        assert_eq!(checked("").as_deref(), Some(""));
    }

    #[test]
    fn what_is_no_plain_path_is_unknown() {
        let long = "x".repeat(MAX + 1);
        for path in [
            "/a//b", "/a/../b", "/./a", "/a/.", "./a", "..", "//evil", "/a b", "/a?b", "/@evil", "/%2f", "/a\u{0}",
            "/ä", &long,
        ] {
            assert_eq!(checked(path), None, "{path}");
        }
    }

    #[test]
    fn the_path_of_a_url_is_behind_its_host() {
        let path = |url| checked_of_url(url);
        assert_eq!(path("http://prometheus.example:9090/prom/").as_deref(), Some("/prom"));
        assert_eq!(path("%(protocol)s://%(domain)s:%(http_port)s/grafana/").as_deref(), Some("/grafana"));
        assert_eq!(path("https://example.com").as_deref(), Some(""));
        assert_eq!(path("http://x?next=/evil").as_deref(), Some(""));
        assert_eq!(path("http://x#/evil").as_deref(), Some(""));
        assert_eq!(path("http://x/grafana?orgId=1").as_deref(), Some("/grafana"));
        assert_eq!(path("/prom").as_deref(), Some("/prom"));
        assert_eq!(path("prom").as_deref(), Some("/prom"));
        assert_eq!(path("example.com:9090/prom"), None);
        assert_eq!(path("https://\u{0}/prom"), None);
        assert_eq!(path("\u{0}"), None);
    }
}

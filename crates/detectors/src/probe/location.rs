//! Where a redirect leads. A redirect is read and never followed.

use super::paths::without_end;
use crate::pods::checked_path::checked;

/// The longest `Location` that is read, in bytes.
const MAX: usize = 1024;

/// The host of the request, in all forms that a redirect can use.
#[derive(Clone, Debug)]
pub(super) struct Host {
    name: String,
    /// The port of the Service and the port of the Pod.
    ports: [u16; 2],
}

impl Host {
    pub(super) fn new(name: &str, ports: [u16; 2]) -> Self {
        Self { name: name.to_ascii_lowercase(), ports }
    }

    /// Whether the authority of a URL is this host: its name or a shorter form of it, with one of the ports or without
    /// a port.
    fn is(&self, authority: &str) -> bool {
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, None),
        };
        let is_port = port.is_none_or(|port| self.ports.iter().any(|known| *port == known.to_string()));
        is_port && (name.eq_ignore_ascii_case(&self.name) || self.is_form(&name.to_ascii_lowercase()))
    }

    /// Whether `name` is `<service>`, `<service>.<namespace>` or `<service>.<namespace>.svc`.
    fn is_form(&self, name: &str) -> bool {
        let mut labels = self.name.splitn(4, '.');
        let (Some(service), Some(namespace), Some("svc")) = (labels.next(), labels.next(), labels.next()) else {
            return false;
        };
        let rest = name.strip_prefix(service);
        let behind_namespace = || rest?.strip_prefix('.')?.strip_prefix(namespace);
        rest == Some("") || matches!(behind_namespace(), Some("" | ".svc"))
    }
}

/// The path prefix of the program, according to a redirect: the path of `location` without one of `pages` at its end.
/// `asked` is the path of the request, without a query.
///
/// `None` if the redirect leads to another host or port, or if [`checked`] does not accept the path.
pub(super) fn prefix(location: &str, asked: &str, host: &Host, pages: &[&str]) -> Option<String> {
    let path = path(location, asked, host)?;
    if path.contains("//") || !path.starts_with('/') {
        return None;
    }
    let path = checked(path.split_once("/-/").map_or(&*path, |(before, _)| before))?;
    let cut = without_end(&path, pages);
    Some(without_end(cut, PAGES).to_owned())
}

/// Pages that many programs redirect to.
const PAGES: &[&str] = &["/login", "/graph", "/query"];

/// The path of a `location` on the same host, without query and fragment.
fn path(location: &str, asked: &str, host: &Host) -> Option<String> {
    let is_plain = location.len() <= MAX && location.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'@');
    if !is_plain {
        return None;
    }
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let location = &location[..end];
    if let Some(rest) = behind_scheme(location) {
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        return host.is(authority).then(|| if path.is_empty() { "/".to_owned() } else { path.to_owned() });
    }
    if location.starts_with('/') {
        return Some(location.to_owned());
    }
    // A relative path starts at the directory of the request. A text with a colon may be a URL with another scheme.
    if location.is_empty() || location.contains(':') {
        return None;
    }
    let directory = &asked[..=asked.rfind('/')?];
    Some(format!("{directory}{}", location.strip_prefix("./").unwrap_or(location)))
}

/// What follows `http://`, `https://` or `//`.
fn behind_scheme(location: &str) -> Option<&str> {
    ["http://", "https://", "//"].into_iter().find_map(|start| {
        let (scheme, rest) = location.split_at_checked(start.len())?;
        scheme.eq_ignore_ascii_case(start).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host::new("grafana.monitoring.svc.cluster.local", [80, 3000])
    }

    fn of(location: &str) -> Option<String> {
        prefix(location, "/", &host(), &["/app/home"])
    }

    #[test]
    fn a_page_is_cut_off() {
        for (location, wanted) in [
            ("/login", ""),
            ("/grafana/login", "/grafana"),
            ("/grafana/login?redirectTo=%2F", "/grafana"),
            ("/prom/graph", "/prom"),
            ("/prom", "/prom"),
            ("/prom/", "/prom"),
            ("/kibana/app/home#/", "/kibana"),
            ("/prom/-/ready", "/prom"),
            ("/-/ready", ""),
            ("/", ""),
            ("login", ""),
            ("./grafana/login", "/grafana"),
        ] {
            assert_eq!(of(location).as_deref(), Some(wanted), "{location}");
        }
        assert_eq!(prefix("login", "/grafana/", &host(), &[]).as_deref(), Some("/grafana"));
    }

    #[test]
    fn every_form_of_the_services_name_is_the_same_host() {
        for name in [
            "grafana",
            "grafana.monitoring",
            "grafana.monitoring.svc",
            "grafana.monitoring.svc.cluster.local",
            "GRAFANA.monitoring",
        ] {
            for location in [
                format!("http://{name}/grafana/login"),
                format!("https://{name}:3000/grafana/"),
                format!("//{name}/grafana"),
                format!("HTTP://{name}/grafana"),
            ] {
                assert_eq!(of(&location).as_deref(), Some("/grafana"), "{location}");
            }
        }
        assert_eq!(of("http://grafana").as_deref(), Some(""));
        assert_eq!(of("http://grafana:80/grafana").as_deref(), Some("/grafana"));
        let other = Host::new("grafana.monitoring.svc.corp.local", [80, 3000]);
        for name in ["grafana", "grafana.monitoring.svc", "grafana.monitoring.svc.corp.local"] {
            assert_eq!(prefix(&format!("http://{name}/x"), "/", &other, &[]).as_deref(), Some("/x"), "{name}");
        }
        assert_eq!(prefix("http://grafana.monitoring.svc.cluster.local/x", "/", &other, &[]), None);
        let address = Host::new("10.1.2.3", [80, 3000]);
        assert_eq!(prefix("http://10.1.2.3:3000/x", "/", &address, &[]).as_deref(), Some("/x"));
        assert_eq!(prefix("http://10/x", "/", &address, &[]), None);
    }

    #[test]
    fn another_host_or_port_never_counts() {
        for location in [
            "http://grafana.example.com/grafana/",
            "https://evil.example/grafana",
            "//evil.example/grafana",
            "http://grafana.other/grafana",
            "http://grafanamonitoring/grafana",
            "http://grafana./grafana",
            "http://grafana.monitoring.svc.evil.example/grafana",
            "http://grafana.monitoring.svc.cluster.local.evil.example/x",
            "http://grafana.monitoring.svc.cluster.local./x",
            "http://grafana:3001/grafana",
            "http://grafana:/grafana",
            "http://grafana:03000/grafana",
            "http://grafana@evil.example/grafana",
            "http://evil.example@grafana/grafana",
            "http://grafana:pass@evil.example:3000/grafana",
            "http://grafana\\@evil.example/grafana",
            "http:\\\\evil.example\\x",
            "\\\\evil.example/x",
            "/\\evil.example/x",
            "http://[::ffff:a9fe:a9fe]/grafana",
            "http://0251.0376.0251.0376/grafana",
            "http://2852039166/grafana",
            "http://169.254.169.254/latest/meta-data/",
            "http://localhost./grafana",
            "http://localhost:3000/grafana",
            "http:///grafana",
            "http:grafana/x",
            "http:/grafana",
            "ftp://grafana/x",
            "javascript:alert(1)",
            "data:text/html,x",
            "grafana:3000/x",
        ] {
            assert_eq!(of(location), None, "{location}");
        }
    }

    #[test]
    fn a_path_that_is_not_plain_never_counts() {
        let long = format!("/{}", "x".repeat(200));
        for location in [
            "//",
            "///evil.example",
            "/a//b",
            "/a/../b",
            "/..",
            "/./a",
            "/%2f..",
            "/a%20b",
            "/a b",
            "/a\r\nHost: evil.example",
            "/@evil.example",
            "/#@evil.example",
            "/a;b",
            "/{{ env.X }}",
            "/\u{e4}",
            "",
            "?x",
            "#x",
            "../x",
            &long,
        ] {
            assert_eq!(of(location), None, "{location:?}");
        }
    }
}

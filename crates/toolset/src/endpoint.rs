//! Builds every URL. An endpoint is computed from a Service, never copied from text, and checked by parsing it again.

use std::fmt;

use detectors::{Scheme, ServiceKey};
use url::Url;

use crate::checked;

/// The usual DNS domain of a cluster's Services.
pub const DEFAULT_CLUSTER_DOMAIN: &str = "cluster.local";

/// Where a tool is called: `scheme://host:port/path`, without a trailing slash and always with a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// A DNS name.
    pub host: String,
    /// 1..=65535.
    pub port: u16,
    /// `""` or `/prefix`.
    pub path: String,
}

impl Endpoint {
    /// The endpoint of a Service: host `<name>.<namespace>.svc.<cluster domain>`.
    ///
    /// The caller has checked that the Service declares the port. `Err` says what cannot be part of an endpoint.
    pub fn of_service(
        key: &ServiceKey,
        scheme: Scheme,
        port: u16,
        path: &str,
        cluster_domain: &str,
    ) -> Result<Self, String> {
        for (what, name) in [("namespace", &key.namespace), ("name", &key.name)] {
            if !checked::is_dns_label(name) {
                return Err(format!("the {what} {name:?} is not a DNS label"));
            }
        }
        let path = checked::path_prefix(path).map_err(|why| format!("the path {why}"))?;
        let host = format!("{}.{}.svc.{cluster_domain}", key.name, key.namespace);
        let endpoint = Self { scheme, host, port, path };
        endpoint.reads_back_as_meant().map_err(|why| format!("{endpoint} {why}"))?;
        Ok(endpoint)
    }

    /// The endpoint of a tool outside the cluster, from a URL in the ToolsetConfig. `Err` says what is wrong with the
    /// URL.
    pub fn of_url(text: &str) -> Result<Self, String> {
        let parts = Parts::split(text)?;
        let path = checked::path_prefix(parts.path).map_err(|why| format!("has a path that {why}"))?;
        let endpoint = Self { scheme: parts.scheme, host: parts.host.to_ascii_lowercase(), port: parts.port, path };
        endpoint.reads_back_as_meant()?;
        Ok(endpoint)
    }

    /// The URL of a path below the endpoint. `suffix` starts with `/`.
    pub fn join(&self, suffix: &str) -> String {
        format!("{self}{suffix}")
    }

    /// Without the path: `scheme://host:port`.
    pub fn origin(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }

    /// Parses the text that will be written as most clients do (WHATWG), and compares the result part by part.
    fn reads_back_as_meant(&self) -> Result<(), String> {
        let text = self.to_string();
        let url = Url::parse(&text).map_err(|error| format!("is not a valid URL: {error}"))?;
        let path = if url.path() == "/" { "" } else { url.path() };
        let same = url.scheme() == self.scheme.as_str()
            && match url.host() {
                Some(url::Host::Domain(host)) => host == self.host,
                // Other spellings of an address, such as `0251.0376.0251.0376` or `2852039166`, are refused.
                Some(url::Host::Ipv4(address)) => address.to_string() == self.host,
                _ => false,
            }
            && url.port_or_known_default() == Some(self.port)
            && path == self.path
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if same { Ok(()) } else { Err(format!("is read as {url} by clients")) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}{}", self.scheme, self.host, self.port, self.path)
    }
}

/// The parts of a URL as they are written. A parser would normalise them before they are checked.
pub(crate) struct Parts<'a> {
    pub scheme: Scheme,
    pub host: &'a str,
    pub port: u16,
    /// With its leading slash; empty if there is none.
    pub path: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits `http(s)://host[:port][/path]`. `Err` says what else the text contains: a user, a query, a fragment or
    /// other characters.
    pub(crate) fn split(text: &'a str) -> Result<Self, String> {
        let (scheme, rest) = if let Some(rest) = text.strip_prefix("http://") {
            (Scheme::Http, rest)
        } else if let Some(rest) = text.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else {
            return Err("must start with http:// or https://".to_owned());
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let (host, port) = match authority.split_once(':') {
            None => (authority, if scheme == Scheme::Https { 443 } else { 80 }),
            Some((host, port)) => {
                let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
                let number = port.parse::<u16>().ok().filter(|number| digits && *number > 0);
                (host, number.ok_or_else(|| format!("must have a port number after the colon, not {port:?}"))?)
            }
        };
        let host_character = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if host.is_empty()
            || host.len() > 253
            || !host.chars().all(host_character)
            || host.split('.').any(str::is_empty)
        {
            return Err(format!("must have a host name or an IPv4 address, not {host:?}"));
        }
        Ok(Self { scheme, host, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ServiceKey {
        ServiceKey::new("monitoring", "prometheus")
    }

    #[test]
    fn an_endpoint_always_writes_its_port_and_no_trailing_slash() {
        let endpoint = Endpoint::of_service(&key(), Scheme::Http, 80, "/prom/", "cluster.local").unwrap();
        assert_eq!(endpoint.to_string(), "http://prometheus.monitoring.svc.cluster.local:80/prom");
    }

    #[test]
    fn no_path_can_move_the_host() {
        for path in
            ["@evil.example/x", "\\\\evil.example", "//evil.example", "/#@evil.example", "/%2f..", "/a\r\nHost: evil"]
        {
            assert!(Endpoint::of_service(&key(), Scheme::Http, 80, path, "cluster.local").is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_name_that_is_no_dns_label_gets_no_endpoint() {
        for name in ["a.b", "a@b", "", "-a", "A", "a/b"] {
            let key = ServiceKey::new("m", name);
            assert!(Endpoint::of_service(&key, Scheme::Http, 80, "", "cluster.local").is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_url_outside_the_cluster_is_host_port_and_plain_path() {
        let endpoint = Endpoint::of_url("https://prom.corp.example/").unwrap();
        assert_eq!(endpoint.to_string(), "https://prom.corp.example:443");
        assert_eq!(Endpoint::of_url("http://10.1.2.3:9090").unwrap().to_string(), "http://10.1.2.3:9090");
        for bad in [
            "ftp://x",
            "http://",
            "http://user@host/",
            "http://u:p@host/",
            "http://host:0/",
            "http://host:99999/",
            "http://host:+8/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://0251.0376.0251.0376/",
            "http://2852039166/",
            "http://localhost./",
            "http://host/?q",
            "http://host#@evil",
            "http://host\\@evil/",
            "http://ho\tst/",
            "http://host/a/../b",
        ] {
            assert!(Endpoint::of_url(bad).is_err(), "{bad}");
        }
    }
}

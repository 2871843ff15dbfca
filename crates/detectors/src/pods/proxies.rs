//! Proxies that stand before a product in its Pod, or alone before another Service.
//!
//! Sources: `openshift/oauth-proxy`, `brancz/kube-rbac-proxy`, `oauth2-proxy/oauth2-proxy`,
//! `prometheus-community/prom-label-proxy`, `stolostron/rbac-query-proxy`, `rancher/prometheus-auth`,
//! `openshift/elasticsearch-proxy`, `gogatekeeper/gatekeeper` (their flags), and the images' own documentation for web servers.

use super::{
    container::{Container, Field, is_loopback, port_of},
    facts::Known,
    image::Image,
    program::{Case, If, Says, Setting, case, env, flag},
    settings::Value,
};
use crate::{finding::Auth, product::Scheme};

/// A proxy.
pub(crate) struct Proxy {
    /// For people.
    pub name: &'static str,
    images: &'static [&'static str],
    /// All of these identify it where the image does not.
    marks: &'static [If],
    /// Settings with the address that it listens on.
    listens: &'static [(If, Setting, Scheme)],
    default: &'static [(u16, Scheme)],
    /// Settings with what it passes requests to. Without one, a file says it.
    upstream: &'static [Setting],
    /// The port in the Pod that it passes requests to, if no setting says another.
    default_upstream: Option<u16>,
    auth: &'static [Case<Says<Auth>>],
    /// A setting with the only paths that it passes on.
    only_paths: Option<Setting>,
    /// Whether it passes on only queries with a label that it asks for.
    pub asks_for_label: bool,
}

const PROXY: Proxy = Proxy {
    name: "",
    images: &[],
    marks: &[],
    listens: &[],
    default: &[],
    upstream: &[],
    default_upstream: None,
    auth: &[],
    only_paths: None,
    asks_for_label: false,
};

const fn listens(name: &'static str, scheme: Scheme) -> (If, Setting, Scheme) {
    (If::Given(flag(name)), flag(name), scheme)
}

const BEARER: &[Case<Says<Auth>>] = &[case(&[], Says::Default(Auth::Bearer))];

const PROXIES: &[Proxy] = &[
    Proxy {
        name: "oauth-proxy",
        images: &["oauth-proxy"],
        marks: &[If::Given(flag("https-address")), If::Given(flag("upstream"))],
        listens: &[listens("https-address", Scheme::Https), listens("http-address", Scheme::Http)],
        default: &[(8443, Scheme::Https)],
        upstream: &[flag("upstream")],
        auth: BEARER,
        ..PROXY
    },
    Proxy {
        name: "prom-label-proxy",
        images: &["prom-label-proxy", "rbac-query-proxy"],
        marks: &[If::Given(flag("insecure-listen-address")), If::Given(flag("upstream")), If::Given(flag("label"))],
        listens: &[listens("insecure-listen-address", Scheme::Http)],
        upstream: &[flag("upstream")],
        asks_for_label: true,
        ..PROXY
    },
    Proxy {
        name: "kube-rbac-proxy",
        images: &["kube-rbac-proxy"],
        marks: &[If::Given(flag("secure-listen-address")), If::Given(flag("upstream"))],
        listens: &[listens("secure-listen-address", Scheme::Https), listens("insecure-listen-address", Scheme::Http)],
        upstream: &[flag("upstream")],
        auth: BEARER,
        only_paths: Some(flag("allow-paths")),
        ..PROXY
    },
    Proxy {
        name: "oauth2-proxy",
        // `oauth2_proxy` up to version 5.
        images: &["oauth2-proxy", "oauth2_proxy"],
        listens: &[
            listens("https-address", Scheme::Https),
            listens("http-address", Scheme::Http),
            (If::Given(env("OAUTH2_PROXY_HTTPS_ADDRESS")), env("OAUTH2_PROXY_HTTPS_ADDRESS"), Scheme::Https),
            (If::Given(env("OAUTH2_PROXY_HTTP_ADDRESS")), env("OAUTH2_PROXY_HTTP_ADDRESS"), Scheme::Http),
        ],
        default: &[(4180, Scheme::Http)],
        upstream: &[flag("upstream"), env("OAUTH2_PROXY_UPSTREAMS")],
        // A browser logs in. A bearer token is accepted only with this flag.
        auth: &[
            case(&[If::On(flag("skip-jwt-bearer-tokens"))], Says::Stated(Auth::Bearer)),
            case(&[If::On(env("OAUTH2_PROXY_SKIP_JWT_BEARER_TOKENS"))], Says::Stated(Auth::Bearer)),
            case(&[], Says::Open),
        ],
        ..PROXY
    },
    Proxy {
        name: "gatekeeper",
        images: &["gatekeeper", "keycloak-gatekeeper", "keycloak-proxy", "louketo-proxy"],
        listens: &[
            (If::Given(flag("tls-cert")), flag("listen"), Scheme::Https),
            (If::Given(flag("listen")), flag("listen"), Scheme::Http),
            (If::Given(env("PROXY_LISTEN")), env("PROXY_LISTEN"), Scheme::Http),
        ],
        upstream: &[flag("upstream-url"), env("PROXY_UPSTREAM_URL")],
        // A browser logs in, unless `--no-redirects` is there. A token is accepted, too.
        auth: &[case(&[If::On(flag("no-redirects"))], Says::Stated(Auth::Bearer)), case(&[], Says::Open)],
        ..PROXY
    },
    Proxy {
        name: "prometheus-auth",
        images: &["prometheus-auth"],
        marks: &[If::Given(flag("proxy-url")), If::Given(flag("listen-address"))],
        listens: &[listens("listen-address", Scheme::Http)],
        upstream: &[flag("proxy-url")],
        auth: BEARER,
        ..PROXY
    },
    Proxy {
        name: "elasticsearch-proxy",
        images: &["elasticsearch-proxy"],
        marks: &[If::Given(flag("listening-address")), If::Given(flag("upstream-ca"))],
        listens: &[listens("listening-address", Scheme::Https)],
        default: &[(60000, Scheme::Https)],
        upstream: &[flag("upstream-url")],
        default_upstream: Some(9200),
        auth: BEARER,
        ..PROXY
    },
    Proxy {
        name: "a web server",
        images: &[
            "nginx",
            "nginx-unprivileged",
            "openresty",
            "httpd",
            "apache",
            "apache2",
            "caddy",
            "envoy",
            "haproxy",
            "traefik",
        ],
        ..PROXY
    },
];

/// Paths that only show a program's own metrics or health.
const NO_QUERIES: &[&str] = &["/metrics", "/federate", "/health", "/healthz", "/ready", "/-/ready", "/-/healthy"];

/// The proxy with this image.
pub(crate) fn by_image(image: &Image<'_>) -> Option<(&'static Proxy, &'static str)> {
    PROXIES.iter().find_map(|proxy| Some((proxy, image.name_in(proxy.images)?)))
}

/// The proxy that has all these marks.
pub(crate) fn by_marks(container: &Container<'_>) -> Option<(&'static Proxy, &'static If, &'static If)> {
    PROXIES.iter().find_map(|proxy| match proxy.marks {
        [first, second, ..] if proxy.marks.iter().all(|mark| container.holds(*mark) == Some(true)) => {
            Some((proxy, first, second))
        }
        _ => None,
    })
}

/// What a proxy passes requests to.
pub(crate) enum Upstream {
    /// A port of the same Pod.
    Port(u16),
    /// A Service of this name.
    Service(String),
    /// A file says it, or it is not known.
    Unknown,
}

/// How flags start that say what a program passes requests to.
const UPSTREAM_FLAGS: &[&str] = &["upstream", "proxy", "target", "backend"];

/// The ports of the same Pod to which a program that no table knows passes requests, as far as its flags say so.
pub(crate) fn upstream_ports(container: &Container<'_>) -> Vec<u16> {
    let values = container.settings.of_flags(UPSTREAM_FLAGS).filter_map(|value| match value {
        Value::Text(url) if is_loopback(&url) && url.contains("://") => Some(url),
        _ => None,
    });
    values.filter_map(|url| port_of(url.split_once("://")?.1.split('/').next()?)).collect()
}

impl Proxy {
    /// Whether a file says what it does.
    pub(crate) fn is_by_file(&self) -> bool {
        self.upstream.is_empty()
    }

    /// The ports that it listens on, and how.
    pub(crate) fn listening(&self, container: &Container<'_>) -> Vec<(u16, Scheme, Option<&'static If>)> {
        let mut stated = Vec::new();
        for (condition, setting, scheme) in self.listens {
            if container.holds(*condition) == Some(true)
                && let Value::Text(address) = container.settings.value(*setting)
                && let Some(port) = port_of(&address)
            {
                stated.push((port, *scheme, Some(condition)));
            }
        }
        let default = self.default.iter().filter(|(port, ..)| !stated.iter().any(|(one, ..)| one == port));
        let default: Vec<_> = default.map(|(port, scheme)| (*port, *scheme, None)).collect();
        stated.extend(default);
        stated
    }

    pub(crate) fn upstream(&self, container: &Container<'_>) -> Upstream {
        for setting in self.upstream {
            for value in container.settings.values(*setting) {
                let Value::Text(urls) = value else { continue };
                for url in urls.split(',') {
                    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
                    let authority = rest.split('/').next().unwrap_or(rest);
                    if let Some(port) = port_of(authority).filter(|_| is_loopback(authority)) {
                        return Upstream::Port(port);
                    }
                    let name = authority.split(['.', ':']).next().unwrap_or_default();
                    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                    if !name.is_empty() && name.chars().all(plain) && !is_loopback(authority) {
                        return Upstream::Service(name.to_owned());
                    }
                }
            }
        }
        self.default_upstream.map_or(Upstream::Unknown, Upstream::Port)
    }

    /// Whether it passes on only requests that ask for metrics.
    pub(crate) fn passes_no_queries(&self, container: &Container<'_>) -> bool {
        let Some(setting) = self.only_paths else { return false };
        let mut some = false;
        for value in container.settings.values(setting) {
            let Value::Text(paths) = value else { continue };
            some = true;
            if !paths.split(',').all(|path| NO_QUERIES.contains(&path.trim())) {
                return false;
            }
        }
        some
    }

    pub(crate) fn auth(&self, container: &Container<'_>) -> Option<Known<Auth>> {
        let field: Field<Auth> = container.field(self.auth);
        field.known
    }
}

//! The Service annotations with our prefix: what an owner says of a Service in so many words.
//!
//! A malformed one is an error and never falls back to the rules: whoever wrote it meant something else than a guess.

use detectors::{PortView, Product, Protocol, Scheme, ServiceKey, ServiceView};

use crate::{checked, endpoint::Parts};

/// The most characters any of our annotations may have.
pub const MAX_CHARS: usize = 256;

/// Opts a Service in or out.
pub const TOOLSET: &str = "kubernaut.io/toolset";
/// The detector type, in any case, or a free name.
pub const TYPE: &str = "kubernaut.io/toolset-type";
/// A port of the Service, by name or number.
pub const PORT: &str = "kubernaut.io/toolset-port";
/// `http` or `https`.
pub const SCHEME: &str = "kubernaut.io/toolset-scheme";
/// A path prefix.
pub const PATH: &str = "kubernaut.io/toolset-path";
/// A full URL of this very Service.
pub const ENDPOINT: &str = "kubernaut.io/toolset-endpoint";
/// A path to probe.
pub const HEALTH_PATH: &str = "kubernaut.io/toolset-health-path";
/// The predecessor's name for [`HEALTH_PATH`]; it also took a full URL.
pub const HEALTH_ENDPOINT: &str = "kubernaut.io/toolset-health-endpoint";
/// The tool's name.
pub const NAME: &str = "kubernaut.io/toolset-name";

/// All of ours.
pub const ALL: [&str; 9] = [TOOLSET, TYPE, PORT, SCHEME, PATH, ENDPOINT, HEALTH_PATH, HEALTH_ENDPOINT, NAME];

/// Whether an annotation key is ours.
pub fn is_ours(key: &str) -> bool {
    ALL.contains(&key)
}

/// Whether a Service carries any annotation of ours.
pub(crate) fn has_ours(view: &ServiceView) -> bool {
    !view.annotations.is_empty() && view.annotations.iter().any(|(key, _)| is_ours(key))
}

/// Whether the owner opted out; an opt-out counts even beside a malformed annotation.
pub fn is_opted_out(view: &ServiceView) -> bool {
    matches!(view.annotations.get(TOOLSET), Some("disabled" | "false"))
}

/// A type of tool that somebody stated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatedType {
    /// One of the products, or `Custom`.
    pub product: Product,
    /// The free name, with `Custom` only.
    pub custom: Option<String>,
}

impl StatedType {
    /// A detector type in any case, or a free name.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<Product>() {
            Ok(Product::Custom) => {
                Err("is \"custom\"; write the name of what it is, e.g. \"vector-database\"".to_owned())
            }
            Ok(product) => Ok(Self { product, custom: None }),
            Err(()) if checked::is_custom_type(text) => {
                Ok(Self { product: Product::Custom, custom: Some(text.to_owned()) })
            }
            Err(()) => {
                Err("is neither a detector type nor a free name (a-z, then at most 31 of a-z, 0-9 and -)".to_owned())
            }
        }
    }
}

/// What the annotations of one Service say; nothing is `Some` that was not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// `kubernaut.io/toolset: enabled`.
    pub opted_in: bool,
    /// The stated type.
    pub stated: Option<StatedType>,
    /// The chosen port, one that the Service declares.
    pub port: Option<u16>,
    /// The chosen scheme.
    pub scheme: Option<Scheme>,
    /// The chosen path, `""` or `/prefix`.
    pub path: Option<String>,
    /// A path to probe, starting with `/`.
    pub health_path: Option<String>,
    /// The tool's name.
    pub name: Option<String>,
    /// Cluster domains that URLs in annotations end in. Whether they are this cluster's is known only when it is used.
    domains: Vec<NamedDomain>,
}

/// The cluster domain at the end of a URL in an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NamedDomain {
    annotation: &'static str,
    host: Box<str>,
    domain: Box<str>,
}

/// A Service that states nothing.
static NOTHING: Annotations = Annotations {
    opted_in: false,
    stated: None,
    port: None,
    scheme: None,
    path: None,
    health_path: None,
    name: None,
    domains: Vec::new(),
};

impl Annotations {
    /// What a Service without annotations of ours states.
    pub fn nothing() -> &'static Self {
        &NOTHING
    }

    /// Checks the full URLs in the annotations against the domain that this cluster's Services are under.
    pub(crate) fn check_domain(&self, key: &ServiceKey, cluster_domain: &str) -> Result<(), Malformed> {
        match self.domains.iter().find(|named| !named.domain.eq_ignore_ascii_case(cluster_domain)) {
            None => Ok(()),
            Some(named) => Err(malformed(named.annotation, &foreign_host(&named.host, key))),
        }
    }
}

/// An annotation that says something impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Which one.
    pub annotation: &'static str,
    /// What is wrong and what to do, in words that name the annotation.
    pub message: String,
}

/// Reads the annotations of a Service.
pub fn read(view: &ServiceView, cluster_domain: &str) -> Result<Annotations, Malformed> {
    let read = parse(view)?;
    read.check_domain(&view.key, cluster_domain).map(|()| read)
}

/// As [`read`], for any cluster: full URLs are checked only up to the domain that Services are under.
pub(crate) fn parse(view: &ServiceView) -> Result<Annotations, Malformed> {
    let mut read = Annotations::default();
    if !has_ours(view) {
        return Ok(read);
    }
    let get = |annotation: &'static str| -> Result<Option<&str>, Malformed> {
        let Some(value) = view.annotations.get(annotation) else { return Ok(None) };
        checked::text(value, MAX_CHARS).map_err(|why| malformed(annotation, &why))?;
        Ok(Some(value))
    };
    read.opted_in = match get(TOOLSET)? {
        None => false,
        Some("enabled" | "true") => true,
        Some("disabled" | "false") => return Ok(read),
        Some(other) => return Err(malformed(TOOLSET, &format!("is {other:?}; write \"enabled\" or \"disabled\""))),
    };
    if let Some(value) = get(TYPE)? {
        read.stated = Some(StatedType::parse(value).map_err(|why| malformed(TYPE, &why))?);
    } else if read.opted_in {
        return Err(malformed(
            TYPE,
            "is missing; with kubernaut.io/toolset: enabled it says what the Service is, e.g. \"prometheus\"",
        ));
    }
    if let Some(value) = get(PORT)? {
        read.port = Some(declared_port(view, value).map_err(|why| malformed(PORT, &why))?.port);
    }
    read.scheme = match get(SCHEME)? {
        None => None,
        Some("http") => Some(Scheme::Http),
        Some("https") => Some(Scheme::Https),
        Some(other) => return Err(malformed(SCHEME, &format!("is {other:?}; write \"http\" or \"https\""))),
    };
    if let Some(value) = get(PATH)? {
        read.path = Some(checked::path(value).map_err(|why| malformed(PATH, &why))?);
    }
    if let Some(value) = get(ENDPOINT)? {
        full_url(view, value, &mut read).map_err(|why| malformed(ENDPOINT, &why))?;
    }
    let probe = get(HEALTH_PATH)?.map(|value| (HEALTH_PATH, value));
    if let Some((annotation, value)) = probe.or(get(HEALTH_ENDPOINT)?.map(|value| (HEALTH_ENDPOINT, value))) {
        let path = probe_path(view, annotation, value, &mut read).map_err(|why| malformed(annotation, &why))?;
        read.health_path = Some(path);
    }
    if let Some(value) = get(NAME)? {
        read.name = Some(tool_name(value).map_err(|why| malformed(NAME, &why))?);
    }
    Ok(read)
}

/// A TCP port of the Service, named by name or number.
pub fn declared_port<'a>(view: &'a ServiceView, text: &str) -> Result<&'a PortView, String> {
    let number = text.parse::<u16>().ok();
    let fits = |port: &&PortView| {
        port.protocol == Protocol::Tcp
            && (port.name.as_deref() == Some(text) || number.is_some_and(|number| port.port == number))
    };
    view.ports.iter().find(fits).ok_or_else(|| format!("is {text:?}; the Service declares {}", ports_in_words(view)))
}

/// The ports a person can choose from.
pub(crate) fn ports_in_words(view: &ServiceView) -> String {
    let tcp = view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let list: Vec<String> = tcp
        .map(|port| port.name.as_ref().map_or_else(|| port.port.to_string(), |name| format!("{name} ({})", port.port)))
        .collect();
    if list.is_empty() { "no TCP port".to_owned() } else { list.join(", ") }
}

fn tool_name(text: &str) -> Result<String, String> {
    if checked::is_tool_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "is {text:?}; a name has 1 to {} of a-z, 0-9, _ and -, and starts and ends with a letter or digit",
        checked::MAX_TOOL_NAME
    ))
}

/// Takes a full URL apart into port, scheme and path, if it is this Service's and does not contradict what was read before.
fn full_url(view: &ServiceView, text: &str, read: &mut Annotations) -> Result<(), String> {
    let parts = Parts::split(text)?;
    own_host(&view.key, ENDPOINT, parts.host, &mut read.domains)?;
    if !view.ports.iter().any(|port| port.port == parts.port && port.protocol == Protocol::Tcp) {
        return Err(format!("calls port {}; the Service declares {}", parts.port, ports_in_words(view)));
    }
    let path = checked::path_prefix(parts.path).map_err(|why| format!("has a path that {why}"))?;
    let agrees = read.port.is_none_or(|port| port == parts.port)
        && read.scheme.is_none_or(|scheme| scheme == parts.scheme)
        && read.path.as_ref().is_none_or(|known| *known == path);
    if !agrees {
        return Err("says otherwise than toolset-port, toolset-scheme or toolset-path; keep one of the two".to_owned());
    }
    (read.port, read.scheme, read.path) = (Some(parts.port), Some(parts.scheme), Some(path));
    Ok(())
}

/// A path, or (as the predecessor took it) a full URL of this very Service, of which only the path counts.
fn probe_path(
    view: &ServiceView,
    annotation: &'static str,
    text: &str,
    read: &mut Annotations,
) -> Result<String, String> {
    let path = if text.starts_with("http") {
        let parts = Parts::split(text)?;
        own_host(&view.key, annotation, parts.host, &mut read.domains)?;
        if parts.path.is_empty() { "/" } else { parts.path }
    } else {
        text
    };
    checked::path(path).map(|path| if path.is_empty() { "/".to_owned() } else { path })
}

/// Accepts the Service's own DNS name in any of the forms that a pod's resolver completes. The cluster domain of the longest
/// form is kept in `domains`.
fn own_host(
    key: &ServiceKey,
    annotation: &'static str,
    host: &str,
    domains: &mut Vec<NamedDomain>,
) -> Result<(), String> {
    let lower = host.to_ascii_lowercase();
    let rest = lower.strip_prefix(&*key.name).ok_or_else(|| foreign_host(host, key))?;
    if rest.is_empty() {
        return Ok(());
    }
    let rest = rest.strip_prefix('.').and_then(|rest| rest.strip_prefix(&*key.namespace));
    match rest.ok_or_else(|| foreign_host(host, key))? {
        "" | ".svc" => Ok(()),
        rest => {
            let domain = rest.strip_prefix(".svc.").ok_or_else(|| foreign_host(host, key))?;
            domains.push(NamedDomain { annotation, host: host.into(), domain: domain.into() });
            Ok(())
        }
    }
}

fn foreign_host(host: &str, key: &ServiceKey) -> String {
    format!("names the host {host:?}; it may only name its own Service, {}.{}.svc", key.name, key.namespace)
}

fn malformed(annotation: &'static str, why: &str) -> Malformed {
    Malformed { annotation, message: format!("annotation {annotation} {why}") }
}

#[cfg(test)]
mod tests;

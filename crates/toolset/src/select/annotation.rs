//! Our annotations on a Service, by which its owner states what it is.
//!
//! A malformed annotation is an error. The built-in rules do not replace it, because its author wants something else
//! than what they would guess.

use detectors::{PortView, Product, Protocol, Scheme, ServiceKey, ServiceView};

use crate::{checked, endpoint::Parts};

/// The most characters that the value of our annotations may have.
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
/// A full URL of the same Service.
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

/// Whether the owner opted out. An opt-out counts even if another annotation is malformed.
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
            // The predecessor's documentation uses this value, so it is a free name like any other.
            Ok(Product::Custom) => Ok(Self { product: Product::Custom, custom: Some(Product::Custom.lower()) }),
            Ok(product) => Ok(Self { product, custom: None }),
            Err(()) if checked::is_custom_type(text) => {
                Ok(Self { product: Product::Custom, custom: Some(text.to_owned()) })
            }
            Err(()) => {
                Err("must be a detector type, or a name of at most 32 lower-case letters, digits and dashes that starts with a letter".to_owned())
            }
        }
    }
}

/// What the annotations of one Service state. A field is `Some` only if its annotation is there.
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
    /// The cluster domains of URLs in annotations, to be compared with this cluster's when the annotations are used.
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
            Some(named) => Err(malformed(
                named.annotation,
                &foreign_host(named.annotation, &named.host, key, self.stated.as_ref()),
            )),
        }
    }
}

/// An annotation that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Which one.
    pub annotation: &'static str,
    /// What is wrong and what to do. The message names the annotation.
    pub message: String,
}

/// Reads the annotations of a Service.
pub fn read(view: &ServiceView, cluster_domain: &str) -> Result<Annotations, Malformed> {
    let read = parse(view)?;
    read.check_domain(&view.key, cluster_domain).map(|()| read)
}

/// As [`read`], for any cluster. The cluster domain of full URLs is not checked.
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
        Some(other) => {
            return Err(malformed(TOOLSET, &format!("is {other:?}, but must be \"enabled\" or \"disabled\"")));
        }
    };
    if let Some(value) = get(TYPE)? {
        read.stated = Some(StatedType::parse(value).map_err(|why| malformed(TYPE, &why))?);
    } else if read.opted_in {
        return Err(malformed(
            TYPE,
            "is required with kubernaut.io/toolset: enabled. Set it to the type of the Service, for example \"prometheus\"",
        ));
    }
    if let Some(value) = get(PORT)? {
        read.port = Some(declared_port(view, value).map_err(|why| malformed(PORT, &why))?.port);
    }
    read.scheme = match get(SCHEME)? {
        None => None,
        Some("http") => Some(Scheme::Http),
        Some("https") => Some(Scheme::Https),
        Some(other) => return Err(malformed(SCHEME, &format!("is {other:?}, but must be \"http\" or \"https\""))),
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
    view.ports
        .iter()
        .find(fits)
        .ok_or_else(|| format!("is {text:?}, but the Service declares {}", ports_in_words(view)))
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
        "is {text:?}, but must consist of 1 to {} lower-case letters, digits, dashes and underscores, and start and end with a letter or a digit",
        checked::MAX_TOOL_NAME
    ))
}

/// Reads port, scheme and path from a full URL, if it is this Service's and does not contradict the other annotations.
fn full_url(view: &ServiceView, text: &str, read: &mut Annotations) -> Result<(), String> {
    let parts = Parts::split(text)?;
    own_host(&view.key, ENDPOINT, parts.host, read)?;
    if !view.ports.iter().any(|port| port.port == parts.port && port.protocol == Protocol::Tcp) {
        return Err(format!("has port {}, but the Service declares {}", parts.port, ports_in_words(view)));
    }
    let path = checked::path_prefix(parts.path).map_err(|why| format!("has a path that {why}"))?;
    let agrees = read.port.is_none_or(|port| port == parts.port)
        && read.scheme.is_none_or(|scheme| scheme == parts.scheme)
        && read.path.as_ref().is_none_or(|known| *known == path);
    if !agrees {
        return Err("contradicts the annotation toolset-port, toolset-scheme or toolset-path. Remove one of the contradicting annotations".to_owned());
    }
    (read.port, read.scheme, read.path) = (Some(parts.port), Some(parts.scheme), Some(path));
    Ok(())
}

/// A path, or a full URL of the same Service, which the predecessor accepted. Only the path of a URL is used.
fn probe_path(
    view: &ServiceView,
    annotation: &'static str,
    text: &str,
    read: &mut Annotations,
) -> Result<String, String> {
    let path = if text.starts_with("http") {
        let parts = Parts::split(text)?;
        own_host(&view.key, annotation, parts.host, read)?;
        if parts.path.is_empty() { "/" } else { parts.path }
    } else {
        text
    };
    checked::path(path).map(|path| if path.is_empty() { "/".to_owned() } else { path })
}

/// Accepts the Service's own DNS name in every form that a pod's resolver completes. The cluster domain of the longest
/// form is kept in `read`.
fn own_host(key: &ServiceKey, annotation: &'static str, host: &str, read: &mut Annotations) -> Result<(), String> {
    let lower = host.to_ascii_lowercase();
    let foreign = || foreign_host(annotation, host, key, read.stated.as_ref());
    let rest = lower.strip_prefix(&*key.name).ok_or_else(foreign)?;
    if rest.is_empty() {
        return Ok(());
    }
    let rest = rest.strip_prefix('.').and_then(|rest| rest.strip_prefix(&*key.namespace));
    match rest.ok_or_else(foreign)? {
        "" | ".svc" => Ok(()),
        rest => {
            let domain = rest.strip_prefix(".svc.").ok_or_else(foreign)?;
            read.domains.push(NamedDomain { annotation, host: host.into(), domain: domain.into() });
            Ok(())
        }
    }
}

fn foreign_host(annotation: &str, host: &str, key: &ServiceKey, stated: Option<&StatedType>) -> String {
    let allowed = format!(
        "has the host {host:?}, but must have the host of the Service itself, {}.{}.svc",
        key.name, key.namespace
    );
    if annotation != ENDPOINT {
        return allowed;
    }
    // The predecessor took every URL.
    let type_ = match stated {
        None => "…".to_owned(),
        Some(StatedType { product, custom: None }) => product.to_string(),
        Some(StatedType { product, custom: Some(custom) }) => format!("{product}, customType: {custom}"),
    };
    format!(
        "{allowed}. To use another address, remove the annotations and add the tool to the ToolsetConfig, for example spec.tools: [{{name: {}, type: {type_}, endpoint: \"https://…\"}}]",
        checked::tool_name_of(&key.name)
    )
}

fn malformed(annotation: &'static str, why: &str) -> Malformed {
    Malformed { annotation, message: format!("Annotation {annotation} {why}.") }
}

#[cfg(test)]
mod tests;

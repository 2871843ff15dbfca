//! What the probes of a container show about one of its ports.
//!
//! Meshes move probes to a port of their own: Istio to 15020 under `/app-health/…`. Such a probe says nothing, neither for
//! nor against. A probe never identifies a program, because many answer `/-/ready`, `/ready` and `/health`.

use super::{
    container::{Container, is_loopback},
    view::{HttpGetView, ProbeView},
};
use crate::{product::Scheme, view::TargetPort};

/// <https://istio.io/latest/docs/ops/configuration/mesh/app-health-check/>
const MESH_PORTS: [u16; 3] = [15020, 15021, 15090];
const MESH_PATH: &str = "/app-health/";

/// What the probes of one port show.
#[derive(Default)]
pub(crate) struct Probed<'a> {
    /// The scheme, if all of them have the same.
    pub scheme: Option<Scheme>,
    /// The paths.
    pub paths: Vec<&'a str>,
    /// Whether one of them logs in with a user.
    pub logs_in: bool,
}

/// What the probes of a container show about the port with this number.
pub(crate) fn probed<'a>(container: &Container<'a>, number: u16) -> Probed<'a> {
    let view = container.view;
    let all = [&view.readiness_probe, &view.liveness_probe, &view.startup_probe];
    let mut schemes = Vec::new();
    let mut probed = Probed::default();
    for probe in all.into_iter().flatten() {
        if let Some(get) = probe.http_get.as_ref().filter(|get| leads_to(container, get, number)) {
            schemes.push(get.scheme().unwrap_or_default());
            probed.paths.extend(get.path.as_deref());
        }
        by_command(probe, number, &mut schemes, &mut probed);
    }
    let first = schemes.first().copied();
    probed.scheme = first.filter(|first| schemes.iter().all(|scheme| scheme == first));
    probed
}

fn leads_to(container: &Container<'_>, get: &HttpGetView, number: u16) -> bool {
    let moved = get.path.as_deref().is_some_and(|path| path.starts_with(MESH_PATH));
    let port = get.port.as_ref().and_then(|port| match port.target() {
        TargetPort::Number(number) => Some(number),
        name @ TargetPort::Name(_) => container.declared(&name),
    });
    !moved && port == Some(number) && !MESH_PORTS.contains(&number)
}

/// A command such as `curl -k -u admin https://localhost:9200` shows the scheme, the path and that there are users.
fn by_command<'a>(probe: &'a ProbeView, number: u16, schemes: &mut Vec<Scheme>, probed: &mut Probed<'a>) {
    let Some(exec) = &probe.exec else { return };
    let is_between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '|' | '&' | ')' | '`');
    let words = || exec.command.iter().flat_map(|text| text.split(is_between)).filter(|word| !word.is_empty());
    let mut found = false;
    for word in words() {
        for (scheme, start) in [(Scheme::Https, "https://"), (Scheme::Http, "http://")] {
            let Some(at) = word.find(start) else { continue };
            let rest = &word[at + start.len()..];
            let Some((host, behind)) = rest.split_once(':') else { continue };
            let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
            if is_loopback(host) && behind[..end].parse() == Ok(number) {
                schemes.push(scheme);
                probed.paths.extend(behind.get(end..).filter(|path| path.starts_with('/')));
                found = true;
            }
        }
    }
    probed.logs_in |= found && words().any(|word| word == "-u" || word == "--user" || word.starts_with("--user="));
}

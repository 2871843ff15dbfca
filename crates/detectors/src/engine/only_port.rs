//! The only port of a Service that is the product for certain, under a name that does not say so.

use super::{
    ports::{
        Choice, Fit, has_own_number, has_shared_number, is_another_protocol, is_of_another, port_name, target_name,
        target_number,
    },
    rule::{Ports, Rule},
    whole_words,
};
use crate::view::{PortView, Protocol, ServiceView};

/// Words in the names of ports of proxies before a product: `nginx-http` of Rancher's monitoring 1, `oauth-proxy` of
/// `OpenShift`, `public` of the Loki and Tempo operators.
const FRONT_DOORS: &[&str] =
    &["apache", "caddy", "haproxy", "httpd", "https", "nginx", "oauth", "oauth2", "proxy", "public", "traefik"];

/// The annotation with the port that Prometheus scrapes.
const SCRAPED_PORT: &str = "prometheus.io/port";

/// The only TCP port, if its number is the role's own whatever its name is (`metrics` 3100), if it is a proxy's, or if
/// the Service asks that it is scraped and the product serves its metrics where it answers queries. A headless Service with such a port is made to scrape each Pod.
pub(crate) fn choose<'a>(view: &'a ServiceView, ports: &Ports, rule: &Rule) -> Option<Choice<'a>> {
    if view.headless {
        return None;
    }
    let port = only(view.ports.iter().filter(|port| port.protocol == Protocol::Tcp));
    if let Some(port) = port.filter(|port| !is_of_another(port, ports)) {
        if has_own_number(port, ports) {
            return Some(Choice { port, fit: Fit::Own });
        }
        if has_shared_number(port, ports) {
            return Some(Choice { port, fit: Fit::Typical });
        }
        if rule.serves_metrics && is_scraped(view, port) && !is_another_protocol(port, ports, rule) {
            return Some(Choice { port, fit: Fit::Scraped });
        }
    }
    // The metrics of a proxy have a port of their own beside it.
    let speaks_http = |port: &&PortView| port.protocol == Protocol::Tcp && !is_another_protocol(port, ports, rule);
    let port = only(view.ports.iter().filter(speaks_http)).filter(|port| !is_of_another(port, ports))?;
    is_front_door(port).then_some(Choice { port, fit: Fit::FrontDoor })
}

fn only<'a>(mut ports: impl Iterator<Item = &'a PortView>) -> Option<&'a PortView> {
    ports.next().filter(|_| ports.next().is_none())
}

fn is_front_door(port: &PortView) -> bool {
    let is_listed = |name: &str| whole_words::split(name).any(|word| whole_words::contains(FRONT_DOORS, word));
    [port_name(port), target_name(port)].into_iter().flatten().any(is_listed)
}

fn is_scraped(view: &ServiceView, port: &PortView) -> bool {
    let number = view.annotations.get(SCRAPED_PORT).and_then(|value| value.parse::<u16>().ok());
    number.is_some_and(|number| number == port.port || target_number(port) == Some(number))
}

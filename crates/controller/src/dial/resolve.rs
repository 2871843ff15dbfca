//! Finds the Pods of a Service that the operator may call. It reads the EndpointSlices of the Service, and then the
//! Pods that they name.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use detectors::{ServiceType, ServiceView};
use kube::Client;

use super::{
    address::Reserved,
    backends::{Candidates, Ignored, PodRefused, candidates, port_numbered},
};
use crate::api::{
    Cause, NamespacedName,
    backends::{self, BackendEndpoint},
};

/// The labels that identify the template of a Pod: of a Deployment, and of a StatefulSet or a DaemonSet.
const TEMPLATES: [&str; 2] = ["pod-template-hash", "controller-revision-hash"];

/// A Pod that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) uid: String,
    /// One address of each IP family, in the order of the Pod. The addresses are checked, and stay valid until the
    /// EndpointSlices change.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The template of the Pod: the hash that its Pods share, or the uid of the Pod if it has no such label.
    pub(crate) template: String,
}

/// Why there is no Pod to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The Pods must not be called until the Service, its EndpointSlices or the operator's permissions change.
    NotAllowed(NotAllowed),
    /// The API server did not respond, or a Pod was replaced in the meantime. Try again.
    Failed(Cause),
}

/// Why the operator must not call the Pods of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAllowed {
    ExternalName,
    NoSelector,
    /// The Service does not have the port, or it is not TCP.
    NoPort,
    Slice(Ignored),
    /// The operator may not get Pods.
    Forbidden,
    Pod(PodRefused),
}

/// How long a reason lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// Until somebody allows the call.
    UntilAllowed,
    /// As long as the endpoints do not have the port, so that nobody can call it.
    WhilePortIsMissing,
    /// Until the Pods and the EndpointSlices match the Service. For a moment after a change, they do not.
    UntilUpToDate,
}

impl NotAllowed {
    /// How long the reason lasts.
    pub(crate) fn lasts(self) -> Lasts {
        match self {
            Self::NoPort | Self::Slice(Ignored::NoPort) | Self::Pod(PodRefused::NoPort) => Lasts::WhilePortIsMissing,
            Self::Pod(
                PodRefused::NotSelected
                | PodRefused::Ended
                | PodRefused::OtherPort { .. }
                | PodRefused::OtherAddress
                | PodRefused::NoAddress,
            ) => Lasts::UntilUpToDate,
            Self::ExternalName
            | Self::NoSelector
            | Self::Slice(Ignored::NotManaged | Ignored::NotIp | Ignored::NotPod)
            | Self::Forbidden
            | Self::Pod(
                PodRefused::HostNetwork | PodRefused::NodeUnknown | PodRefused::NodeAddress | PodRefused::Reserved(_),
            ) => Lasts::UntilAllowed,
        }
    }
}

impl fmt::Display for NotAllowed {
    /// The text follows "because".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExternalName => f.write_str("the Service is of type ExternalName"),
            Self::NoSelector => f.write_str("the Service has no selector"),
            Self::NoPort => f.write_str("the Service does not have the TCP port of the tool"),
            Self::Slice(Ignored::NotManaged) => {
                f.write_str("its EndpointSlices are not managed by the EndpointSlice controller")
            }
            Self::Slice(Ignored::NotIp) => f.write_str("its EndpointSlices do not contain IP addresses"),
            Self::Slice(Ignored::NoPort) => f.write_str(
                "its EndpointSlices do not have the port of the tool; check that its Pods have the targetPort",
            ),
            Self::Slice(Ignored::NotPod) => f.write_str("its addresses do not belong to Pods of its namespace"),
            Self::Forbidden => {
                f.write_str("the operator is not allowed to get its Pods; set rbac.pods in the Helm chart")
            }
            Self::Pod(why) => write!(f, "its Pod {why}"),
        }
    }
}

/// The serving Pods behind a port of the Service that the operator may call, sorted by name. Reads at most `most` Pods.
/// The result is empty if no endpoint is serving.
///
/// Fails if endpoints are serving, but the operator may call none of the Pods that it read.
pub(crate) async fn resolve(
    client: &Client,
    view: &ServiceView,
    port: u16,
    reserved: &Reserved,
    most: usize,
) -> Result<Vec<Backend>, Unresolved> {
    let not_allowed = |why| Err(Unresolved::NotAllowed(why));
    let Some(port) = port_numbered(view, port) else { return not_allowed(NotAllowed::NoPort) };
    // If a Service becomes an ExternalName, the EndpointSlice controller does not delete its EndpointSlices.
    if view.service_type == ServiceType::ExternalName {
        return not_allowed(NotAllowed::ExternalName);
    }
    if view.selector.is_empty() {
        return not_allowed(NotAllowed::NoSelector);
    }
    let name = NamespacedName::new(&*view.key.namespace, &*view.key.name);
    let failed = |error: crate::api::Error| Unresolved::Failed(error.cause());
    let slices = backends::slices(client, &name).await.map_err(failed)?;
    let Candidates { pods, ignored } = candidates(view, port, &slices, BackendEndpoint::is_serving);
    drop(slices);
    if pods.is_empty() {
        return ignored.first().map_or(Ok(Vec::new()), |(_, why)| not_allowed(NotAllowed::Slice(*why)));
    }
    let (mut found, mut refused) = (Vec::new(), None);
    for candidate in pods.into_iter().take(most) {
        let pod = backends::pod(client, &name.sibling(&candidate.pod)).await.map_err(|error| match error.cause() {
            Cause::Forbidden => Unresolved::NotAllowed(NotAllowed::Forbidden),
            cause => Unresolved::Failed(cause),
        })?;
        let Some(pod) = pod.filter(|pod| candidate.is(pod)) else { continue };
        match candidate.addresses(&pod, view, port, reserved) {
            Ok(addresses) => {
                let template = template(pod.metadata.labels.as_ref(), &candidate.uid);
                found.push(Backend { uid: candidate.uid, addresses, template });
            }
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    match refused {
        _ if !found.is_empty() => Ok(found),
        Some(why) => not_allowed(NotAllowed::Pod(why)),
        // All Pods were replaced.
        None => Err(Unresolved::Failed(Cause::NotFound)),
    }
}

fn template(labels: Option<&BTreeMap<String, String>>, uid: &str) -> String {
    let label = |key: &&str| labels.and_then(|labels| labels.get(*key)).filter(|value| !value.is_empty());
    TEMPLATES.iter().find_map(label).map_or(uid, String::as_str).to_owned()
}

#[cfg(test)]
mod tests;

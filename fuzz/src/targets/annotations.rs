//! The annotations of a Service: what is taken from them fits the Service and the rules of text, and whatever is
//! malformed is an error that names its annotation.

use detectors::{Outcome as Recognised, Protocol};
use toolset::{
    DEFAULT_CLUSTER_DOMAIN, Endpoint, checked,
    pods::Pods,
    select::{
        annotation::{self, Annotations},
        claim::{self, ClaimOutcome},
    },
};

use crate::{Outcome, input::Input, world};

/// Checks one Service.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let mut view = world::service(&mut input);
    if input.one_in(3) {
        // One annotation with everything that is left.
        let key = input.word(&annotation::ALL);
        let mut all: Vec<(String, String)> =
            view.annotations.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        all.push((key.to_owned(), input.rest()));
        view.annotations = all.into_iter().collect();
    }
    let stated = match annotation::read(&view, DEFAULT_CLUSTER_DOMAIN) {
        Ok(stated) => stated,
        Err(malformed) => {
            check!(malformed.message.contains(malformed.annotation), "{malformed:?} does not name its annotation");
            check!(
                view.annotations.contains_key(malformed.annotation) || malformed.annotation == annotation::TYPE,
                "{malformed:?} is not there"
            );
            return Ok(());
        }
    };
    fits(&stated)?;
    if let Some(port) = stated.port {
        let declares = view.ports.iter().any(|one| one.port == port && one.protocol == Protocol::Tcp);
        check!(declares, "port {port} is not declared by {view:?}");
    }
    check!(!(stated.opted_in && annotation::is_opted_out(&view)), "{view:?} is opted in and out");
    let findings = detectors::recognise(&view);
    for finding in &findings {
        if let Recognised::Endpoint(target) = &finding.outcome {
            check!(checked::path_prefix(&target.path).is_ok(), "{finding:?} has a path that is not allowed");
        }
    }
    let Some(claim) = claim::of_service(&view, &findings, &stated, Pods::Ignored) else { return Ok(()) };
    match claim.outcome {
        ClaimOutcome::Rejected { message, .. } => check!(!message.is_empty(), "a rejection says nothing"),
        ClaimOutcome::Target(target) => {
            check!(stated.scheme.is_none_or(|scheme| scheme == target.scheme), "{target:?} is not {:?}", stated.scheme);
            check!(stated.path.as_ref().is_none_or(|path| *path == target.path), "{target:?} is not {:?}", stated.path);
            check!(stated.port.is_none_or(|port| port == target.port), "{target:?} is not {:?}", stated.port);
            let endpoint =
                Endpoint::of_service(&view.key, target.scheme, target.port, &target.path, DEFAULT_CLUSTER_DOMAIN);
            check!(
                endpoint.is_err() || checked::is_dns_label(&view.key.name),
                "{target:?} of {} gives {endpoint:?}",
                view.key
            );
        }
    }
    Ok(())
}

/// Every text is one that the output may hold.
fn fits(stated: &Annotations) -> Outcome {
    let plain = |path: &Option<String>| path.as_ref().is_none_or(|path| checked::path_prefix(path).is_ok());
    check!(plain(&stated.path) && plain(&stated.health_path), "a path of {stated:?} is not allowed");
    check!(stated.health_path.as_ref().is_none_or(|path| path.starts_with('/')), "{stated:?} is probed elsewhere");
    check!(
        stated.name.as_ref().is_none_or(|name| checked::is_tool_name(name)),
        "the name of {stated:?} is not allowed"
    );
    let custom = stated.stated.as_ref().and_then(|type_| type_.custom.as_ref());
    check!(custom.is_none_or(|custom| checked::is_custom_type(custom)), "the type of {stated:?} is not allowed");
    Ok(())
}

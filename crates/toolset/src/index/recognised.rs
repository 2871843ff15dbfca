//! A Service with everything that follows from it alone. This is computed once, when the Service arrives.

use std::sync::OnceLock;

use detectors::{Finding, ServiceView, Target};

use super::by_namespace::Named;
use crate::{
    endpoint::Endpoint,
    identity::IdentityEvidence,
    pods::{PodEvidence, Pods},
    select::{
        annotation::{self, Annotations, Malformed},
        claim::{self, Claim},
    },
};

/// A Service and what is recognised in it.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// The Service.
    pub view: ServiceView,
    /// `None` for most Services, which no rule recognises and which carry no annotation of ours.
    recognition: Option<Box<Recognition>>,
    /// What it has answered to questions about its identity. `None` if it has answered nothing.
    identity: Option<Box<[IdentityEvidence]>>,
    /// The latest list that holds it.
    pub(super) listed: u32,
}

/// What the rules find and the annotations state.
#[derive(Clone, Debug)]
struct Recognition {
    /// `None` without an annotation of ours.
    annotations: Option<Box<Result<Annotations, Malformed>>>,
    by_service: Reading,
    /// `None` if nothing is known of the Pods. One Service can be in sources of different trust, so both are kept.
    with_pods: Option<Box<(PodEvidence, Reading)>>,
}

/// The result of the rules with or without what Pods say.
#[derive(Clone, Debug)]
struct Reading {
    findings: Box<[Finding]>,
    claim: Option<Claim>,
    /// The endpoint as last built. To build one takes a URL parser, and nearly every plan asks for the same one.
    endpoint: OnceLock<Box<Built>>,
}

/// An endpoint, and from what it was built.
#[derive(Clone, Debug)]
struct Built {
    target: Target,
    cluster_domain: Box<str>,
    endpoint: Result<Endpoint, String>,
}

impl Reading {
    fn of(view: &ServiceView, findings: Vec<Finding>, stated: &Annotations, pods: Pods) -> Self {
        let claim = claim::of_service(view, &findings, stated, pods);
        Self { findings: findings.into_boxed_slice(), claim, endpoint: OnceLock::new() }
    }
}

impl Recognition {
    fn stated(&self) -> &Annotations {
        let read = self.annotations.as_deref().and_then(|read| read.as_ref().ok());
        read.unwrap_or(Annotations::nothing())
    }

    fn reading(&self, pods: Pods) -> &Reading {
        match (&self.with_pods, pods) {
            (Some(with_pods), Pods::Count) => &with_pods.1,
            _ => &self.by_service,
        }
    }
}

impl Recognised {
    /// Runs the built-in rules and reads the annotations.
    pub fn new(view: ServiceView) -> Self {
        let findings = detectors::recognise(&view);
        let annotations = annotation::has_ours(&view).then(|| Box::new(annotation::parse(&view)));
        let recognition = (!findings.is_empty() || annotations.is_some()).then(|| {
            let stated = annotations.as_deref().and_then(|read| read.as_ref().ok());
            let stated = stated.unwrap_or(Annotations::nothing());
            let by_service = Reading::of(&view, findings, stated, Pods::Ignored);
            Box::new(Recognition { annotations, by_service, with_pods: None })
        });
        Self { view, recognition, identity: None, listed: 0 }
    }

    /// Whether a built-in rule recognises this Service, or it carries an annotation of ours.
    pub fn is_interesting(&self) -> bool {
        self.recognition.is_some()
    }

    /// What the built-in rules find, best first; empty for most Services.
    pub fn findings(&self, pods: Pods) -> &[Finding] {
        self.recognition.as_ref().map_or(&[], |recognition| &recognition.reading(pods).findings)
    }

    /// What its Pods say. `None` if that is not known.
    pub fn pods(&self) -> Option<&PodEvidence> {
        self.recognition.as_ref()?.with_pods.as_deref().map(|(evidence, _)| evidence)
    }

    /// Sets what its Pods say. Has no effect on a Service that nothing recognises. Returns whether something changed.
    pub(super) fn set_pods(&mut self, evidence: Option<PodEvidence>) -> bool {
        if self.pods() == evidence.as_ref() {
            return false;
        }
        let Some(recognition) = &mut self.recognition else { return false };
        recognition.with_pods = evidence.map(|evidence| {
            let findings = detectors::pods::recognise_with_pods(&self.view, &evidence.facts);
            let reading = Reading::of(&self.view, findings, recognition.stated(), Pods::Count);
            Box::new((evidence, reading))
        });
        true
    }

    /// What it has answered to questions about its identity.
    pub fn identity(&self) -> &[IdentityEvidence] {
        self.identity.as_deref().unwrap_or_default()
    }

    /// Sets what it has answered. Returns whether something changed.
    pub(super) fn set_identity(&mut self, answers: Vec<IdentityEvidence>) -> bool {
        let changes = self.identity() != answers;
        self.identity = (!answers.is_empty()).then(|| answers.into_boxed_slice());
        changes
    }

    /// Takes over what the Pods say and what they have answered from an earlier state of this Service, if it selects the
    /// same Pods with the same ports.
    pub(super) fn inherit(&mut self, before: &Self) {
        if self.view.selector == before.view.selector && self.view.ports == before.view.ports {
            self.set_pods(before.pods().cloned());
            self.identity.clone_from(&before.identity);
        }
    }

    /// What its annotations state. A Service without an annotation of ours states nothing.
    pub fn annotations(&self, cluster_domain: &str) -> Result<&Annotations, Malformed> {
        match self.recognition.as_ref().and_then(|recognition| recognition.annotations.as_deref()) {
            None => Ok(Annotations::nothing()),
            Some(Err(malformed)) => Err(malformed.clone()),
            Some(Ok(annotations)) => annotations.check_domain(&self.view.key, cluster_domain).map(|()| annotations),
        }
    }

    /// Whether an annotation of ours is malformed, whatever the cluster domain is.
    pub(crate) fn annotations_are_malformed(&self) -> bool {
        let read = self.recognition.as_ref().and_then(|recognition| recognition.annotations.as_deref());
        read.is_some_and(Result::is_err)
    }

    /// The endpoint of this Service at a target. `Err` says why there is none.
    pub(crate) fn endpoint(&self, target: &Target, pods: Pods, cluster_domain: &str) -> Result<Endpoint, String> {
        let of_target =
            || Endpoint::of_service(&self.view.key, target.scheme, target.port, &target.path, cluster_domain);
        let Some(recognition) = &self.recognition else { return of_target() };
        let built = recognition.reading(pods).endpoint.get_or_init(|| {
            Box::new(Built { target: target.clone(), cluster_domain: cluster_domain.into(), endpoint: of_target() })
        });
        if built.target == *target && *built.cluster_domain == *cluster_domain {
            built.endpoint.clone()
        } else {
            of_target()
        }
    }

    /// What the Service is by its own annotations, else by the built-in rules.
    pub fn claim(&self, pods: Pods) -> Option<&Claim> {
        self.recognition.as_ref()?.reading(pods).claim.as_ref()
    }
}

impl Named for Box<Recognised> {
    fn name(&self) -> &str {
        &self.view.key.name
    }
}

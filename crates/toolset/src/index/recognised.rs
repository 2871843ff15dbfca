//! A Service with everything that follows from it alone. This is computed once, when the Service arrives.

use std::sync::OnceLock;

use detectors::{Finding, ServiceView, Target};

use super::by_namespace::Named;
use crate::{
    endpoint::Endpoint,
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
    /// The latest list that holds it.
    pub(super) listed: u32,
}

/// What the rules find and the annotations state.
#[derive(Clone, Debug)]
struct Recognition {
    findings: Box<[Finding]>,
    /// `None` without an annotation of ours.
    annotations: Option<Box<Result<Annotations, Malformed>>>,
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

impl Recognised {
    /// Runs the built-in rules and reads the annotations.
    pub fn new(view: ServiceView) -> Self {
        let findings = detectors::recognise(&view).into_boxed_slice();
        let annotations = annotation::has_ours(&view).then(|| Box::new(annotation::parse(&view)));
        let recognition = (!findings.is_empty() || annotations.is_some()).then(|| {
            let stated = annotations.as_deref().and_then(|read| read.as_ref().ok());
            let claim = claim::of_service(&view, &findings, stated.unwrap_or(Annotations::nothing()));
            Box::new(Recognition { findings, annotations, claim, endpoint: OnceLock::new() })
        });
        Self { view, recognition, listed: 0 }
    }

    /// Whether a built-in rule recognises this Service, or it carries an annotation of ours.
    pub fn is_interesting(&self) -> bool {
        self.recognition.is_some()
    }

    /// What the built-in rules find, best first; empty for most Services.
    pub fn findings(&self) -> &[Finding] {
        self.recognition.as_ref().map_or(&[], |recognition| &recognition.findings)
    }

    /// What its annotations state. A Service without an annotation of ours states nothing.
    pub fn annotations(&self, cluster_domain: &str) -> Result<&Annotations, Malformed> {
        match self.recognition.as_ref().and_then(|recognition| recognition.annotations.as_deref()) {
            None => Ok(Annotations::nothing()),
            Some(Err(malformed)) => Err(malformed.clone()),
            Some(Ok(annotations)) => annotations.check_domain(&self.view.key, cluster_domain).map(|()| annotations),
        }
    }

    /// The endpoint of this Service at a target. `Err` says why there is none.
    pub(crate) fn endpoint(&self, target: &Target, cluster_domain: &str) -> Result<Endpoint, String> {
        let of_target =
            || Endpoint::of_service(&self.view.key, target.scheme, target.port, &target.path, cluster_domain);
        let Some(recognition) = &self.recognition else { return of_target() };
        let built = recognition.endpoint.get_or_init(|| {
            Box::new(Built { target: target.clone(), cluster_domain: cluster_domain.into(), endpoint: of_target() })
        });
        if built.target == *target && *built.cluster_domain == *cluster_domain {
            built.endpoint.clone()
        } else {
            of_target()
        }
    }

    /// What the Service is by its own annotations, else by the built-in rules.
    pub fn claim(&self) -> Option<&Claim> {
        self.recognition.as_ref()?.claim.as_ref()
    }
}

impl Named for Box<Recognised> {
    fn name(&self) -> &str {
        &self.view.key.name
    }
}

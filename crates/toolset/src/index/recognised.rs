//! A Service together with everything that follows from it alone, computed once when it arrives.

use detectors::{Finding, ServiceView};

use super::by_namespace::Named;
use crate::select::{
    annotation::{self, Annotations, Malformed},
    claim::{self, Claim},
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

/// What the rules and the annotations say of a Service.
#[derive(Clone, Debug)]
struct Recognition {
    findings: Box<[Finding]>,
    /// `None` without an annotation of ours.
    annotations: Option<Box<Result<Annotations, Malformed>>>,
    claim: Option<Claim>,
}

impl Recognised {
    /// Runs the built-in rules and reads the annotations.
    pub fn new(view: ServiceView) -> Self {
        let findings = detectors::recognise(&view).into_boxed_slice();
        let annotations = annotation::has_ours(&view).then(|| Box::new(annotation::parse(&view)));
        let recognition = (!findings.is_empty() || annotations.is_some()).then(|| {
            let stated = annotations.as_deref().and_then(|read| read.as_ref().ok());
            let claim = claim::of_service(&view, &findings, stated.unwrap_or(Annotations::nothing()));
            Box::new(Recognition { findings, annotations, claim })
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

    /// What its annotations say; nothing is stated for a Service without one of ours.
    pub fn annotations(&self, cluster_domain: &str) -> Result<&Annotations, Malformed> {
        match self.recognition.as_ref().and_then(|recognition| recognition.annotations.as_deref()) {
            None => Ok(Annotations::nothing()),
            Some(Err(malformed)) => Err(malformed.clone()),
            Some(Ok(annotations)) => annotations.check_domain(&self.view.key, cluster_domain).map(|()| annotations),
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

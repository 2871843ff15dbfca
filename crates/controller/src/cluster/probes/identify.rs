//! Sends identity probes to a Service.

use std::{collections::BTreeSet, net::SocketAddr};

use detectors::{
    ServiceView,
    probe::{Class, Identification, Identity, Verdict},
};
use toolset::identity::{IdentityEvidence, IdentityQuestion, IdentityVerdict};

use super::{
    attempt::{Asker, LIMITS, NotPinned, with_answer},
    permits::Permit,
    questions::Reply,
};
use crate::dial::resolve::Backend;

/// A Service that gets an identity probe.
#[derive(Clone, Copy)]
pub(super) struct Questioned<'a> {
    pub(super) question: &'a IdentityQuestion,
    /// The number of the question.
    pub(super) number: u64,
    pub(super) view: &'a ServiceView,
    /// The number of the last change of its EndpointSlices.
    pub(super) slices: u64,
}

/// The most addresses that are tried if no Pod responds.
const MOST_ADDRESSES: usize = 3;

impl Asker {
    /// Probes the identity of the Service: one Pod, unless a Pod of the same template has responded before.
    pub(super) async fn identity(
        &self,
        asked: &Questioned<'_>,
        answered: BTreeSet<String>,
        mut permit: Permit,
    ) -> Reply {
        let Questioned { question, number, view, slices } = *asked;
        let pinned = match self.pin(view, question.target.port, None, slices).await {
            Err(NotPinned::NotAllowed(why)) => {
                return Reply::NotAllowed(IdentityEvidence::not_asked(question, &why));
            }
            Err(NotPinned::Forbidden(why)) => return Reply::Forbidden(IdentityEvidence::not_asked(question, &why)),
            Err(NotPinned::NoPort) => return Reply::NoPort,
            Err(NotPinned::Failed(_)) => return Reply::NotSent,
            Ok(pinned) => pinned,
        };
        let each = |backend: &Backend| {
            let template = backend.template.clone();
            backend.addresses.iter().map(move |address| (template.clone(), *address)).collect::<Vec<_>>()
        };
        let addresses: Vec<(String, SocketAddr)> = pinned.backends.iter().flat_map(each).take(MOST_ADDRESSES).collect();
        let (mut is_first, mut silent) = (true, Reply::Nobody);
        for (template, address) in addresses {
            if answered.contains(&template) {
                // If Pods of another template were tried before and did not respond, they are probed again.
                return if matches!(silent, Reply::Silent(_)) { silent } else { Reply::Same { template } };
            }
            let (target, host) = (&question.target, self.host_of(view));
            let of = Identification::of(question.product, target, question.assumed, &host, address.port());
            let Some(mut identification) = of else { return Reply::Nobody };
            while let Some(request) = identification.request() {
                if is_first {
                    is_first = false;
                } else {
                    permit = self.permits.after(permit).await;
                }
                let is_wanted = || self.cluster.probes.questions().runs(question, number);
                if !self.has_address(view, slices) || !is_wanted() {
                    return Reply::Outdated;
                }
                let Ok(answer) = self.get(address, &host, (request.scheme, &request.path), &LIMITS).await else {
                    return Reply::NotSent;
                };
                with_answer(&answer, |answer| identification.answered(answer));
            }
            let identity = identification.identity();
            let is_silent = is_silent(&identity);
            let evidence = evidence(question, identity);
            if !is_silent {
                return Reply::Answered { template, evidence };
            }
            silent = Reply::Silent(IdentityEvidence { verdict: IdentityVerdict::Silent, ..evidence });
        }
        silent
    }
}

/// Whether the result is only a failure, so that the probe is repeated.
fn is_silent(identity: &Identity) -> bool {
    let is_no_answer = match identity.class {
        // A gateway is often ready before the program behind it, and a busy program can be too slow.
        Class::Answered(429 | 500..=599) | Class::Timeout => true,
        Class::Refused | Class::Unreachable | Class::Reset => identity.scheme.is_none(),
        Class::Answered(_) | Class::Unreadable | Class::NoTls => false,
    };
    identity.verdict == Verdict::Unknown && is_no_answer
}

fn evidence(question: &IdentityQuestion, identity: Identity) -> IdentityEvidence {
    let Identity { verdict, scheme, path, asked, class } = identity;
    let (verdict, outcome) = match verdict {
        Verdict::Confirmed => (IdentityVerdict::Confirmed, "confirmed".to_owned()),
        Verdict::Denied { is } => (IdentityVerdict::Denied { is }, format!("the response of {is}")),
        Verdict::Unknown => (IdentityVerdict::Unknown, class.to_string()),
    };
    IdentityEvidence {
        product: question.product,
        port: question.target.port,
        stated: question.stated(),
        verdict,
        scheme,
        path,
        said: format!("{}: {outcome}", asked.join(", ")),
    }
}

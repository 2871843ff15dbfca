//! A Service that was denied before, for example by another replica.

use super::*;

/// The Service was denied before.
fn denial() -> Remembered {
    let message = "its response was that of Pushgateway".to_owned();
    Remembered::Denied(Denial { product: Product::Prometheus, message })
}

#[test]
fn a_look_alike_that_was_denied_stays_denied_until_it_responds() {
    let silent = |scheme| answered(IdentityVerdict::Silent, scheme, None);
    for answer in [None, Some(silent(None)), Some(silent(Some(Scheme::Https)))] {
        for view in [weak(), certain()] {
            let plan = with_memory(&probing(), &world([view], answer.clone()), &denial());
            let [rejected] = plan.rejected.as_slice() else { panic!("{answer:?}: {:?}", plan.tools) };
            assert_eq!(rejected.reason, ServiceReason::NotTheProduct);
            assert_eq!(rejected.message, "its response was that of Pushgateway", "the status stays as it was");
        }
    }
    let with = |answer| shown(&with_memory(&probing(), &world([certain()], Some(answer)), &denial()));
    assert_eq!(with(confirmed("/new")), "Prometheus High https://:80/new");
    assert_eq!(with(unknown(None)), "Prometheus High http://:80", "the program that was denied may be replaced");
    assert_eq!(with(denied()), "NotTheProduct");
}

#[test]
fn a_denied_service_that_must_no_longer_be_probed_says_so_once() {
    let said = "not sent, because its Pod uses the host network".to_owned();
    let not_probed = IdentityEvidence { said, ..answered(IdentityVerdict::NotProbed, None, None) };
    let denied_with =
        |message: &str| Remembered::Denied(Denial { product: Product::Prometheus, message: message.into() });
    let message = |before: &str, answer: Option<IdentityEvidence>| {
        let plan = with_memory(&probing(), &world([weak()], answer), &denied_with(before));
        plan.rejected[0].message.clone()
    };
    let both = "it is another one. The last identity probe was not sent, because its Pod uses the host network.";
    assert_eq!(message("it is another one.", Some(not_probed.clone())), both);
    assert_eq!(message(both, Some(not_probed)), both);
    assert_eq!(message(both, None), "it is another one.");
}

#[test]
fn an_earlier_denial_counts_only_for_what_the_rules_find_and_only_with_identity_probes() {
    let with = |config: &ToolsetConfig, view| shown(&with_memory(config, &world([view], None), &denial()));
    assert_eq!(with(&trusting_monitoring(), certain()), "Prometheus High http://:80");
    assert_eq!(with(&probing(), grafana("monitoring", NAME)), "Grafana High http://:80", "it is another Service now");
    let stated = [("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "prometheus")];
    assert_eq!(with(&probing(), annotated(weak(), &stated)), "Prometheus High http://:9090");
    let known = [("kubernaut.io/toolset-scheme", "https")];
    assert_eq!(with(&probing(), annotated(certain(), &known)), "Prometheus High https://:80", "it is not asked");
}

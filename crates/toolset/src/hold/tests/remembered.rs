//! What is read back from the status.

use super::*;
use crate::select::remembered::{Denial, Remembered};

#[test]
fn what_an_identity_probe_denied_is_read_back_from_the_status_unless_it_is_in_the_output() {
    let (data, _, mut config) = written(spec(json!({})));
    let rejected = |service: &str, type_: &str, reason: &str| json!({"namespace": "monitoring", "service": service, "type": type_, "reason": reason, "message": "it is not"});
    let all = json!([
        rejected("denied", "Prometheus", "NotTheProduct"),
        rejected("weak", "Prometheus", "NotEnoughEvidence"),
        rejected("newer", "of a newer version", "NotTheProduct"),
        rejected("prometheus", "Prometheus", "NotTheProduct"),
    ]);
    config.status.as_mut().unwrap().rejected = serde_json::from_value(all).unwrap();

    let read_back = super::super::remembered(&config, DEFAULT_CLUSTER_DOMAIN, &data, None);

    let denial = Denial { product: detectors::Product::Prometheus, message: "it is not".to_owned() };
    let expected = (ServiceKey::new("monitoring", "denied"), Remembered::Denied(denial));
    assert_eq!(read_back.into_iter().collect::<Vec<_>>(), [expected]);
    let shown: Vec<_> = super::super::identified(&config).into_keys().map(|key| key.name.to_string()).collect();
    assert_eq!(shown, ["denied", "prometheus"], "a command that sends no probes shows what the status says");
}

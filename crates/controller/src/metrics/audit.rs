//! The metrics about audit records. They exist only if the operator sends any.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use audit_client::{Client, Dropped};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::plans::number;

/// The prefix of the names, which are the same in every program that sends records of toolsets.
const PREFIX: &str = "toolset_audit";

/// What becomes of the records.
#[derive(Clone, Debug, Default)]
pub(super) struct Records(Arc<OnceLock<Client>>);

impl Records {
    pub(super) fn of(&self, client: &Client) {
        // There is one client in a process.
        drop(self.0.set(client.clone()));
    }
}

impl Collector for Records {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(client) = self.0.get() else { return Ok(()) };
        let help = "Audit records that were dropped, by reason";
        let name = format!("{PREFIX}_dropped");
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        for why in Dropped::ALL {
            let labels = [("reason", why.as_str())];
            ConstCounter::new(client.counts().dropped(why)).encode(metric.encode_family(&labels)?)?;
        }
        let help = "Audit records that Data Storage stored";
        let name = format!("{PREFIX}_sent");
        let metric = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        ConstCounter::new(client.counts().sent()).encode(metric)?;
        let help = "Audit records that wait to be sent";
        let name = format!("{PREFIX}_queued");
        let metric = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        ConstGauge::new(number(client.queued())).encode(metric)
    }
}

//! Programs that are no product of ours, and that a sure mark on their root page tells.
//!
//! Gateways and pages for a login are not in this list, because a product can be behind them. A title is sure if the
//! program has no setting for it and it names the program in full.

use super::mark::Mark::{self, Heading, Title};

/// A program with another API.
pub(crate) struct Other {
    /// Its name, for people.
    pub name: &'static str,
    /// The marks of its root page.
    pub when: &'static [Mark],
}

const fn program(name: &'static str, when: &'static [Mark]) -> Other {
    Other { name, when }
}

pub(crate) const OTHERS: &[Other] = &[
    // prometheus/pushgateway `resources/template.html`.
    program("Pushgateway", &[Title("Prometheus Pushgateway")]),
    // The `Name` of their `web.LandingConfig` (prometheus/exporter-toolkit `web/landing_page.html`).
    program("node exporter", &[Title("Node Exporter")]),
    program("blackbox exporter", &[Title("Blackbox Exporter")]),
    // VictoriaMetrics/VictoriaMetrics and VictoriaMetrics/VictoriaLogs, `app/<name>/main.go`.
    program("vmagent", &[Heading("vmagent")]),
    program("vlagent", &[Heading("vlagent")]),
    // The same, `app/vmalert/tpl/header.qtpl`.
    program("vmalert", &[Title("vmalert - vmalert")]),
    // minio/console `web-app/public/index.html`.
    program("MinIO Console", &[Title("MinIO Console")]),
    // provectus/kafka-ui `kafka-ui-react-app/index.html`.
    program("UI for Apache Kafka", &[Title("UI for Apache Kafka")]),
];

//! Programs that are not products, and that have a reliable mark on their root page.
//!
//! Gateways and login pages are not in this list, because a product can be behind them. A title is reliable if it
//! contains the full name of the program, and if no setting of the program can change it.

use super::mark::Mark::{self, Heading, Title};

/// A program with another API.
pub(crate) struct Other {
    /// The name of the program, for people.
    pub name: &'static str,
    /// The marks of the root page of the program.
    pub when: &'static [Mark],
}

const fn program(name: &'static str, when: &'static [Mark]) -> Other {
    Other { name, when }
}

pub(crate) const OTHERS: &[Other] = &[
    // prometheus/pushgateway `resources/template.html`.
    program("Pushgateway", &[Title("Prometheus Pushgateway")]),
    // `Name` in the `web.LandingConfig` of the exporters (prometheus/exporter-toolkit `web/landing_page.html`).
    program("node exporter", &[Title("Node Exporter")]),
    program("blackbox exporter", &[Title("Blackbox Exporter")]),
    // VictoriaMetrics/VictoriaMetrics and VictoriaMetrics/VictoriaLogs, `app/<name>/main.go`.
    program("vmagent", &[Heading("vmagent")]),
    program("vlagent", &[Heading("vlagent")]),
    // VictoriaMetrics/VictoriaMetrics `app/vmalert/tpl/header.qtpl`.
    program("vmalert", &[Title("vmalert - vmalert")]),
    // minio/console `web-app/public/index.html`.
    program("MinIO Console", &[Title("MinIO Console")]),
    // provectus/kafka-ui `kafka-ui-react-app/index.html`.
    program("UI for Apache Kafka", &[Title("UI for Apache Kafka")]),
];

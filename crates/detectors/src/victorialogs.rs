//! VictoriaLogs: one node, or vlselect of a cluster. It answers at the root (`/select/logsql/query`).
//!
//! | made by | labels | port |
//! |---|---|---|
//! | victoria-logs-single | `name: victoria-logs-single` (`vl-single`), `component: server`, headless, the only Service | `http` 9428 |
//! | victoria-logs-cluster, victoria-logs-multilevel | `component: vlselect` | `http` 9471 |
//! | VictoriaMetrics operator | `name: vlsingle` (before `vlogs`), `vlselect` | `http` 9428, 9471 |
//! | by hand | `app: victorialogs`, `victoria-logs`, `vlogs` | 9428 |
//!
//! It asks nobody for a password by default (`-httpAuth.username`).
//!
//! vlinsert, vlstorage, vlagent and a vmauth in front of them are not endpoints.

use crate::{
    engine::rule::{EndpointRole, Login, Ports, Rule, name, shared_name},
    finding::Auth,
    pods::program::{If, Listen, Program, answers, case, flag, silent, usually},
    probe::{
        facts::{Facts, HealthPath::Below, Question, confirmed, itself},
        mark::Mark::{Heading, Title},
    },
    product::Product,
    victoriametrics::POD,
};

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("victoria-logs-single"),
        name("victoria-logs"),
        name("victorialogs"),
        name("vl-single"),
        name("vlsingle"),
        name("vlselect"),
        name("vlogs"),
        shared_name("victoria-logs-cluster"),
        shared_name("victoria-logs-multilevel"),
        shared_name("vl-cluster"),
    ],
    name_words: &[
        &["victoria", "logs"],
        &["victorialogs"],
        &["vlogs"],
        &["vlsingle"],
        &["vl", "single"],
        &["vlselect"],
    ],
    charts: &[
        name("victoria-logs-single"),
        shared_name("victoria-logs-cluster"),
        shared_name("victoria-logs-multilevel"),
    ],
    other_components: &["agent", "auth", "insert", "storage", "vector", "vlagent", "vlinsert", "vlstorage", "vmauth"],
    // Older charts write the role under `app`.
    role_keys: &["app"],
    endpoints: &[
        EndpointRole {
            roles: &["server", "vlsingle", "vlogs", "single", "single-server"],
            role_optional: true,
            ..EndpointRole::on(Ports { numbers: &[9428], usual_names: &["http", "https"], ..Ports::NONE })
        },
        EndpointRole {
            roles: &["vlselect", "select"],
            role_optional: true,
            ..EndpointRole::on(Ports { numbers: &[9471], usual_names: &["http", "https"], ..Ports::NONE })
        },
    ],
    specific_ports: &[9428, 9471],
    specific_names: &["victoria-logs", "victorialogs"],
    path_setting: Some("-http.pathPrefix"),
    login: Login::Usual(Auth::None),
    serves_metrics: true,
    ..Rule::of(Product::VictoriaLogs)
};

/// Sources: `victoria-logs -help` and the documentation of its cluster: one image has all roles. `-storageNode` makes it a
/// front, which can refuse to write or to select; `-storageDataPath` is a single node, or storage on the port of storage.
/// The cluster charts name the containers after the roles.
pub(crate) const PODS: &[Program] = &[Program {
    product: Product::VictoriaLogs,
    images: &["victoria-logs"],
    containers: &["vlsingle", "vlselect", "victoria-logs", "victorialogs"],
    marks: &[
        If::Given(flag("retention.maxDiskSpaceUsageBytes")),
        If::Given(flag("syslog.listenAddr.tcp")),
        If::Given(flag("logNewStreams")),
        If::Given(flag("logIngestedRows")),
        If::On(flag("insert.disable")),
        If::On(flag("internalinsert.disable")),
        If::On(flag("select.disable")),
        If::On(flag("internalselect.disable")),
    ],
    shared_marks: &[
        If::Given(flag("storageDataPath")),
        If::Given(flag("storageNode")),
        If::Given(flag("retentionPeriod")),
    ],
    listen: Listen { settings: &[flag("httpListenAddr")], default: &[9428, 9471], never: &[514, 4317], ..Listen::NONE },
    roles: &[
        case(&[If::On(flag("select.disable"))], silent("vlinsert")),
        case(&[If::Given(flag("storageNode")), If::On(flag("internalselect.disable"))], silent("vlinsert")),
        case(&[If::Container("vlinsert")], silent("vlinsert")),
        case(&[If::Container("vlstorage")], silent("vlstorage")),
        case(&[If::Container("vlselect")], answers("vlselect")),
        case(&[If::ListensOn(flag("httpListenAddr"), 9481)], silent("vlinsert")),
        case(&[If::ListensOn(flag("httpListenAddr"), 9491)], silent("vlstorage")),
        case(&[If::Given(flag("storageNode"))], answers("vlselect")),
        case(&[], usually("single")),
    ],
    ..POD
}];

/// Source: VictoriaMetrics/VictoriaLogs `app/victoria-logs/main.go`, `app/vlselect/main.go`. The root page is the same in
/// all roles, and only a role that answers queries has the web pages. `/health` is as in
/// [`VictoriaMetrics`](crate::victoriametrics).
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/health")],
    questions: &[Question { path: "/select/vmui/", proofs: &[confirmed(&[Title("UI for VictoriaLogs")])] }],
    page: &[itself(&[Heading("VictoriaLogs")]), confirmed(&[Heading("Single-node VictoriaLogs")])],
    ..Facts::of(Product::VictoriaLogs)
};

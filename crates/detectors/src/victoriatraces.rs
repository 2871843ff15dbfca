//! VictoriaTraces: one node, or vtselect of a cluster. The path prefix of its Jaeger API is `/select/jaeger`; its
//! health endpoint has none.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | victoria-traces-single | `name: vt-single` (`victoria-traces-single`), `component: server`, headless, the only Service | `http` 10428 |
//! | victoria-traces-cluster | `name: vt-cluster`, `component: vtselect` | `http` 10471 |
//! | VictoriaMetrics operator | `name: vtsingle`, `vtselect` | `http` 10428, 10471 |
//! | by hand | `app: victoriatraces`, `victoria-traces` | 10428 |
//!
//! It asks nobody for a password by default (`-httpAuth.username`).

use crate::{
    engine::rule::{EndpointRole, Login, Ports, Rule, name, shared_name},
    finding::Auth,
    jaeger::SERVICES,
    pods::program::{If, Listen, Program, answers, case, flag, silent, usually},
    probe::{
        facts::{
            Facts, Family,
            HealthPath::{Below, Beside},
            itself,
        },
        mark::Mark::Heading,
    },
    product::Product,
    victoriametrics::POD,
};

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("vt-single"),
        name("victoria-traces-single"),
        name("victoria-traces"),
        name("victoriatraces"),
        name("vtsingle"),
        name("vtselect"),
        name("vtraces"),
        shared_name("vt-cluster"),
        shared_name("victoria-traces-cluster"),
    ],
    name_words: &[
        &["victoria", "traces"],
        &["victoriatraces"],
        &["vtraces"],
        &["vtsingle"],
        &["vt", "single"],
        &["vtselect"],
    ],
    charts: &[name("victoria-traces-single"), shared_name("victoria-traces-cluster")],
    other_components: &["agent", "auth", "insert", "storage", "vmauth", "vtinsert", "vtstorage"],
    // Older charts write the role under `app`.
    role_keys: &["app"],
    endpoints: &[
        EndpointRole {
            roles: &["server", "vtsingle", "single", "single-server"],
            role_optional: true,
            ..EndpointRole::on(Ports { numbers: &[10428], usual_names: &["http", "https"], ..Ports::NONE })
        },
        EndpointRole {
            roles: &["vtselect", "select"],
            role_optional: true,
            ..EndpointRole::on(Ports { numbers: &[10471], usual_names: &["http", "https"], ..Ports::NONE })
        },
    ],
    specific_ports: &[10428, 10471],
    specific_names: &["victoria-traces", "victoriatraces"],
    path_setting: Some("-http.pathPrefix"),
    login: Login::Usual(Auth::None),
    serves_metrics: true,
    ..Rule::of(Product::VictoriaTraces)
};

/// Sources: `victoria-traces -help` and the documentation of its cluster: one image has all roles. `-storageNode` makes it a
/// front, which can refuse to write or to select; `-storageDataPath` is a single node, or storage on the port of storage.
/// The cluster charts name the containers after the roles.
pub(crate) const PODS: &[Program] = &[Program {
    product: Product::VictoriaTraces,
    images: &["victoria-traces"],
    containers: &["vtsingle", "vtselect", "victoria-traces", "victoriatraces"],
    marks: &[
        If::Given(flag("search.traceMaxDurationWindow")),
        If::Given(flag("search.traceMaxServiceNameList")),
        If::Given(flag("otlpGRPCListenAddr")),
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
    listen: Listen {
        settings: &[flag("httpListenAddr")],
        default: &[10428, 10471],
        never: &[514, 4317],
        ..Listen::NONE
    },
    roles: &[
        case(&[If::On(flag("select.disable"))], silent("vtinsert")),
        case(&[If::Given(flag("storageNode")), If::On(flag("internalselect.disable"))], silent("vtinsert")),
        case(&[If::Container("vtinsert")], silent("vtinsert")),
        case(&[If::Container("vtstorage")], silent("vtstorage")),
        case(&[If::Container("vtselect")], answers("vtselect")),
        case(&[If::ListensOn(flag("httpListenAddr"), 10481)], silent("vtinsert")),
        case(&[If::ListensOn(flag("httpListenAddr"), 10491)], silent("vtstorage")),
        case(&[If::Given(flag("storageNode"))], answers("vtselect")),
        case(&[], usually("single")),
    ],
    ..POD
}];

/// Source: VictoriaMetrics/VictoriaTraces `app/victoria-traces/main.go`. The path of an endpoint is that of its Jaeger API.
/// `/health` is as in [`VictoriaMetrics`](crate::victoriametrics).
pub(crate) const PROBE: Facts = Facts {
    health: &[Beside("/health"), Below("/api/services")],
    api: &["/select/jaeger"],
    questions: &[SERVICES],
    prefixes: &["/select/jaeger"],
    page: &[itself(&[Heading("Single-node VictoriaTraces")])],
    family: Some(Family::Jaeger),
    ..Facts::of(Product::VictoriaTraces)
};

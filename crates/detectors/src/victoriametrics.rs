//! VictoriaMetrics: one node, or vmselect of a cluster.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | victoria-metrics-single | `name: victoria-metrics-single`, `component: server`, headless, the only Service | `http` 8428 |
//! | victoria-metrics-cluster | `name: victoria-metrics-cluster`, `component: vmselect` | `http` 8481, under `/select/0/prometheus` |
//! | bitnami/victoriametrics | `name: victoriametrics`, `component: vmselect` | `http` 8481, the same path |
//! | VictoriaMetrics operator | `name: vmsingle` | `http` 8429 by default, 8428 in victoria-metrics-k8s-stack |
//! | the same | `name: vmselect`, headless, the only Service | `http` 8481, the same path |
//! | by hand | `app: victoriametrics`, `victoria-metrics` | 8428 |
//!
//! It asks nobody for a password by default (`-httpAuth.username`).
//!
//! A cluster without tenants uses account 0. vminsert, vmstorage (which has a port named `vmselect`), vmagent (which
//! uses 8429 too), vmalert and vmauth are not endpoints.

use crate::{
    engine::rule::{EndpointRole, Login, Ports, Rule, name, shared_name},
    finding::Auth,
    pods::program::{If, Listen, Path, ProbePath, Program, Says, answers, case, flag, usually},
    probe::{
        facts::{
            Facts, Family,
            HealthPath::{Below, Beside},
            itself,
        },
        mark::Mark::Heading,
    },
    product::{Product, Scheme},
    prometheus::{BUILD_INFO, QUERY},
};

const SINGLE: Ports = Ports { numbers: &[8428], usual_names: &["http", "https", "web"], ..Ports::NONE };

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("victoria-metrics-single"),
        name("victoria-metrics"),
        name("victoriametrics"),
        name("victoria-metrics-single-server"),
        name("vmsingle"),
        name("vmselect"),
        name("vm-single"),
        shared_name("victoria-metrics-cluster"),
        shared_name("vm-cluster"),
    ],
    name_words: &[&["victoria", "metrics"], &["victoriametrics"], &["vmsingle"], &["vmselect"]],
    charts: &[name("victoria-metrics-single"), shared_name("victoria-metrics-cluster"), shared_name("victoriametrics")],
    other_components: &[
        "agent",
        "alert",
        "anomaly",
        "auth",
        "gateway",
        "insert",
        "storage",
        "vmagent",
        "vmalert",
        "vmauth",
        "vmbackup",
        "vminsert",
        "vmstorage",
        "vmanomaly",
    ],
    // Older charts write the role under `app`.
    role_keys: &["app"],
    endpoints: &[
        EndpointRole { roles: &["server", "single", "single-server"], role_optional: true, ..EndpointRole::on(SINGLE) },
        EndpointRole { roles: &["vmsingle"], ..EndpointRole::on(Ports { numbers: &[8428, 8429], ..SINGLE }) },
        EndpointRole {
            roles: &["vmselect", "select", "cluster-vmselect"],
            role_optional: true,
            path: "/select/0/prometheus",
            ..EndpointRole::on(Ports { numbers: &[8481], usual_names: &["http", "https"], ..Ports::NONE })
        },
    ],
    specific_ports: &[8428, 8481],
    // vmstorage has a port named `vmselect`.
    specific_names: &["victoria-metrics", "victoriametrics"],
    path_setting: Some("-http.pathPrefix"),
    login: Login::Usual(Auth::None),
    serves_metrics: true,
    ..Rule::of(Product::VictoriaMetrics)
};

/// The settings that VictoriaMetrics, VictoriaLogs and VictoriaTraces share.
pub(crate) const POD: Program = Program {
    scheme: &[case(&[If::On(flag("tls"))], Says::Stated(Scheme::Https)), case(&[], Says::Default(Scheme::Http))],
    prefix: &[
        case(&[If::Given(flag("http.pathPrefix"))], Says::Stated(Path::Of(flag("http.pathPrefix")))),
        case(&[], Says::Default(Path::Fixed(""))),
    ],
    auth: &[
        case(&[If::Given(flag("httpAuth.username"))], Says::Stated(Auth::Basic)),
        case(&[If::Given(flag("httpAuth.password"))], Says::Stated(Auth::Basic)),
        case(&[If::Given(flag("httpAuth.passwordFile"))], Says::Stated(Auth::Basic)),
        case(&[], Says::Default(Auth::None)),
    ],
    probe_path: ProbePath::Before(&["/health", "/-/healthy", "/-/ready"]),
    ..Program::of(Product::VictoriaMetrics)
};

/// Sources: `victoria-metrics -help`, `vmselect -help`; the operator's `internal/controller/operator/factory`; bitnami's
/// image of vmselect. A single node can take data or scrape too, which changes nothing.
pub(crate) const PODS: &[Program] = &[
    Program {
        images: &["victoria-metrics", "victoriametrics", "victoriametrics-single"],
        containers: &["vmsingle", "victoria-metrics", "victoriametrics", "victoria-metrics-single-server"],
        marks: &[
            If::Given(flag("dedup.minScrapeInterval")),
            If::Given(flag("search.latencyOffset")),
            If::Given(flag("search.maxUniqueTimeseries")),
            If::Given(flag("search.maxStalenessInterval")),
            If::Given(flag("selfScrapeInterval")),
            If::Given(flag("opentsdbListenAddr")),
            If::Given(flag("graphiteListenAddr")),
            If::Given(flag("influxListenAddr")),
        ],
        shared_marks: &[
            If::Given(flag("storageDataPath")),
            If::Given(flag("retentionPeriod")),
            If::Given(flag("promscrape.config")),
        ],
        listen: Listen {
            settings: &[flag("httpListenAddr")],
            default: &[8428],
            never: &[4242, 2003, 8089],
            ..Listen::NONE
        },
        roles: &[case(&[], usually("single"))],
        ..POD
    },
    Program {
        images: &["vmselect", "victoriametrics-vmselect"],
        containers: &["vmselect"],
        marks: &[
            If::Given(flag("search.latencyOffset")),
            If::Given(flag("search.maxUniqueTimeseries")),
            If::Given(flag("cacheDataPath")),
            If::Given(flag("selectNode")),
            If::Given(flag("vmalert.proxyURL")),
        ],
        shared_marks: &[If::Given(flag("storageNode"))],
        listen: Listen { settings: &[flag("httpListenAddr")], default: &[8481], never: &[], ..Listen::NONE },
        roles: &[case(&[], answers("vmselect"))],
        api: &[case(&[], Says::Default(Path::Fixed("/select/0/prometheus")))],
        ..POD
    },
];

/// Source: VictoriaMetrics `lib/httpserver/httpserver.go` (`/health` is below `-http.pathPrefix` only, and needs no login),
/// `app/victoria-metrics/main.go`. A single node answers queries below `/prometheus`, too.
pub(crate) const PROBE: Facts = Facts {
    health: &[Beside("/health"), Below("/api/v1/query?query=1")],
    api: &["/select/*/prometheus", "/prometheus"],
    questions: &[QUERY, BUILD_INFO],
    prefixes: &["/select/0/prometheus"],
    pages: &["/vmui", "/graph"],
    page: &[itself(&[Heading("Single-node VictoriaMetrics")])],
    family: Some(Family::PromQl),
    ..Facts::of(Product::VictoriaMetrics)
};

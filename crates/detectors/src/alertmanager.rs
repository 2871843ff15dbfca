//! Alertmanager.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | prometheus-community/alertmanager, also as part of prometheus 16 and newer | `name: alertmanager`; its headless twin has the same labels | `http` 9093 |
//! | kube-prometheus-stack, Rancher Monitoring | `app: <stack>-alertmanager` beside `part-of: <stack>` or `chart` | `http-web` 9093 (`web` before), `reloader-web` 8080 |
//! | kube-prometheus manifests, `OpenShift` | `name: alertmanager`, `component: alert-router` | `web` 9093; `OpenShift` 9094 or 9095 with TLS |
//! | prometheus chart up to 15 | `app: prometheus`, `component: alertmanager` | `http` 80 |
//! | bitnami/prometheus, bitnami/kube-prometheus, victoria-metrics-alert | the stack's `name`, `component: alertmanager` (`app: alertmanager` in old victoria-metrics-alert) | `http` 80, `http` 9093, `web` 9093 |
//! | VictoriaMetrics operator | `name: vmalertmanager`, headless, the only Service | `http` 9093, gossip `tcp-mesh` 9094 |
//! | prometheus-operator | `operated-alertmanager: "true"`: governs every Alertmanager of the namespace; in kube-prometheus-stack 16 the selectors do not overlap | `web` 9093 |
//! | Rancher's monitoring 1 | `app: alertmanager`, `chart: alertmanager-<version>` | `http` 80 to `web` |
//!
//! Alertmanager asks nobody for a password by default. 9094 is for its peers, except on `OpenShift`, which names it `web`.
//!
//! The Alertmanager in Mimir (8080, `/alertmanager`, tenant header) is a component of Mimir.

use crate::{
    engine::rule::{EndpointRole, FALLBACK_TIER, Login, Mark, Ports, Rule, Shape, Then, name},
    finding::Auth,
    pods::program::{If, Listen, Path, ProbePath, Program, Says, Setting, case, flag, usually},
    probe::{
        facts::{Facts, HealthPath::Below, Question, confirmed, itself},
        mark::Mark::{Has, Text, Title},
    },
    product::{
        Confidence::{High, Medium},
        Product, Scheme,
    },
};

const PORTS: Ports = Ports {
    own_names: &[],
    numbers: &[9093],
    usual_names: &["http-web", "web", "http", "https", "https-web", "webui", "alertmanager"],
    // prometheus-operator's `portName`, and that of kube-prometheus-stack.
    targets: &["web", "http-web", "https-web"],
    never: &[],
};

const ENDPOINT: EndpointRole = EndpointRole::on(PORTS);

/// An Alertmanager in a stack whose components share a name.
const fn in_stack(made_by: &'static str, when: &'static [Mark]) -> Shape {
    Shape { made_by, when, then: Then::Endpoint(ENDPOINT), confidence: High, bundled: false }
}

pub(crate) const RULE: Rule = Rule {
    names: &[name("alertmanager"), name("vmalertmanager")],
    name_words: &[&["alertmanager"], &["vmalertmanager"], &["alert", "manager"]],
    charts: &[name("alertmanager")],
    // `operated` is prometheus-operator's governing Service. The others forward alerts to a chat or to other systems.
    other_components: &[
        "cluster",
        "operated",
        "actions",
        "adapter",
        "dispatcher",
        "executor",
        "logger",
        "notifier",
        "receiver",
        "silences",
    ],
    shapes: &[
        Shape {
            made_by: "prometheus-operator's governing Service",
            when: &[Mark::Label("operated-alertmanager", "true")],
            then: Then::Endpoint(EndpointRole { tier: FALLBACK_TIER, ..ENDPOINT }),
            confidence: High,
            bundled: false,
        },
        in_stack("kube-prometheus-stack", &[Mark::StackPart("-alertmanager")]),
        in_stack(
            "bitnami/kube-prometheus",
            &[
                Mark::Label("app.kubernetes.io/name", "kube-prometheus"),
                Mark::Label("app.kubernetes.io/component", "alertmanager"),
            ],
        ),
        in_stack(
            "bitnami/prometheus",
            &[
                Mark::Label("app.kubernetes.io/name", "prometheus"),
                Mark::Label("app.kubernetes.io/component", "alertmanager"),
            ],
        ),
        in_stack(
            "victoria-metrics-alert",
            &[
                Mark::Label("app.kubernetes.io/name", "victoria-metrics-alert"),
                Mark::Label("app.kubernetes.io/component", "alertmanager"),
            ],
        ),
        in_stack(
            "victoria-metrics-alert up to 0.20",
            &[Mark::Label("app.kubernetes.io/name", "victoria-metrics-alert"), Mark::Label("app", "alertmanager")],
        ),
        in_stack(
            "prometheus chart up to 15",
            &[Mark::Label("app", "prometheus"), Mark::Label("component", "alertmanager")],
        ),
        Shape {
            made_by: "a Service that selects prometheus-operator's Pods",
            when: &[Mark::NoLabel("app.kubernetes.io/name"), Mark::NoLabel("app"), Mark::HasSelector("alertmanager")],
            then: Then::Endpoint(EndpointRole {
                ports: Ports { usual_names: &["http-web", "web", "https-web"], ..PORTS },
                ..ENDPOINT
            }),
            confidence: Medium,
            bundled: false,
        },
    ],
    endpoints: &[EndpointRole { roles: &["alertmanager", "alert-router"], role_optional: true, ..ENDPOINT }],
    specific_names: &["alertmanager", "http-alertmanager"],
    // As [`PORTS`].
    paired_names: &["web", "http-web", "https-web"],
    specific_pairs: &[(9093, 9094)],
    peer_ports: &[9094],
    path_setting: Some("--web.route-prefix, or routePrefix of prometheus-operator"),
    login: Login::Usual(Auth::None),
    serves_metrics: true,
    ..Rule::of(Product::Alertmanager)
};

const WEB_CONFIG: Setting = flag("web.config.file");
/// The operator's file holds TLS only, never users (`prometheus-operator`: `pkg/webconfig`).
const OPERATORS_WEB_CONFIG: &str = "/etc/alertmanager/web_config/web-config.yaml";

/// Sources: `alertmanager --help` (`cmd/alertmanager/main.go`: the route prefix is the path of the external URL unless
/// it is given); prometheus-operator `pkg/alertmanager/statefulset.go`.
pub(crate) const PODS: &[Program] = &[Program {
    images: &[
        "alertmanager",
        "prometheus-alertmanager",
        "prom-alertmanager",
        "golang-github-prometheus-alertmanager",
        "alertmanager-linux-amd64",
        "alertmanager-linux-arm64",
    ],
    containers: &["alertmanager", "prometheus-alertmanager", "vmalertmanager"],
    marks: &[
        If::Given(flag("cluster.listen-address")),
        If::Given(flag("cluster.advertise-address")),
        If::Given(flag("cluster.peer")),
        If::Given(flag("cluster.reconnect-timeout")),
        If::Given(flag("cluster.settle-timeout")),
        If::Given(flag("alerts.gc-interval")),
        If::Given(flag("data.retention")),
    ],
    shared_marks: &[
        If::Given(flag("config.file")),
        If::Given(flag("storage.path")),
        If::Given(flag("web.listen-address")),
        If::Given(flag("web.route-prefix")),
        If::Given(flag("web.external-url")),
    ],
    listen: Listen { settings: &[flag("web.listen-address")], default: &[9093], never: &[9094, 6783], ..Listen::NONE },
    roles: &[case(&[], usually("alertmanager"))],
    scheme: &[case(&[If::Given(WEB_CONFIG)], Says::Open), case(&[], Says::Default(Scheme::Http))],
    prefix: &[
        case(&[If::Given(flag("web.route-prefix"))], Says::Stated(Path::Of(flag("web.route-prefix")))),
        case(&[If::Given(flag("web.external-url"))], Says::Stated(Path::OfUrl(flag("web.external-url")))),
        case(&[], Says::Default(Path::Fixed(""))),
    ],
    auth: &[
        case(&[If::Is(WEB_CONFIG, OPERATORS_WEB_CONFIG)], Says::Default(Auth::None)),
        case(&[If::Given(WEB_CONFIG)], Says::Open),
        case(&[], Says::Default(Auth::None)),
    ],
    // With a prefix, `/` answers with a redirect, so a probe of `/` says nothing.
    probe_path: ProbePath::Before(&["/-/ready", "/-/healthy"]),
    ..Program::of(Product::Alertmanager)
}];

/// Source: prometheus/alertmanager `ui/web.go`, `api/v2/api.go`. All paths are below the route prefix. The Alertmanager in
/// Mimir has only the API. The configuration in the status can be longer than what is read.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/-/ready"), Below("/-/healthy"), Below("/api/v2/status")],
    questions: &[Question {
        path: "/api/v2/status",
        proofs: &[confirmed(&[Text("/cluster/status", &["ready", "settling", "disabled"]), Has("/config/original")])],
    }],
    prefixes: &["/alertmanager"],
    page: &[itself(&[Title("Alertmanager")])],
    rivals: &[Product::Prometheus],
    ..Facts::of(Product::Alertmanager)
};

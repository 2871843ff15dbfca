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
    product::Product,
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
    path_setting: Some("-http.pathPrefix"),
    login: Login::Usual(Auth::None),
    ..Rule::of(Product::VictoriaMetrics)
};

//! VictoriaMetrics: one node, or vmselect of a cluster.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | victoria-metrics-single | `name: victoria-metrics-single`, `component: server`, headless and alone | `http` 8428 |
//! | victoria-metrics-cluster | `name: victoria-metrics-cluster`, `component: vmselect` | `http` 8481, under `/select/0/prometheus` |
//! | bitnami/victoriametrics | `name: victoriametrics`, `component: vmselect` | `http` 8481, the same path |
//! | VictoriaMetrics operator | `name: vmsingle` | `http` 8429 by default, 8428 in victoria-metrics-k8s-stack |
//! | the same | `name: vmselect`, headless and alone | `http` 8481, the same path |
//! | by hand | `app: victoriametrics`, `victoria-metrics` | 8428 |
//!
//! Account 0 is what a cluster without tenants uses. Never: vminsert, vmstorage (which has a port named `vmselect`), vmagent
//! (8429 too), vmalert, vmauth.

use crate::{
    Product,
    engine::rule::{Door, Ports, Rule, name, shared_name},
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
    words: &[&["victoria", "metrics"], &["victoriametrics"], &["vmsingle"], &["vmselect"]],
    parts: &[
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
    // The charts wrote the role under `app` before they had `app.kubernetes.io/component`.
    role_keys: &["app"],
    doors: &[
        Door { roles: &["server", "single", "single-server"], bare: true, tier: 0, path: "", ports: SINGLE },
        Door {
            roles: &["vmsingle"],
            bare: false,
            tier: 0,
            path: "",
            ports: Ports { numbers: &[8428, 8429], ..SINGLE },
        },
        Door {
            roles: &["vmselect", "select", "cluster-vmselect"],
            bare: true,
            tier: 0,
            path: "/select/0/prometheus",
            ports: Ports { numbers: &[8481], usual_names: &["http", "https"], ..Ports::NONE },
        },
    ],
    telling_ports: &[8428, 8481],
    ..Rule::of(Product::VictoriaMetrics)
};

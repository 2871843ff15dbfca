//! VictoriaTraces: one node, or vtselect of a cluster. Its Jaeger API stands under `/select/jaeger`, health at the root.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | victoria-traces-single | `name: vt-single` (`victoria-traces-single`), `component: server`, headless and alone | `http` 10428 |
//! | victoria-traces-cluster | `name: vt-cluster`, `component: vtselect` | `http` 10471 |
//! | VictoriaMetrics operator | `name: vtsingle`, `vtselect` | `http` 10428, 10471 |
//! | by hand | `app: victoriatraces`, `victoria-traces` | 10428 |

use crate::{
    Product,
    engine::rule::{Door, Ports, Rule, name, shared_name},
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
    words: &[
        &["victoria", "traces"],
        &["victoriatraces"],
        &["vtraces"],
        &["vtsingle"],
        &["vt", "single"],
        &["vtselect"],
    ],
    parts: &["agent", "auth", "insert", "storage", "vmauth", "vtinsert", "vtstorage"],
    // The charts wrote the role under `app` before they had `app.kubernetes.io/component`.
    role_keys: &["app"],
    doors: &[
        Door {
            roles: &["server", "vtsingle", "single", "single-server"],
            bare: true,
            tier: 0,
            path: "",
            ports: Ports { numbers: &[10428], usual_names: &["http", "https"], ..Ports::NONE },
        },
        Door {
            roles: &["vtselect", "select"],
            bare: true,
            tier: 0,
            path: "",
            ports: Ports { numbers: &[10471], usual_names: &["http", "https"], ..Ports::NONE },
        },
    ],
    telling_ports: &[10428, 10471],
    ..Rule::of(Product::VictoriaTraces)
};

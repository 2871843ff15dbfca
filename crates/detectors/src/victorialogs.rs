//! VictoriaLogs: one node, or vlselect of a cluster. It answers at the root (`/select/logsql/query`).
//!
//! | made by | labels | port |
//! |---|---|---|
//! | victoria-logs-single | `name: victoria-logs-single` (`vl-single`), `component: server`, headless and alone | `http` 9428 |
//! | victoria-logs-cluster, victoria-logs-multilevel | `component: vlselect` | `http` 9471 |
//! | VictoriaMetrics operator | `name: vlsingle` (before `vlogs`), `vlselect` | `http` 9428, 9471 |
//! | by hand | `app: victorialogs`, `victoria-logs`, `vlogs` | 9428 |
//!
//! Never: vlinsert, vlstorage, vlagent, vmauth in front of them.

use crate::{
    Product,
    engine::rule::{Door, Ports, Rule, name, shared_name},
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
    words: &[&["victoria", "logs"], &["victorialogs"], &["vlogs"], &["vlsingle"], &["vl", "single"], &["vlselect"]],
    parts: &["agent", "auth", "insert", "storage", "vector", "vlagent", "vlinsert", "vlstorage", "vmauth"],
    // The charts wrote the role under `app` before they had `app.kubernetes.io/component`.
    role_keys: &["app"],
    doors: &[
        Door {
            roles: &["server", "vlsingle", "vlogs", "single", "single-server"],
            bare: true,
            tier: 0,
            path: "",
            ports: Ports { numbers: &[9428], usual_names: &["http", "https"], ..Ports::NONE },
        },
        Door {
            roles: &["vlselect", "select"],
            bare: true,
            tier: 0,
            path: "",
            ports: Ports { numbers: &[9471], usual_names: &["http", "https"], ..Ports::NONE },
        },
    ],
    telling_ports: &[9428, 9471],
    ..Rule::of(Product::VictoriaLogs)
};

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
    product::Product,
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
    path_setting: Some("-http.pathPrefix"),
    login: Login::Usual(Auth::None),
    ..Rule::of(Product::VictoriaTraces)
};

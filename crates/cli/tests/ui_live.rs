//! `ui` on a cluster: what the page shows while something cannot be read, and after that.
#![cfg(feature = "ui")]
#![allow(clippy::expect_used, reason = "a failed `expect` fails the test")]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use support::{
    cluster::{Cluster, config, service, slice},
    server::{Answer, Request, Server, failed, forbidden, quiet},
    ui::Ui,
};

/// A switch for the cluster that is played.
type Switch = Arc<AtomicBool>;

fn is_on(switch: &Switch) -> bool {
    switch.load(Ordering::SeqCst)
}

fn is_watch(request: &Request) -> bool {
    request.path.contains("watch=")
}

fn path(request: &Request) -> &str {
    request.path.split('?').next().unwrap_or_default()
}

/// Two Services in two namespaces, and a ToolsetConfig for one of them.
fn objects() -> Vec<Value> {
    vec![
        service("mon", "grafana", "grafana", 3000),
        service("team", "loki", "loki", 3100),
        slice("mon", "grafana"),
        slice("team", "loki"),
        config("mon", "holmes", "mon"),
    ]
}

/// A cluster whose watches have no event. `refuse` answers some of the requests.
fn cluster(objects: Vec<Value>, refuse: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Server {
    let cluster = Cluster::new(objects);
    Server::start(move |request| {
        refuse(request).unwrap_or_else(|| if is_watch(request) { quiet() } else { versioned(cluster.answer(request)) })
    })
}

/// Adds the resource version that a list has, from which a watch starts.
fn versioned((status, body): Answer) -> Answer {
    (status, body.replace("\"metadata\":{}", "\"metadata\":{\"resourceVersion\":\"10\"}"))
}

#[test]
fn a_watch_that_starts_again_after_an_outage_clears_the_problem() {
    let outage = Switch::default();
    let down = Arc::clone(&outage);
    let refused = Switch::default();
    let seen = Arc::clone(&refused);
    let server = cluster(objects(), move |request| {
        let first = is_watch(request) && path(request).ends_with("/services") && !seen.swap(true, Ordering::SeqCst);
        (first || is_on(&down)).then(|| failed("an outage"))
    });
    let ui = Ui::of_server(&server, "mon");
    let cookie = ui.open();
    let page = ui.wait(&cookie, "/services?show=all", |page| {
        is_on(&refused) && page.contains("loki") && !page.contains("not complete") && !page.contains("Problem")
    });
    assert!(page.contains("grafana"), "{page}");
}

#[test]
fn pods_that_could_not_be_read_are_read_again() {
    let works = Switch::default();
    let on = Arc::clone(&works);
    let mut objects = objects();
    objects[2]["endpoints"][0]["targetRef"] =
        json!({"kind": "Pod", "name": "grafana-1", "namespace": "mon", "uid": "p"});
    objects.push(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "grafana-1", "namespace": "mon", "uid": "p", "labels": {"app.kubernetes.io/name": "grafana"}},
        "spec": {"containers": [{"name": "grafana", "image": "grafana/grafana:12.0.0", "ports": [{"containerPort": 3000}]}]},
    }));
    let server = cluster(objects, move |request| {
        (path(request).contains("/pods/") && !is_on(&on)).then(|| forbidden("no Pods for you"))
    });
    let ui = Ui::of_server(&server, "mon");
    let cookie = ui.open();
    ui.wait(&cookie, "/", |page| page.contains("Pods in namespace mon cannot be read"));
    works.store(true, Ordering::SeqCst);
    ui.wait(&cookie, "/", |page| !page.contains("cannot be read"));
    assert!(ui.get("/services/mon/grafana", &[&cookie]).body.contains("grafana-1"));
}

#[test]
fn a_failure_of_the_api_server_is_not_called_a_missing_permission() {
    let mut objects = objects();
    objects[2]["endpoints"][0]["targetRef"] =
        json!({"kind": "Pod", "name": "grafana-1", "namespace": "mon", "uid": "p"});
    let server = cluster(objects, move |request| path(request).contains("/pods/").then(|| failed("no answer")));
    let ui = Ui::of_server(&server, "mon");
    let cookie = ui.open();
    let page = ui.wait(&cookie, "/services/mon/grafana", |page| page.contains("Some Pods could not be read."));
    assert!(!page.contains("The permission"), "{page}");
}

#[test]
fn a_page_is_not_complete_before_the_config_maps_are_read() {
    let works = Switch::default();
    let on = Arc::clone(&works);
    let server = cluster(objects(), move |request| {
        // A list that takes long.
        while path(request).ends_with("/configmaps") && !is_on(&on) {
            std::thread::yield_now();
        }
        None
    });
    let ui = Ui::of_server(&server, "mon");
    let cookie = ui.open();
    let page = ui.wait(&cookie, "/output", |page| page.contains("ConfigMap <strong class=\"name\">mon/holmes-output"));
    assert!(page.contains("not complete"), "{page}");
    assert!(page.contains("The ConfigMap was not read yet."), "{page}");
    works.store(true, Ordering::SeqCst);
    let page = ui.wait(&cookie, "/output", |page| !page.contains("not complete"));
    assert!(page.contains("The ConfigMap does not exist."), "{page}");
}

#[test]
fn a_config_map_that_cannot_be_read_is_not_said_to_be_missing() {
    let server = cluster(objects(), move |request| path(request).ends_with("/configmaps").then(|| forbidden("no")));
    let ui = Ui::of_server(&server, "mon");
    let cookie = ui.open();
    let page = ui.wait(&cookie, "/output", |page| page.contains("The ConfigMap cannot be read."));
    assert!(!page.contains("does not exist"), "{page}");
}

#[test]
fn what_the_user_may_not_read_any_more_is_gone() {
    let revoked = Switch::default();
    let on = Arc::clone(&revoked);
    let server = cluster(objects(), move |request| {
        if !is_on(&on) {
            // A watch that ends at once starts again.
            return (is_watch(request) && path(request) == "/api/v1/services").then(|| ("200 OK", String::new()));
        }
        (path(request) == "/api/v1/services").then(|| forbidden("not any more"))
    });
    let ui = Ui::of_server(&server, "mon");
    let cookie = ui.open();
    ui.wait(&cookie, "/services?show=all", |page| page.contains("loki"));
    revoked.store(true, Ordering::SeqCst);
    let page = ui.wait(&cookie, "/services?show=all", |page| page.contains("You are not allowed to list Services"));
    assert!(page.contains("grafana") && !page.contains("loki"), "{page}");
}

#[test]
fn an_edited_toolset_config_that_selects_labels_sees_the_one_namespace_that_can_be_read() {
    let mut objects = objects();
    objects.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mon", "labels": {"t": "mon"}}}));
    let server = cluster(objects, |request| (path(request) == "/api/v1/namespaces").then(|| forbidden("no list")));
    let ui = Ui::of_server(&server, "mon");
    let cookie = ui.open();
    ui.wait(&cookie, "/", |page| page.contains("grafana") && !page.contains("not complete"));
    let text = "kind: ToolsetConfig\napiVersion: toolset.kubernaut.io/v1alpha1\nmetadata: {name: x, namespace: mon}\n\
                spec: {sources: [{name: a, trust: Trusted, namespaces: {from: Selector, selector: {matchLabels: {t: mon}}}}]}";
    let page = ui.what_if(&cookie, text);
    assert!(page.contains("1 tool: "), "{page}");
    assert!(
        page.contains(
            "Namespaces cannot be listed, so sources that select namespaces by labels see only namespace mon"
        )
    );
}

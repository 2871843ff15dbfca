//! `ui` over HTTP: who may read the page.
#![cfg(feature = "ui")]
#![allow(clippy::expect_used, reason = "a failed `expect` fails the test")]

mod support;

use support::{program, ui::Ui};

/// A Prometheus whose path only its Pod template shows.
const PROMETHEUS: &str = "apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: team, labels: {app.kubernetes.io/name: prometheus}}
spec:
  clusterIP: 10.0.0.1
  selector: {app: prometheus}
  ports: [{name: http, port: 8080, targetPort: 9090}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus, namespace: team}
spec:
  selector: {matchLabels: {app: prometheus}}
  template:
    metadata: {labels: {app: prometheus}}
    spec:
      containers:
      - name: prometheus
        image: quay.io/prometheus/prometheus:v3.5.0
        args: [--web.route-prefix=/prom]
        ports: [{name: http, containerPort: 9090}]
";
const TOOLSET_CONFIG: &str = "apiVersion: toolset.kubernaut.io/v1alpha1
kind: ToolsetConfig
metadata: {name: a, namespace: holmes}
spec: {sources: [{name: s, trust: Trusted, namespaces: {from: All}}]}
";

#[test]
fn the_one_time_address_opens_the_page_once() {
    let ui = Ui::start();
    let cookie = ui.open();
    let page = ui.get("/", &[&cookie]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("from"), "{}", page.body);
    assert_eq!(ui.get(&ui.one_time, &[]).status, 401, "the second use");
    assert_eq!(ui.get("/", &[&cookie]).status, 200, "the session stays");
}

#[test]
fn nothing_of_the_cluster_is_shown_without_the_cookie() {
    let ui = Ui::start();
    for path in ["/", "/services", "/services/monitoring/grafana", "/open?token=", "/open", "/anything"] {
        let answer = ui.get(path, &[]);
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.body.contains("monitoring"), "{path}: {}", answer.body);
    }
    assert_eq!(ui.get("/welcome", &[]).status, 200);
}

#[test]
fn another_host_is_refused_also_with_the_cookie() {
    let ui = Ui::start();
    let cookie = ui.open();
    for host in [format!("rebound.example:{}", ui.port), "127.0.0.1".to_owned()] {
        let answer = ui.send("GET", "/services", &host, &[&cookie]);
        assert_eq!(answer.status, 403, "{host}");
        assert!(!answer.body.contains("monitoring"), "{}", answer.body);
    }
}

#[test]
fn a_request_of_another_site_is_refused() {
    let ui = Ui::start();
    let cookie = ui.open();
    let host = format!("127.0.0.1:{}", ui.port);
    for origin in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        assert_eq!(ui.send("POST", "/what-if", &host, &[&cookie, origin]).status, 403, "{origin}");
    }
}

#[test]
fn every_answer_says_that_nothing_may_be_kept_framed_or_loaded_from_elsewhere() {
    let ui = Ui::start();
    let cookie = ui.open();
    for path in ["/", "/services", "/welcome", "/assets/style.css", "/missing"] {
        let answer = ui.get(path, &[&cookie]);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        assert!(!answer.body.contains("<style") && !answer.body.contains(" style="), "{path}");
    }
}

#[test]
fn a_page_that_did_not_change_is_not_sent_again() {
    let ui = Ui::start();
    let cookie = ui.open();
    let first = ui.get("/services", &[&cookie]);
    let known = format!("If-None-Match: {}", first.header("etag"));
    assert_eq!(ui.get("/services", &[&cookie, &known]).status, 304);
    assert_eq!(ui.get("/services", &[&cookie, "If-None-Match: \"other\""]).status, 200);
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let ui = Ui::start();
    let cookie = ui.open();
    let host = format!("127.0.0.1:{}", ui.port);
    let headers = [&*cookie, &*format!("Origin: http://{host}"), "Content-Type: application/x-www-form-urlencoded"];
    let post = |bytes: usize| ui.send_form("POST", "/what-if", &host, &headers, &format!("text={}", "a".repeat(bytes)));
    let answer = post(256 * 1024 + 1);
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("The text is longer than 256 KiB."), "{}", answer.body);
    assert!(!post(256 * 1024).body.contains("longer"));
}

#[test]
fn an_edited_toolset_config_uses_the_pods_that_it_needs_as_render_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("the folder is writable");
        path.display().to_string()
    };
    let config = |namespace: &str| {
        format!(
            "apiVersion: toolset.kubernaut.io/v1alpha1\nkind: ToolsetConfig\nmetadata: {{name: a, namespace: holmes}}\nspec:\n  \
             sources:\n  - {{name: s, trust: Trusted, namespaces: {{from: Names, names: [{namespace}]}}}}\n"
        )
    };
    let objects = write("objects.yaml", PROMETHEUS);
    let (given, edited) = (write("given.yaml", &config("other")), write("edited.yaml", &config("team")));
    let ui = Ui::of(program().args(["ui", "-f", &objects, "-f", &given, "--no-browser"]));
    let cookie = ui.open();
    let before = ui.get("/output", &[&cookie]).body;
    let rendered = program().args(["render", "-f", &objects, "-f", &edited]).output().expect("it runs").stdout;
    let rendered = String::from_utf8(rendered).expect("UTF-8");
    assert!(rendered.contains(":8080/prom"), "{rendered}");
    assert_eq!(ui.post_text(&cookie, "/what-if/configmap.yaml", &config("team")).body, rendered);
    assert_eq!(ui.get("/output", &[&cookie]).body, before, "nothing stays of the edit");
}

#[test]
fn an_edited_text_with_other_objects_is_not_valid() {
    let ui = Ui::start();
    let cookie = ui.open();
    let page = ui.what_if(&cookie, &format!("{PROMETHEUS}---\n{TOOLSET_CONFIG}"));
    assert!(page.contains("The text contains other objects."), "{page}");
    assert!(!ui.what_if(&cookie, TOOLSET_CONFIG).contains("other objects"));
}

#[test]
fn the_cookie_is_only_for_the_path_of_the_pages() {
    let mut ui = Ui::start();
    let answer = ui.get(&ui.one_time, &[]);
    assert!(answer.header("set-cookie").ends_with(&format!("; Path={}/", ui.base)), "{}", answer.head);
    let base = std::mem::take(&mut ui.base);
    let outside = ui.get("/", &[]);
    assert_eq!(outside.status, 401);
    assert!(!outside.body.contains(&base), "nobody else learns the path: {}", outside.body);
}

#[test]
fn every_link_stays_below_the_path_of_the_pages() {
    let ui = Ui::start();
    let cookie = ui.open();
    for path in ["/", "/services?show=all", "/services/monitoring/grafana", "/output", "/what-if", "/welcome"] {
        let page = ui.get(path, &[&cookie]).body;
        for (_, rest) in page
            .match_indices("href=\"/")
            .chain(page.match_indices("action=\"/"))
            .map(|(at, found)| page.split_at(at + found.len()))
        {
            assert!(rest.starts_with("assets/"), "{path}: {}", rest.split('"').next().unwrap_or_default());
        }
    }
}

#[test]
fn an_address_with_a_toolset_config_that_does_not_exist_says_so() {
    let ui = Ui::start();
    let cookie = ui.open();
    for path in ["/", "/services", "/services/monitoring/grafana", "/output", "/what-if"] {
        let page = ui.get(&format!("{path}?config=nope/x"), &[&cookie]).body;
        assert!(page.contains("ToolsetConfig nope/x does not exist, so this page is about "), "{path}");
    }
}

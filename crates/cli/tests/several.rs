//! Several ToolsetConfigs, and users who may not read all namespaces.

mod support;

use serde_json::Value;
use support::{
    cluster::{Cluster, config, service, slice},
    fixture, run,
};

fn two_teams() -> Cluster {
    Cluster::new([
        service("monitoring", "grafana", "grafana", 3000),
        slice("monitoring", "grafana"),
        service("search", "vectors-es", "elasticsearch", 9200),
        slice("search", "vectors-es"),
        config("holmes", "default", "monitoring"),
        config("search-agent", "default", "search"),
    ])
}

#[test]
fn a_table_shows_the_tools_of_each_toolset_config() {
    let run = two_teams().run(&["render", "--live", "-o", "table"]);
    run.says(&["ToolsetConfig holmes/default", "ToolsetConfig search-agent/default", "monitoring/grafana"]);
    assert_eq!(run.stdout.matches("1 tool from 2 Services").count(), 2, "{}", run.stdout);
}

#[test]
fn a_file_needs_a_choice_and_the_message_has_the_commands() {
    let run = two_teams().run(&["render", "--live", "-o", "holmesgpt"]);
    run.misused(&[
        "there are several ToolsetConfigs; choose one:\n",
        "\n  kubectl toolset render --live -o holmesgpt --config holmes/default\n",
        "\n  kubectl toolset render --live -o holmesgpt --config search-agent/default\n",
    ]);
    for args in [&["--config", "holmes/default"][..], &["--config", "default", "-n", "holmes"], &["-n", "holmes"]] {
        let run = two_teams().run(&[&["render", "--live", "-o", "holmesgpt"], args].concat());
        run.says(&["grafana.monitoring"]);
    }
    two_teams().run(&["render", "--live", "--config", "a/b/c"]).misused(&["--config a/b/c is not valid"]);
    two_teams()
        .run(&["render", "--live", "--config", "nothing"])
        .refused(&["ToolsetConfig default/nothing was not found"]);
}

#[test]
fn explain_works_on_the_toolset_configs_that_select_the_service() {
    let run = two_teams().run(&["explain", "monitoring/grafana"]);
    run.says(&["monitoring/grafana is a tool: Grafana", "Sources of ToolsetConfig holmes/default"]);
    assert!(!run.stdout.contains("search-agent"), "{}", run.stdout);
    assert!(run.stderr.contains("of 2 ToolsetConfigs, only holmes/default selects this Service"), "{}", run.stderr);
    let both = Cluster::new([
        service("monitoring", "grafana", "grafana", 3000),
        config("holmes", "default", "monitoring"),
        config("search-agent", "default", "monitoring"),
    ]);
    let json = both.run(&["explain", "monitoring/grafana", "-o", "json"]).json();
    assert_eq!(json["items"].as_array().map(Vec::len), Some(2), "{json}");
    let neither = two_teams().run(&["explain", "svc/grafana", "-n", "nowhere"]);
    neither.refused(&["a Service of this name exists in monitoring"]);
}

/// A user of namespace `monitoring` who may not list anything in all namespaces.
fn only_monitoring(path: &str) -> bool {
    path.starts_with("/api/v1/namespaces/monitoring") || path.contains("/namespaces/monitoring/")
}

#[test]
fn with_rights_in_one_namespace_explain_reads_that_one_and_says_what_is_missing() {
    for args in [&["explain", "grafana", "-n", "monitoring"][..], &["explain", "monitoring/grafana"]] {
        let run = two_teams().allowing(only_monitoring).run(args);
        run.says(&["monitoring/grafana is a tool: Grafana", "at least one endpoint is serving"]);
        for text in [
            "note: only namespace monitoring was read, because you are not allowed to list",
            "ToolsetConfigs, Services and EndpointSlices in all namespaces",
            "HeadlessTwin rejections can differ",
        ] {
            assert!(run.stderr.contains(text), "{text:?} is not in {}", run.stderr);
        }
    }
    let run = two_teams().allowing(only_monitoring).run(&["explain", "search/vectors-es"]);
    run.refused(&["you are not allowed to read"]);
}

#[test]
fn with_rights_in_one_namespace_a_toolset_config_can_come_from_a_file() {
    let run = two_teams().allowing(only_monitoring).run(&[
        "render",
        "--live",
        "-n",
        "monitoring",
        "-f",
        &fixture("config.yaml"),
        "-o",
        "json",
    ]);
    assert_eq!(run.json()["tools"][0]["service"], "grafana");
    assert!(run.stderr.contains("only namespace monitoring was read"), "{}", run.stderr);
}

#[test]
fn nothing_taken_is_said_on_standard_error() {
    let unknown = [service("shop", "checkout", "checkout", 8080), service("shop", "cart", "cart", 8080)];
    for format in ["table", "json", "configmap"] {
        let run = Cluster::new(unknown.clone()).run(&["render", "--live", "-o", format]);
        assert_eq!(run.code, 0);
        for text in ["note: none of 2 Services is a tool", "kubectl toolset explain NAME -n NAMESPACE"] {
            assert!(run.stderr.contains(text), "{text:?} is not in {}", run.stderr);
        }
    }
    let quiet = run(&["render", "-f", &fixture("stack.yaml"), "-o", "json"]);
    assert!(!quiet.stderr.contains("none of"), "{}", quiet.stderr);
}

#[test]
fn diff_prints_what_would_change_and_exits_with_1() {
    let written = two_teams().run(&["render", "--live", "--config", "holmes/default", "-o", "configmap"]);
    let mut map: Value = serde_saphyr::from_str(&written.stdout).unwrap();
    let with = |map: &Value| {
        Cluster::new([
            service("monitoring", "grafana", "grafana", 3000),
            slice("monitoring", "grafana"),
            config("holmes", "default", "monitoring"),
            map.clone(),
        ])
    };
    let same = with(&map).run(&["diff"]);
    assert_eq!((same.code, same.stdout.as_str()), (0, ""), "{}", same.stderr);
    assert!(same.stderr.contains("ConfigMap holmes/default-output is up to date"), "{}", same.stderr);

    let file = map["data"]["custom_toolset.yaml"].as_str().unwrap_or_default().replace(":3000", ":3001");
    map["data"]["custom_toolset.yaml"] = file.into();
    map["data"]["of-somebody-else"] = "stays".into();
    let run = with(&map).run(&["diff"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    for text in [
        "--- cluster/holmes/default-output/custom_toolset.yaml\n+++ planned/holmes/default-output/custom_toolset.yaml\n@@ -",
        "svc.cluster.local:3001",
        "svc.cluster.local:3000",
    ] {
        assert!(run.stdout.contains(text), "{text:?} is not in {}", run.stdout);
    }
    assert!(!run.stdout.contains("toolset.json"), "it is the same: {}", run.stdout);
    let json = with(&map).run(&["diff", "-o", "json"]);
    assert_eq!(json.code, 1);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["differs"], true);
    let kinds: Vec<(&Value, &Value)> =
        json["files"].as_array().into_iter().flatten().map(|file| (&file["key"], &file["kind"])).collect();
    assert_eq!(kinds, [(&"custom_toolset.yaml".into(), &"Changed".into()), (&"toolset.json".into(), &"Same".into())]);
}

#[test]
fn diff_fails_with_2_rather_than_calling_everything_new() {
    let no_config_maps = |path: &str| !path.contains("/configmaps");
    let run = two_teams().allowing(no_config_maps).run(&["diff", "--config", "holmes/default"]);
    run.misused(&["you are not allowed to read ConfigMap holmes/default-output"]);
    Cluster::new([]).run(&["diff"]).misused(&["there is no ToolsetConfig"]);
    let new = two_teams().run(&["diff", "--config", "holmes/default"]);
    assert_eq!(new.code, 1);
    assert!(new.stdout.contains("--- /dev/null"), "{}", new.stdout);
}

/// A device on which every write fails.
#[cfg(target_os = "linux")]
#[test]
fn diff_fails_with_2_if_it_cannot_print_the_difference() {
    let server = two_teams().start();
    let kubeconfig = server.kubeconfig("kubeconfig", &serde_json::json!({}), None);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = support::program();
    command.args(["diff", "--config", "holmes/default"]).env("KUBECONFIG", &kubeconfig).stdout(full);
    let ended = command.stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{}", String::from_utf8_lossy(&ended.stderr));
}

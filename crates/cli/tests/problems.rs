//! Errors in the input and on the command line, and how they are reported.

mod support;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use support::{fixture, program, read_fixture, run, run_with_input};

const RENDER: [&str; 5] = ["render", "-f", "-", "-o", "json"];

#[test]
fn broken_yaml_is_named_with_document_and_line() {
    let input = read_fixture("stack.yaml") + "---\napiVersion: v1\nkind: Service\nmetadata: {name: a\nspec: {}\n";
    let line = read_fixture("stack.yaml").lines().count();
    let run = run_with_input(&RENDER, &input);
    run.refused(&["standard input, document 6: line "]);
    let reported: usize = run.stderr.split("line ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!((line + 1..=line + 6).contains(&reported), "{reported} is not in the last document: {}", run.stderr);
}

#[test]
fn broken_json_is_named() {
    run_with_input(&RENDER, "{\"kind\": \"List\", \"items\": [}").refused(&[
        "standard input",
        "not valid JSON",
        "line 1",
    ]);
}

#[test]
fn a_field_of_the_wrong_type_is_named_with_its_object() {
    let service = "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b}, spec: {ports: [{port: web}]}}";
    run_with_input(&RENDER, service).refused(&["standard input: Service b/a: spec.ports[0].port", "web"]);
    let list = format!("{{apiVersion: v1, kind: List, items: [{service}]}}");
    run_with_input(&RENDER, &list).refused(&["standard input, item 1: Service b/a"]);
}

#[test]
fn all_problems_are_reported_together() {
    let input =
        "apiVersion: v1\nkind: Service\n---\nhello\n---\n{kind: Servcie, apiVersion: v1, metadata: {name: a}}\n";
    run_with_input(&RENDER, input).refused(&[
        "document 1: Service has no metadata.name",
        "document 2: not a Kubernetes object",
        "document 3: unknown kind \"Servcie\"; did you mean Service?",
    ]);
}

#[test]
fn other_kinds_are_ignored() {
    let input = read_fixture("stack.yaml")
        + "---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}\n\
           ---\n{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}}\n";
    let run = run_with_input(&RENDER, &input);
    assert_eq!(run.json()["tools"].as_array().unwrap().len(), 3);
}

#[test]
fn a_second_toolset_config_is_an_error() {
    let run = run(&["render", "-f", &fixture("config.yaml"), "-f", &fixture("config.yaml"), "-o", "json"]);
    run.refused(&["only one ToolsetConfig is allowed", "config.yaml"]);
}

#[test]
fn a_toolset_config_that_the_api_server_would_reject_is_an_error() {
    let config = read_fixture("config.yaml").replace("from: Names, names: [search]", "from: All, names: [search]");
    let run = run_with_input(&["render", "-f", &fixture("stack.yaml"), "-f", "-", "-o", "json"], &config);
    run.refused(&[
        "ToolsetConfig holmes/default: spec.sources[1].namespaces: names may only be set when from is Names",
    ]);
}

#[test]
fn a_missing_file_is_named() {
    run(&["render", "-f", "nowhere.yaml"]).refused(&["nowhere.yaml"]);
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    run(&["render"]).misused(&["-f FILE", "--live"]);
    run(&["render", "-f", "-", "-f", "-"]).misused(&["standard input"]);
    run(&["render", "-f", "x", "-o", "yml"]).misused(&["configmap"]);
    run(&["rendr", "-f", "-"]).misused(&["render"]);
    run(&["explain"]).misused(&["SERVICE"]);
    run(&["render", "-f", &fixture("stack.yaml"), "--config", "a/b"]).misused(&["--live"]);
}

#[test]
fn live_without_a_cluster_says_what_to_do() {
    run(&["render", "--live"]).refused(&["KUBECONFIG", "-f"]);
}

#[test]
fn services_in_a_file_cannot_be_used_with_live() {
    run(&["render", "--live", "-f", &fixture("stack.yaml")]).misused(&["Services come from the cluster"]);
}

#[test]
fn validate_says_what_is_valid_and_names_each_problem_on_a_line() {
    let fine = run(&["validate", "-f", &fixture("config.yaml")]);
    assert_eq!(fine.code, 0, "{}", fine.stderr);
    assert!(fine.stdout.contains("ToolsetConfig holmes/default is valid"));
    let bad = "\
apiVersion: toolset.kubernaut.io/v1alpha1
kind: ToolsetConfig
metadata: {name: default}
spec:
  sources:
  - {name: a, trust: tenant, namespaces: {from: All}}
  detectors: [{type: Prometeus}]
  output: {configMap: x}
";
    let run = run_with_input(&["validate", "-f", "-"], bad);
    run.refused(&[
        "standard input: ToolsetConfig default: spec.sources[0].trust: \"tenant\" is not a supported value; did you mean Tenant?",
        "spec.detectors[0].type: \"Prometeus\" is not a supported value; did you mean Prometheus?",
        "spec.output.configMap: unknown field",
    ]);
    assert_eq!(run.stderr.lines().count(), 3, "one line each: {}", run.stderr);
}

#[test]
fn validate_finds_toolset_configs_among_other_documents() {
    let input = read_fixture("stack.yaml") + "---\n" + &read_fixture("config.yaml");
    let run = run_with_input(&["validate", "-f", "-"], &input);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1));
    run_with_input(&["validate", "-f", "-"], &read_fixture("stack.yaml")).refused(&["no ToolsetConfig"]);
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let mut child =
        program().args(RENDER).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The reader closes the pipe before the program prints.
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(read_fixture("stack.yaml").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn crds_are_the_same_as_in_the_repository() {
    let run = run(&["crds"]);
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds/toolsetconfigs.toolset.kubernaut.io.yaml");
    assert_eq!(run.code, 0);
    assert!(run.stdout == std::fs::read_to_string(file).unwrap());
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = run(&["completions", shell]);
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("explain"), "{shell}");
    }
}

#[test]
fn help_shows_examples() {
    for command in ["render", "explain", "validate"] {
        let run = run(&[command, "--help"]);
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("Examples:"), "{command}");
        assert!(run.stdout.contains("kubectl toolset"), "{command}");
    }
}

#[test]
fn completion_scripts_are_accepted_by_bash() {
    let Ok(mut bash) = Command::new("bash").args(["-n"]).stdin(Stdio::piped()).spawn() else {
        return;
    };
    bash.stdin.take().unwrap().write_all(run(&["completions", "bash"]).stdout.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn a_list_without_items_is_empty() {
    for list in ["List", "ServiceList"] {
        let input = format!("{{\"apiVersion\": \"v1\", \"kind\": \"{list}\", \"items\": null}}");
        let run = run_with_input(&RENDER, &input);
        assert!(run.json()["tools"].as_array().unwrap().is_empty());
        assert!(run.stderr.contains("no Services"), "{}", run.stderr);
    }
    run_with_input(&RENDER, "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": {}}")
        .refused(&["items is not a list"]);
}

#[test]
fn an_object_that_is_in_the_input_twice_is_reported_with_the_one_that_is_used() {
    let run = run(&["render", "-o", "json", "-f", &fixture("stack.yaml"), "-f", &fixture("config.yaml")]);
    assert!(!run.stderr.contains("twice"), "{}", run.stderr);
    let grafana = |port: u16| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: grafana, namespace: monitoring, labels: \
             {{app.kubernetes.io/name: grafana}}}}\nspec: {{clusterIP: 10.0.0.1, selector: {{app: grafana}}, ports: [{{name: http, port: {port}}}]}}\n"
        )
    };
    let run = run_with_input(&RENDER, &(grafana(3000) + &grafana(3001)));
    assert!(run.stdout.contains("grafana.monitoring.svc.cluster.local:3001"), "{}", run.stdout);
    let note =
        "note: Service monitoring/grafana is in the input twice; the last one is used (standard input, document 2)";
    assert!(run.stderr.contains(note), "{}", run.stderr);
    let run = run_with_input(&RENDER, &(grafana(3000) + &grafana(3001) + &grafana(3002)));
    assert!(run.stderr.contains("is in the input 3 times"), "{}", run.stderr);
}

#[test]
fn an_invalid_cluster_domain_is_refused_in_one_line() {
    for bad in ["evil{{", "a..b", "", ".", "A.b", "a b", "a\u{1b}[31m", "a\u{202e}"] {
        let run = run(&["render", "-f", &fixture("stack.yaml"), &format!("--cluster-domain={bad}")]);
        run.misused(&["--cluster-domain", "cluster.local"]);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(!run.stderr.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{:?}", run.stderr);
    }
}

#[test]
fn a_message_does_not_quote_a_whole_file() {
    let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: \"{}\"\n", "x".repeat(1_000_000));
    let run = run_with_input(&["render", "-f", "-"], &map);
    run.refused(&["ConfigMap a: data: invalid type: string", "expected a map"]);
    assert!(run.stderr.len() < 500, "{} bytes", run.stderr.len());
}

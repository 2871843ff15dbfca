//! `kubectl toolset explain` with objects from files.

mod support;

use support::{Run, fixture, read_fixture, run, run_with_input};

fn explain(service: &str, namespace: &str) -> Run {
    run(&["explain", service, "-n", namespace, "-f", &fixture("stack.yaml"), "-f", &fixture("config.yaml")])
}

fn says(run: &Run, texts: &[&str]) {
    assert_eq!(run.code, 0, "{}", run.stderr);
    for text in texts {
        assert!(run.stdout.contains(text), "{text:?} is not in\n{}", run.stdout);
    }
}

#[test]
fn a_tool_is_explained_with_its_evidence() {
    let run = explain("kube-prometheus-stack-prometheus", "monitoring");
    says(
        &run,
        &[
            "monitoring/kube-prometheus-stack-prometheus is a tool: Prometheus",
            "http://kube-prometheus-stack-prometheus.monitoring.svc.cluster.local:9090",
            "platform     selects the Service (Trusted)",
            "does not select namespace monitoring; it selects only search",
            "serves queries on http port 9090 (confidence High)",
            "+ label app=kube-prometheus-stack-prometheus",
            "Candidates for Prometheus",
            "← this one",
        ],
    );
}

#[test]
fn a_headless_twin_names_the_service_that_is_used_instead() {
    says(
        &explain("prometheus-operated", "monitoring"),
        &[
            "is not a tool: HeadlessTwin (recognised as Prometheus)",
            "kube-prometheus-stack-prometheus",
            "Usually nothing",
        ],
    );
}

#[test]
fn a_namespace_outside_the_sources_comes_with_the_change_that_adds_it() {
    says(
        &explain("checkout", "shop"),
        &["NamespaceNotSelected", "spec.sources[name=platform].namespaces.names: [monitoring, shop]"],
    );
}

#[test]
fn a_service_that_nothing_recognises_comes_with_the_command_that_annotates_it() {
    let run = run(&["explain", "checkout", "-n", "shop", "-f", &fixture("stack.yaml")]);
    says(
        &run,
        &[
            "is not a tool: it is not recognised",
            "kubectl annotate service checkout -n shop kubernaut.io/toolset=enabled kubernaut.io/toolset-type=<type> kubernaut.io/toolset-port=8080",
        ],
    );
}

#[test]
fn an_annotation_is_shown_and_takes_precedence_over_the_detectors() {
    says(
        &explain("vectors", "search"),
        &[
            "is a tool: vector-database, stated by its annotations",
            "kubernaut.io/toolset-type: vector-database",
            "Tenant",
            "take precedence over the detectors",
        ],
    );
}

#[test]
fn a_malformed_annotation_is_quoted() {
    let stack = read_fixture("stack.yaml")
        .replace("kubernaut.io/toolset-path: /v1", "kubernaut.io/toolset-path: '@evil.example/x'");
    let run = run_with_input(&["explain", "vectors", "-n", "search", "-f", "-"], &stack);
    says(&run, &["InvalidAnnotation", "kubernaut.io/toolset-path", "@evil.example/x"]);
}

#[test]
fn an_opt_out_comes_with_the_command_that_removes_it() {
    let stack = read_fixture("stack.yaml").replace("kubernaut.io/toolset: enabled", "kubernaut.io/toolset: disabled");
    let run = run_with_input(&["explain", "vectors", "-n", "search", "-f", "-"], &stack);
    says(&run, &["OptedOut", "kubectl annotate service vectors -n search kubernaut.io/toolset-"]);
}

#[test]
fn a_disabled_detector_is_reported() {
    let config = read_fixture("config.yaml") + "  detectors: [{type: Grafana, state: Disabled}]\n";
    let run =
        run_with_input(&["explain", "grafana", "-n", "monitoring", "-f", &fixture("stack.yaml"), "-f", "-"], &config);
    says(&run, &["DetectorDisabled", "(Disabled in the ToolsetConfig)", "spec.detectors[type=Grafana].state"]);
}

#[test]
fn an_override_that_disables_the_tool_is_named() {
    let config =
        read_fixture("config.yaml") + "  overrides: [{name: no-grafana, match: {type: Grafana}, state: Disabled}]\n";
    let run =
        run_with_input(&["explain", "grafana", "-n", "monitoring", "-f", &fixture("stack.yaml"), "-f", "-"], &config);
    says(&run, &["OverriddenOff", "override     no-grafana sets state: Disabled"]);
}

#[test]
fn credentials_come_with_a_warning_about_unset_variables() {
    let config = read_fixture("config.yaml")
        + "  overrides: [{name: token, match: {namespace: monitoring, service: grafana}, credentials: {type: Bearer, env: GRAFANA_TOKEN}}]\n";
    let run =
        run_with_input(&["explain", "grafana", "-n", "monitoring", "-f", &fixture("stack.yaml"), "-f", "-"], &config);
    let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("GRAFANA_TOKEN; if the variable is not set, the agent rejects the whole entry"),
        "{}",
        run.stdout
    );
}

#[test]
fn the_service_may_be_written_as_kubectl_writes_it() {
    for service in ["svc/grafana", "service/grafana"] {
        says(&explain(service, "monitoring"), &["monitoring/grafana is a tool"]);
    }
    says(&run(&["explain", "monitoring/grafana", "-f", &fixture("stack.yaml")]), &["monitoring/grafana is a tool"]);
}

#[test]
fn a_service_without_a_namespace_is_found_where_it_is() {
    let run = run(&["explain", "grafana", "-f", &fixture("stack.yaml")]);
    says(&run, &["monitoring/grafana is a tool"]);
    assert!(run.stderr.contains("Service default/grafana was not found; this is monitoring/grafana"), "{}", run.stderr);
}

#[test]
fn a_name_that_is_nearly_right_is_suggested() {
    explain("grafna", "monitoring")
        .refused(&["Service grafna was not found in namespace monitoring", "did you mean grafana?"]);
    explain("grafana", "shop").refused(&["Service grafana was not found in namespace shop", "exists in monitoring"]);
}

#[test]
fn every_explanation_fits_the_screen_but_for_commands() {
    for (service, namespace) in
        [("grafana", "monitoring"), ("prometheus-operated", "monitoring"), ("checkout", "shop"), ("vectors", "search")]
    {
        let run = explain(service, namespace);
        for line in run.stdout.lines() {
            let command = line.trim_start().starts_with("kubectl ") || line.trim_start().starts_with("spec.");
            assert!(command || line.chars().count() <= 110, "{line}");
            assert_eq!(line, line.trim_end(), "no trailing blanks");
        }
    }
}

#[test]
fn a_refused_name_says_whether_another_tool_or_the_agent_can_have_it() {
    let service = |namespace: &str, name: &str, type_: &str, chosen: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}, annotations: {{kubernaut.io/toolset: enabled, kubernaut.io/toolset-type: {type_}, kubernaut.io/toolset-name: {chosen}}}}}\nspec: {{selector: {{app: {name}}}, clusterIP: 10.0.0.1, ports: [{{port: 80}}]}}\n"
        )
    };
    let input = |formats: &str| {
        let config = "apiVersion: toolset.kubernaut.io/v1alpha1\nkind: ToolsetConfig\nmetadata: {name: default, namespace: holmes}\nspec: {sources: [{name: platform, trust: Trusted, namespaces: {from: Names, names: [monitoring]}}, {name: teams, trust: Tenant, namespaces: {from: All}}]";
        format!("{config}, output: {{formats: [{formats}]}}}}\n")
            + &service("core", "a", "jaeger", "kubernetes")
            + &service("monitoring", "b", "jaeger", "main")
            + &service("monitoring", "c", "jaeger", "main")
    };
    let agent = "another tool or the agent itself has the requested name";
    let other = "another tool has the requested name";
    for (service, formats, text) in [
        ("core/a", "HolmesGPT", agent),
        ("core/a", "ToolsetJSON", agent),
        ("monitoring/c", "HolmesGPT, ToolsetJSON", agent),
        ("monitoring/c", "ToolsetJSON", other),
    ] {
        let run = run_with_input(&["explain", service, "-f", "-"], &input(formats));
        let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&format!("NameConflict: {text}")), "{service} with {formats}: {}", run.stdout);
    }
}

#[test]
fn a_misspelt_namespace_is_suggested_with_the_service() {
    explain("grafana", "monitorng").refused(&["Service grafana was not found in namespace monitorng", "monitoring"]);
    explain("grafna", "monitorng").refused(&["did you mean monitoring/grafana?"]);
    says(&explain("svc/monitoring/grafana", "shop"), &["monitoring/grafana is a tool"]);
}

#[test]
fn an_explanation_fits_a_narrow_terminal() {
    for columns in ["60", "80", "120", "200"] {
        let run = Run::of(
            support::program()
                .args(["explain", "grafana", "-n", "monitoring", "-f", &fixture("stack.yaml")])
                .env("COLUMNS", columns),
        );
        let max = columns.parse::<usize>().unwrap_or_default().min(110);
        for line in run.stdout.lines() {
            let word = line.split_whitespace().map(str::len).max().unwrap_or_default();
            assert!(line.chars().count() <= max || word + 20 > max, "{columns}: {line}");
        }
    }
}

#[test]
fn a_command_to_copy_is_quoted_for_the_shell() {
    let hostile = "apiVersion: v1\nkind: Service\nmetadata: {name: $(reboot), namespace: team}\n\
                   spec: {selector: {app: 'x;reboot'}, ports: [{port: 80}]}\n";
    let run = run_with_input(&["explain", "$(reboot)", "-n", "team", "-f", "-"], hostile);
    says(&run, &["kubectl annotate service '$(reboot)' -n team kubernaut.io/toolset=enabled"]);
}

//! `kubectl toolset render` on files and standard input.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` in a helper function fails the test")]

mod support;

use serde_json::{Value, json};
use support::{fixture, read_fixture, run, run_with_input};

fn names(file: &Value, list: &str) -> Vec<String> {
    let entries = file[list].as_array().unwrap();
    entries
        .iter()
        .map(|one| format!("{}/{}", one["namespace"].as_str().unwrap(), one["service"].as_str().unwrap()))
        .collect()
}

#[test]
fn json_holds_every_tool_and_every_rejected_service_sorted() {
    let file = run(&["render", "-f", &fixture("stack.yaml"), "-o", "json"]).json();
    assert_eq!(
        names(&file, "tools"),
        ["monitoring/grafana", "monitoring/kube-prometheus-stack-prometheus", "search/vectors"]
    );
    let notes = file["tools"][1]["notes"].as_array().unwrap();
    assert!(notes.iter().all(Value::is_string), "{notes:?}");
    assert_eq!(
        file["tools"][1],
        json!({
            "name": "kube-prometheus-stack-prometheus",
            "type": "Prometheus",
            "namespace": "monitoring",
            "service": "kube-prometheus-stack-prometheus",
            "port": 9090,
            "scheme": "http",
            "path": "",
            "endpoint": "http://kube-prometheus-stack-prometheus.monitoring.svc.cluster.local:9090",
            "source": "all",
            "trust": "Trusted",
            "confidence": "High",
            "evidence": file["tools"][1]["evidence"].as_str().unwrap(),
            "notes": notes,
        })
    );
    assert_eq!(file["tools"][2]["type"], "vector-database");
    assert_eq!(file["tools"][2]["path"], "/v1");
    assert_eq!(names(&file, "rejected"), ["monitoring/prometheus-operated"]);
    assert_eq!(file["rejected"][0]["reason"], "HeadlessTwin");
    assert_eq!(file["rejected"][0]["type"], "Prometheus");
}

#[test]
fn a_toolset_config_in_another_file_decides_sources_and_trust() {
    let file = run(&["render", "-f", &fixture("stack.yaml"), "-f", &fixture("config.yaml"), "-o", "json"]).json();
    let tools = file["tools"].as_array().unwrap();
    let of = |service: &str| tools.iter().find(|tool| tool["service"] == service).unwrap();
    assert_eq!((&of("grafana")["source"], &of("grafana")["trust"]), (&json!("platform"), &json!("Trusted")));
    assert_eq!((&of("vectors")["source"], &of("vectors")["trust"]), (&json!("teams"), &json!("Tenant")));
}

#[test]
fn every_output_format_of_kubectl_gives_the_same_result() {
    let expected = run(&["render", "-f", &fixture("stack.yaml"), "-o", "json"]).stdout;
    let services: Vec<Value> = serde_saphyr::from_multiple(&read_fixture("stack.yaml")).unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": services});
    let mut bare = services.clone();
    for service in &mut bare {
        service.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
    }
    let typed = json!({"apiVersion": "v1", "kind": "ServiceList", "items": bare});
    let stream = services.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let forms = [
        list.to_string(),
        serde_json::to_string_pretty(&list).unwrap(),
        serde_saphyr::to_string(&list).unwrap(),
        typed.to_string(),
        stream,
        format!("\u{feff}# from kubectl\n---\n{}\n...\n---\n# nothing here\n---\n", read_fixture("stack.yaml")),
        read_fixture("stack.yaml").replace('\n', "\r\n"),
    ];
    for form in forms {
        let run = run_with_input(&["render", "-f", "-", "-o", "json"], &form);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(run.stdout, expected, "{form}");
    }
}

#[test]
fn the_holmesgpt_file_is_the_one_in_the_config_map() {
    let args = ["render", "-f", &fixture("stack.yaml"), "-f", &fixture("config.yaml")];
    let file = run(&[&args[..], &["-o", "holmesgpt"]].concat());
    assert_eq!(file.code, 0, "{}", file.stderr);
    let map = run(&[&args[..], &["-o", "configmap"]].concat());
    let map: Value = serde_saphyr::from_str(&map.stdout).unwrap();
    assert_eq!(map["kind"], "ConfigMap");
    assert_eq!(map["metadata"]["name"], "kubernaut-toolset-config");
    assert_eq!(map["metadata"]["namespace"], "holmes");
    assert_eq!(map["data"]["custom_toolset.yaml"], file.stdout);
    let content: Value = serde_saphyr::from_str(&file.stdout).unwrap();
    assert_eq!(content["toolsets"]["prometheus/metrics"]["enabled"], true);
    assert_eq!(content["toolsets"]["grafana/dashboards"]["enabled"], true);
    let json: Value = serde_json::from_str(map["data"]["toolset.json"].as_str().unwrap()).unwrap();
    assert_eq!(json["tools"].as_array().unwrap().len(), 3);
}

#[test]
fn a_format_that_the_config_does_not_list_cannot_be_shown() {
    let config = read_fixture("config.yaml") + "  output: {formats: [ToolsetJSON]}\n";
    let run = run_with_input(&["render", "-f", &fixture("stack.yaml"), "-f", "-", "-o", "holmesgpt"], &config);
    run.refused(&["spec.output.formats", "HolmesGPT"]);
}

#[test]
fn without_a_terminal_the_config_map_is_printed_and_colours_are_not() {
    let run = run(&["render", "-f", &fixture("stack.yaml")]);
    assert!(run.stdout.starts_with("apiVersion: v1\n"), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'));
}

#[test]
fn the_table_shows_tools_and_reasons_and_is_coloured_on_demand() {
    let plain = run(&["render", "-f", &fixture("stack.yaml"), "-o", "table"]);
    assert_eq!(plain.code, 0);
    for text in [
        "3 tools from 5 Services",
        "http://grafana.monitoring.svc.cluster.local:80",
        "HeadlessTwin",
        "prometheus-operated",
    ] {
        assert!(plain.stdout.contains(text), "{text}: {}", plain.stdout);
    }
    assert!(plain.stdout.lines().all(|line| line == line.trim_end()), "no trailing blanks");
    let painted = run(&["render", "-f", &fixture("stack.yaml"), "-o", "table", "--color", "always"]);
    assert!(painted.stdout.contains('\u{1b}'));
}

#[test]
fn the_cluster_domain_can_be_set() {
    let run = run(&["render", "-f", &fixture("stack.yaml"), "-o", "json", "--cluster-domain", "corp.example"]);
    assert_eq!(run.json()["tools"][0]["endpoint"], "http://grafana.monitoring.svc.corp.example:80");
}

#[test]
fn health_follows_from_the_endpoint_slices_in_the_input() {
    let slice = |service: &str, ready: bool| {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{service}-a"),
                "namespace": "monitoring",
                "labels": {
                    "kubernetes.io/service-name": service,
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready, "serving": ready}}],
            "ports": [],
        })
        .to_string()
    };
    let input = slice("grafana", false) + "\n" + &slice("kube-prometheus-stack-prometheus", true);
    let file = run_with_input(&["render", "-f", &fixture("stack.yaml"), "-f", "-", "-o", "json"], &input).json();
    assert_eq!(names(&file, "tools"), ["monitoring/kube-prometheus-stack-prometheus"]);
    let grafana = &file["rejected"].as_array().unwrap()[0];
    assert_eq!((&grafana["service"], &grafana["reason"]), (&json!("grafana"), &json!("Unhealthy")));
}

#[test]
fn a_namespace_joins_a_source_by_its_labels() {
    let config = "\
apiVersion: toolset.kubernaut.io/v1alpha1
kind: ToolsetConfig
metadata: {name: default, namespace: holmes}
spec:
  sources:
  - {name: marked, trust: Trusted, namespaces: {from: Selector, selector: {matchLabels: {observed: 'yes'}}}}
";
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: monitoring, labels: {observed: 'yes'}}\n";
    let args = ["render", "-f", &fixture("stack.yaml"), "-f", "-", "-o", "json"];
    assert_eq!(names(&run_with_input(&args, config).json(), "tools"), Vec::<String>::new());
    let with = run_with_input(&args, &format!("{config}{namespace}"));
    assert_eq!(names(&with.json(), "tools"), ["monitoring/grafana", "monitoring/kube-prometheus-stack-prometheus"]);
}

#[test]
fn an_override_without_effect_is_reported_on_standard_error() {
    let config =
        read_fixture("config.yaml") + "  overrides: [{name: gone, match: {service: nobody}, state: Disabled}]\n";
    let run = run_with_input(&["render", "-f", &fixture("stack.yaml"), "-f", "-", "-o", "json"], &config);
    assert_eq!(run.code, 0);
    assert!(run.stderr.contains("OverrideUnmatched: Override gone"), "{}", run.stderr);
    run.json();
}

#[test]
fn a_base_file_comes_from_a_config_map_of_the_input() {
    let config = read_fixture("config.yaml") + "  output: {base: {configMapName: mine}}\n";
    let base = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: holmes}\n\
                data: {custom_toolset.yaml: 'toolsets: {datadog/logs: {enabled: true}}'}\n";
    let args = ["render", "-f", &fixture("stack.yaml"), "-f", "-", "-o", "holmesgpt"];
    let with = run_with_input(&args, &format!("{config}{base}"));
    assert!(with.stdout.contains("datadog/logs"), "{}", with.stdout);
    let without = run_with_input(&args, &config);
    assert!(without.stderr.contains("BaseInvalid") && without.stderr.contains("mine"), "{}", without.stderr);
}

#[test]
fn an_input_without_services_is_reported() {
    let run = run(&["render", "-f", &fixture("config.yaml"), "-o", "holmesgpt"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("kubernetes/core"), "{}", run.stdout);
    assert!(run.stderr.contains("the input contains no Services"), "{}", run.stderr);
}

//! Output for people contains no character that controls a terminal, whatever is in the input. Output for programs is
//! exact.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` in a helper function fails the test")]

mod support;

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use support::{fixture, run_with_input};
use toolset::visible::is_invisible;

/// What is not shown, or changes how other text is shown.
const OBEYED: [&str; 18] = [
    "\u{1b}[31m",
    "\u{1b}]0;title\u{7}",
    "\u{1b}[2J",
    "\u{9b}2J",
    "\u{7f}",
    "\0",
    "\r",
    "\n",
    "\t",
    "\u{202e}",
    "\u{2066}",
    "\u{2069}",
    "\u{61c}",
    "\u{200b}",
    "\u{200f}",
    "\u{2028}",
    "\u{feff}",
    "\u{e0041}",
];

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(&OBEYED[..]).prop_map(str::to_owned),
        "[a-z {}:'\"-]{0,6}",
        any::<char>().prop_map(String::from)
    ];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

/// A Service that nothing in the API server has checked.
fn service(name: &str, text: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "monitoring",
            "labels": {"app.kubernetes.io/name": "prometheus", "note": text, text: "note"},
            "annotations": {
                "kubernaut.io/toolset": "enabled",
                "kubernaut.io/toolset-type": text,
                "kubernaut.io/toolset-description": text,
                format!("kubernaut.io/toolset-{text}"): text,
            },
        },
        "spec": {
            "clusterIP": "10.0.0.1",
            "selector": {text: text},
            "ports": [{"name": text, "port": 9090, "targetPort": text}],
        },
    })
}

/// A controller whose Pods that Service selects.
fn deployment(name: &str, text: &str) -> Value {
    let container = json!({
        "name": text, "image": format!("{text}/prometheus:{text}"), "command": [text], "args": [format!("--web.route-prefix={text}")],
        "env": [{"name": text, "value": text}], "ports": [{"name": text, "containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": text, "port": text, "scheme": text}},
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "monitoring"},
        "spec": {"template": {"metadata": {"labels": {text: text}}, "spec": {"containers": [container]}}},
    })
}

/// Fails if the output has a character that controls a terminal, besides line breaks.
fn harmless(what: &str, output: &str) {
    let obeyed = output.chars().find(|&c| c != '\n' && is_invisible(c));
    assert_eq!(obeyed, None, "{what}: {output:?}");
}

/// The lines without colours and without the blanks that they may stand around.
fn without_our_colours(output: &str) -> Vec<String> {
    let codes = ["0", "1", "2", "31", "32", "33", "36"].iter();
    let plain = codes.fold(output.to_owned(), |text, code| text.replace(&format!("\u{1b}[{code}m"), ""));
    plain.lines().map(|line| line.trim_end().to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_command_prints_characters_that_control_a_terminal(text in hostile(), other in hostile()) {
        let config = json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1",
            "kind": "ToolsetConfig",
            "metadata": {"name": text, "namespace": other},
            "spec": {"sources": [{"name": other, "trust": text, "namespaces": {"from": "All"}}], other.clone(): text},
        });
        let objects = [
            service("one", &text),
            service(&other, &text),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": text, "namespace": other}, "spec": {"ports": other}}),
            json!({"apiVersion": "v1", "kind": "Servcie", "metadata": {"name": text}}),
            json!({"apiVersion": text, "kind": other, "metadata": {"name": text}}),
            config,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "holmes"}, "data": {
                "custom_toolset.yaml": json!({"toolsets": {other.clone(): {"enabled": true}, text.clone(): 1}}).to_string(),
            }}),
            deployment(&other, &text),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": text, "namespace": other}, "spec": other}),
        ];
        let readable = [0, 1, 6, 7].map(|place: usize| objects[place].clone()).map(|object| object.to_string()).join("\n");
        for object in &objects {
            for command in [&["render", "-f", "-", "-o", "table"][..], &["validate", "-f", "-"]] {
                let run = run_with_input(command, &object.to_string());
                harmless(command[0], &run.stdout);
                harmless(command[0], &run.stderr);
            }
        }
        let broken = format!("{text}: [\n{other}");
        let explain_other = format!("monitoring/{}", other.replace('\0', ""));
        for command in [
            &["explain", "monitoring/one", "-f", "-"][..],
            &["explain", &explain_other, "-f", "-"],
            &["explain", &explain_other, "-f", &fixture("stack.yaml"), "-f", "-"],
            &["explain", "monitoring/one", "-f", "-", "-o", "json"],
            &["render", "-f", "-", "-o", "table"],
        ] {
            let run = run_with_input(command, &readable);
            harmless(command[0], &run.stdout);
            harmless(command[0], &run.stderr);
            let coloured = run_with_input(&[command, &["--color", "always"]].concat(), &readable);
            prop_assert_eq!(
                without_our_colours(&coloured.stdout),
                without_our_colours(&run.stdout),
                "only our own colours are added"
            );
            harmless("broken", &run_with_input(command, &broken).stderr);
        }
    }
}

#[test]
fn a_tenants_annotation_is_shown_escaped_in_its_place() {
    let input = service("one", "grafana\u{1b}[2J\u{202e}\nagrees").to_string();
    let run = run_with_input(&["explain", "monitoring/one", "-f", "-"], &input);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("toolset-type: grafana\\u{1b}[2J\\u{202e}\\nagrees"), "{}", run.stdout);
}

#[test]
fn output_for_programs_is_exact() {
    let text = "a\u{202e}b";
    let base = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "holmes"}, "data": {
        "custom_toolset.yaml": json!({"toolsets": {"mine": {"enabled": true, "description": text}}}).to_string(),
    }});
    let config = "---\napiVersion: toolset.kubernaut.io/v1alpha1\nkind: ToolsetConfig\nmetadata: {name: c, namespace: holmes}\n\
                  spec: {sources: [{name: a, trust: Trusted, namespaces: {from: All}}], output: {base: {configMapName: mine}}}\n";
    let run = run_with_input(&["render", "-f", "-", "-o", "holmesgpt"], &format!("{base}\n{config}"));
    let file: Value = serde_saphyr::from_str(&run.stdout).unwrap();
    assert_eq!(file["toolsets"]["mine"]["description"], text, "{}", run.stdout);
    let run = run_with_input(&["render", "-f", "-", "-o", "configmap"], &format!("{base}\n{config}"));
    let map: Value = serde_saphyr::from_str(&run.stdout).unwrap();
    let file: Value = serde_saphyr::from_str(map["data"]["custom_toolset.yaml"].as_str().unwrap()).unwrap();
    assert_eq!(file["toolsets"]["mine"]["description"], text);
}

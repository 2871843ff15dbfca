//! What the chart renders, without any cluster.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use e2e::chart::{DATA_STORAGE, Helm, arguments, objects, of_kind, only};
use serde_json::{Value, json};

use super::{EVERYTHING, SMALLEST};
use crate::grafana;

fn helm() -> Result<Option<Helm>> {
    Helm::find_for(DATA_STORAGE)
}

fn pod(rendered: &[Value], kind: &str) -> Result<Value> {
    Ok(only(rendered, kind)?["spec"]["template"]["spec"].clone())
}

/// The names of all Secrets that the Pod mounts.
fn secrets(pod: &Value) -> BTreeSet<String> {
    let volumes = pod["volumes"].as_array().into_iter().flatten();
    let mounted = volumes.flat_map(|volume| {
        let projected = volume["projected"]["sources"].as_array().into_iter().flatten();
        let own = volume["secret"]["secretName"].as_str();
        projected.filter_map(|source| source["secret"]["name"].as_str()).chain(own).map(str::to_owned)
    });
    mounted.collect()
}

/// The value of an environment variable of the Pod's container.
fn value_of<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    let variables = pod["containers"][0]["env"].as_array()?;
    variables.iter().find(|variable| variable["name"] == name)?["value"].as_str()
}

fn names(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_object_is_in_the_releases_namespace_and_carries_the_labels() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    for object in helm.template(EVERYTHING)? {
        let (kind, metadata) = (object["kind"].as_str().context("no kind")?, &object["metadata"]);
        let expected = if kind.starts_with("ClusterRole") { Value::Null } else { json!("audit") };
        assert_eq!(metadata["namespace"], expected, "{kind} {}", metadata["name"]);
        for label in ["app.kubernetes.io/name", "app.kubernetes.io/instance", "helm.sh/chart", "team"] {
            ensure!(metadata["labels"][label].is_string(), "{kind} {} has no label {label}", metadata["name"]);
        }
        ensure!(metadata["annotations"]["owner"] == "platform", "{kind} {} has no annotation", metadata["name"]);
    }
    Ok(())
}

#[test]
fn every_pod_may_do_as_little_as_possible() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template(SMALLEST)?;
    let test = helm.template_of_test(SMALLEST)?;
    for (pod, has_token) in [
        (pod(&rendered, "Deployment")?, true),
        (pod(&rendered, "Job")?, false),
        (only(&test, "Pod")?["spec"].clone(), false),
    ] {
        assert_eq!(
            pod["securityContext"],
            json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                   "seccompProfile": {"type": "RuntimeDefault"}})
        );
        assert_eq!(
            pod["containers"][0]["securityContext"],
            json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
        );
        assert_eq!(pod["automountServiceAccountToken"], json!(has_token));
        let variables = pod["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        ensure!(variables.iter().all(|variable| variable["value"].is_string()), "a secret is a file, not a variable");
    }
    assert_eq!(only(&rendered, "ServiceAccount")?["automountServiceAccountToken"], json!(false));
    Ok(())
}

#[test]
fn only_the_migration_mounts_the_credential_of_the_owner() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template(SMALLEST)?;
    assert_eq!(secrets(&pod(&rendered, "Deployment")?), names(&["certificate", "service"]));
    assert_eq!(secrets(&pod(&rendered, "Job")?), names(&["owner"]));
    assert_eq!(secrets(&only(&helm.template_of_test(SMALLEST)?, "Pod")?["spec"]), names(&["service"]));
    let rendered = helm.template(EVERYTHING)?;
    let of_service = ["chain", "data-storage-tls", "pg-ca", "provider", "provider-ca", "read-tokens", "service"];
    let service = pod(&rendered, "Deployment")?;
    assert_eq!(secrets(&service), names(&of_service));
    let keys = "1:/etc/datastorage/chain-keys/1,2:/etc/datastorage/chain-keys/2";
    assert_eq!(value_of(&service, "DATASTORAGE_CHAIN_KEY_FILE"), Some(keys));
    assert_eq!(secrets(&pod(&rendered, "Job")?), names(&["owner", "pg-ca"]));
    Ok(())
}

#[test]
fn limits_and_the_model_reach_the_program() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let model = "embedding: {provider: http, url: 'http://tei.ai:8080', model: bge-base, dimensions: 768}";
    let limits = "limits: {writesPerSecond: 9, burst: 10, requestsInFlight: 11, connectionsPerAddress: 2048}";
    for (values, flags) in [
        (
            SMALLEST.to_owned(),
            &["--rate-limit-writes=500", "--rate-limit-in-flight=64", "--connections-per-address=512"][..],
        ),
        (
            format!("{SMALLEST}{model}\n{limits}\n"),
            &[
                "--embedding-model=bge-base",
                "--embedding-dimensions=768",
                "--rate-limit-writes=9",
                "--rate-limit-burst=10",
                "--rate-limit-in-flight=11",
                "--connections-per-address=2048",
            ],
        ),
    ] {
        let pod = pod(&helm.template(&values)?, "Deployment")?;
        let given = pod["containers"][0]["args"].as_array().context("no arguments")?;
        for flag in flags {
            ensure!(given.contains(&json!(flag)), "{flag} is missing in {given:?}");
        }
    }
    Ok(())
}

#[test]
fn a_url_in_the_values_reaches_the_program_as_a_file_and_changes_the_pods() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    for (kind, url) in
        [("Deployment", "postgresql://service@pg:5432/datastorage"), ("Job", "postgresql://owner@pg:5432/datastorage")]
    {
        let template = &only(&rendered, kind)?["spec"]["template"];
        assert_eq!(template["metadata"]["annotations"]["datastorage.kubernaut.io/database-url"], json!(url));
        let file = &template["spec"]["volumes"][0]["projected"]["sources"][0]["downwardAPI"]["items"][0];
        assert_eq!(file["fieldRef"]["fieldPath"], "metadata.annotations['datastorage.kubernaut.io/database-url']");
        assert_eq!(file["path"], "url");
        // So that `kubectl exec … -- /datastorage verify` has them too.
        for (variable, value) in [
            ("DATASTORAGE_DATABASE_URL_FILE", "/etc/datastorage/database/url"),
            ("DATASTORAGE_DATABASE_PASSWORD_FILE", "/etc/datastorage/database/password"),
            ("DATASTORAGE_DATABASE_CA", "/etc/datastorage/database/ca.crt"),
        ] {
            assert_eq!(value_of(&template["spec"], variable), Some(value), "{kind}");
        }
    }
    let with_secret =
        helm.template("{tls: {enabled: false}, database: {urlSecret: {name: s}}, migration: {by: Service}}")?;
    let template = &only(&with_secret, "Deployment")?["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"].get("datastorage.kubernaut.io/database-url"), None);
    Ok(())
}

#[test]
fn the_program_knows_every_argument_and_variable() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    let test = helm.template_of_test(EVERYTHING)?;
    for pod in [pod(&rendered, "Deployment")?, pod(&rendered, "Job")?, only(&test, "Pod")?["spec"].clone()] {
        let container = &pod["containers"][0];
        let arguments: Vec<String> = serde_json::from_value(container["args"].clone())?;
        let mut line = vec!["datastorage".to_owned()];
        line.extend(arguments);
        // The names of the variables follow from the names of the flags.
        for variable in container["env"].as_array().into_iter().flatten() {
            let name =
                variable["name"].as_str().and_then(|name| name.strip_prefix("DATASTORAGE_")).context("no name")?;
            let flag = name.to_lowercase().replace('_', "-");
            // The test of the release needs the connection only.
            if line[1] != "check" || flag.starts_with("database") || flag == "schema" {
                line.push(format!("--{flag}={}", variable["value"].as_str().context("no value")?));
            }
        }
        datastorage::args::Args::read(line.clone()).with_context(|| format!("{line:?}"))?;
    }
    Ok(())
}

#[test]
fn the_job_migrates_before_the_service_and_the_service_only_checks() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let migrate = |values: &str| -> Result<(usize, bool, bool)> {
        let rendered = helm.template(values)?;
        let of_service = arguments(only(&rendered, "Deployment")?)?;
        let has = |argument: &str| of_service.contains(&argument.to_owned());
        Ok((of_kind(&rendered, "Job").len(), has("--migrate=check"), has("--migrate=auto")))
    };
    let by = |by: &str| {
        format!("{{tls: {{enabled: false}}, database: {{urlSecret: {{name: s}}}}, migration: {{by: {by}}}}}")
    };
    assert_eq!(migrate(SMALLEST)?, (1, true, false));
    assert_eq!(migrate(&by("Service"))?, (0, false, true));
    assert_eq!(migrate(&by("Manual"))?, (0, true, false));
    let rendered = helm.template(SMALLEST)?;
    let job = only(&rendered, "Job")?;
    assert_eq!(job["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade");
    let arguments = arguments(job)?;
    assert_eq!(arguments[0], "migrate");
    ensure!(arguments.contains(&"--service-role=service".to_owned()), "the user of the URL is the role: {arguments:?}");
    // The Service must not send requests to it.
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    ensure!(
        labels["app.kubernetes.io/name"]
            != only(&rendered, "Deployment")?["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]
    );
    Ok(())
}

#[test]
fn the_service_shows_the_toolset_operator_an_mcp_server() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let service = |values: &str| -> Result<Value> {
        let rendered = helm.template(values)?;
        let services = of_kind(&rendered, "Service");
        let api = services.into_iter().find(|service| service["metadata"]["name"] == "data-storage");
        Ok(api.context("no Service")?.clone())
    };
    let shown = service(SMALLEST)?;
    assert_eq!(
        shown["metadata"]["annotations"],
        json!({"kubernaut.io/toolset": "enabled", "kubernaut.io/toolset-type": "mcp", "kubernaut.io/toolset-path": "/mcp",
               "kubernaut.io/toolset-name": "datastorage", "kubernaut.io/toolset-scheme": "https"})
    );
    assert_eq!(
        shown["spec"]["ports"],
        json!([{"name": "api", "port": 8080, "targetPort": "api", "protocol": "TCP", "appProtocol": "mcp"}])
    );
    let plain = service(&SMALLEST.replace("secretName: certificate", "enabled: false"))?;
    assert_eq!(plain["metadata"]["annotations"]["kubernaut.io/toolset-scheme"], "http");
    let hidden = service(&format!("{SMALLEST}\nservice: {{discovery: false}}"))?;
    assert_eq!(hidden["metadata"].get("annotations"), None);
    Ok(())
}

#[test]
fn the_service_account_may_check_tokens_and_permissions_and_nothing_else() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    assert_eq!(only(&rendered, "ClusterRoleBinding")?["roleRef"]["name"], "system:auth-delegator");
    assert_eq!(of_kind(&rendered, "Role").len() + of_kind(&rendered, "RoleBinding").len(), 0);
    for role in of_kind(&rendered, "ClusterRole") {
        for rule in role["rules"].as_array().into_iter().flatten() {
            assert_eq!(
                (&rule["apiGroups"], &rule["resources"]),
                (&json!(["datastorage.kubernaut.io"]), &json!(["auditrecords"]))
            );
        }
    }
    Ok(())
}

#[test]
fn only_the_named_namespaces_reach_the_api_and_the_pod_reaches_only_what_it_needs() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let policy =
        |values: &str| -> Result<Value> { Ok(only(&helm.template(values)?, "NetworkPolicy")?["spec"].clone()) };
    let namespace = |name: &str| json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
    let of_api = |policy: &Value| policy["ingress"][1].clone();
    assert_eq!(of_api(&policy(SMALLEST)?)["from"], json!([namespace("audit")]));
    let everything = policy(EVERYTHING)?;
    assert_eq!(of_api(&everything)["from"], json!([namespace("audit"), namespace("holmes")]));
    assert_eq!(of_api(&everything)["ports"], json!([{"port": "api", "protocol": "TCP"}]));
    let ports = |policy: &Value| -> Vec<Value> {
        let rules = policy["egress"].as_array().into_iter().flatten();
        rules
            .flat_map(|rule| rule["ports"].as_array().cloned().unwrap_or_default())
            .map(|port| port["port"].clone())
            .collect()
    };
    assert_eq!(ports(&policy(SMALLEST)?), [53, 53, 443, 6443, 5432].map(|port| json!(port)));
    assert_eq!(ports(&everything), [53, 53, 443, 6443, 5432, 80, 8080].map(|port| json!(port)));
    Ok(())
}

#[test]
fn the_replicas_prefer_different_nodes_and_one_may_be_evicted_at_a_time() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template(SMALLEST)?;
    assert_eq!(only(&rendered, "Deployment")?["spec"]["replicas"], json!(2));
    let affinity = &pod(&rendered, "Deployment")?["affinity"]["podAntiAffinity"];
    let preferred = &affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(preferred["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(preferred["labelSelector"]["matchLabels"]["app.kubernetes.io/name"], "data-storage");
    assert_eq!(only(&rendered, "PodDisruptionBudget")?["spec"]["maxUnavailable"], json!(1));
    let one = helm.template(&format!("{SMALLEST}\nreplicaCount: 1"))?;
    assert_eq!(of_kind(&one, "PodDisruptionBudget").len(), 0);
    Ok(())
}

#[test]
fn the_certificate_is_for_every_name_of_the_service() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    let spec = &only(&rendered, "Certificate")?["spec"];
    assert_eq!(
        spec["dnsNames"],
        json!([
            "data-storage.audit.svc",
            "data-storage.audit.svc.cluster.local",
            "data-storage.audit",
            "audit.example.com"
        ])
    );
    ensure!(secrets(&pod(&rendered, "Deployment")?).contains(spec["secretName"].as_str().context("no name")?));
    assert_eq!(of_kind(&helm.template(SMALLEST)?, "Certificate").len(), 0);
    Ok(())
}

#[test]
fn on_openshift_the_user_is_left_to_it() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template_with(SMALLEST, &["security.openshift.io/v1"])?;
    for kind in ["Deployment", "Job"] {
        let context = &pod(&rendered, kind)?["securityContext"];
        assert_eq!(*context, json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}), "{kind}");
    }
    Ok(())
}

#[test]
fn the_pod_has_longer_to_end_than_the_service_takes() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template(&format!("{SMALLEST}\nshutdownTimeoutSeconds: 45"))?;
    assert!(arguments(only(&rendered, "Deployment")?)?.contains(&"--shutdown-timeout=45s".to_owned()));
    assert_eq!(pod(&rendered, "Deployment")?["terminationGracePeriodSeconds"], json!(55));
    Ok(())
}

#[test]
fn the_rendered_rules_and_the_dashboard_are_the_files() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    let rules = &only(&rendered, "PrometheusRule")?["spec"]["groups"][0]["rules"];
    let rules: Vec<_> = rules.as_array().into_iter().flatten().collect();
    let named: BTreeSet<_> = rules.iter().filter_map(|rule| rule["alert"].as_str()).collect();
    let mut expected = grafana::alerts(DATA_STORAGE)?;
    expected.retain(|(alert, _)| alert != "DataStorageLowCacheHitRate");
    assert_eq!(named, expected.iter().map(|(alert, _)| alert.as_str()).collect());
    ensure!(rules.iter().all(|rule| rule["labels"]["team"] == "platform"), "{rules:?}");
    let text = &only(&rendered, "ConfigMap")?["data"]["data-storage.json"];
    let shown: Value = serde_json::from_str(text.as_str().context("no dashboard")?)?;
    assert_eq!(shown, grafana::read(DATA_STORAGE)?);
    let monitor = &only(&rendered, "ServiceMonitor")?["spec"];
    let service =
        of_kind(&rendered, "Service").into_iter().find(|service| service["metadata"]["name"] == "data-storage-metrics");
    for (label, value) in monitor["selector"]["matchLabels"].as_object().context("no selector")? {
        assert_eq!(service.context("no Service")?["metadata"]["labels"][label], *value);
    }
    Ok(())
}

#[test]
fn helm_lints_the_chart_without_a_warning() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let values = helm.values(EVERYTHING)?;
    let folder = DATA_STORAGE.folder().into_os_string();
    helm.run(["lint".into(), "--strict".into(), folder, "--values".into(), values.into_os_string()])?;
    Ok(())
}

#[test]
fn the_example_values_fit_the_example_cluster() -> Result<()> {
    let Some(helm) = helm()? else { return Ok(()) };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data-storage/cloudnative-pg");
    let read = |file: &str| fs::read_to_string(folder.join(file)).with_context(|| file.to_owned());
    let cluster = objects(&read("cluster.yaml")?)?.remove(0);
    let rendered = helm.template(&read("values.yaml")?)?;
    let name = cluster["metadata"]["name"].as_str().context("no name")?;
    let role = &cluster["spec"]["managed"]["roles"][0];
    // CloudNativePG makes the Secrets with the suffixes -app and -ca, and the Service with -rw.
    assert_eq!(secrets(&pod(&rendered, "Job")?), names(&[&format!("{name}-app"), &format!("{name}-ca")]));
    let service = secrets(&pod(&rendered, "Deployment")?);
    ensure!(service.contains(role["passwordSecret"]["name"].as_str().context("no Secret")?), "{service:?}");
    let url = &only(&rendered, "Deployment")?["spec"]["template"]["metadata"]["annotations"];
    let url = url["datastorage.kubernaut.io/database-url"].as_str().context("no URL")?;
    let user = role["name"].as_str().context("no role")?;
    ensure!(url.starts_with(&format!("postgresql://{user}@{name}-rw.")), "{url}");
    ensure!(arguments(only(&rendered, "Job")?)?.contains(&format!("--service-role={user}")));
    Ok(())
}

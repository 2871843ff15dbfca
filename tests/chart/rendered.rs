//! What the chart renders, without any cluster.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use e2e::chart::{Helm, arguments, objects, of_kind, only};

/// Everything that can be switched on.
pub(crate) const EVERYTHING: &str = r"
replicaCount: 2
configNamespaces: [holmes, agents]
rolloutRestart: [{name: holmes-holmes}, {name: robusta, namespace: agents}]
agents:
- {toolsetConfig: default, service: holmes-holmes, port: 80}
- toolsetConfig: other
  namespace: agents
  service: robusta-holmes
  port: http
  podPort: 5443
  scheme: https
  apiKeySecret: {name: robusta-holmes-api-key, key: apiKey}
  caSecret: {name: robusta-holmes-tls, key: ca.crt}
audit:
  enabled: true
  url: https://data-storage.data-storage.svc:8443
  caConfigMap: {name: data-storage-ca, key: ca.crt}
  podPort: 8443
probing: {enabled: true}
commonLabels: {team: platform}
commonAnnotations: {owner: platform}
rbac: {aggregateToEdit: true}
networkPolicy: {egress: {enabled: true}}
metrics:
  serviceMonitor: {enabled: true, labels: {release: kps}, interval: 15s}
  prometheusRule: {enabled: true, alertLabels: {team: platform}, disabled: [ToolsetNoLeader]}
  dashboard: {enabled: true}
";

const KIND: &str = "toolset.kubernaut.io/v1alpha1/ToolsetConfig";
const SHIPPED: &str =
    "toolsetConfigs: [{name: default, spec: {sources: [{name: a, trust: Trusted, namespaces: {from: Same}}]}}]";

/// Fails unless Helm refuses the values, and says what is wrong.
pub(crate) fn refused(helm: &Helm, values: &str, named: &str) -> Result<()> {
    let error = helm.template(values).err().with_context(|| format!("{values} is accepted"))?;
    ensure!(format!("{error:#}").contains(named), "{values}: not {named:?} but {error:#}");
    Ok(())
}

fn names(objects: &[Value], kind: &str) -> BTreeSet<String> {
    of_kind(objects, kind)
        .iter()
        .map(|object| object["metadata"]["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_object_is_in_the_releases_or_an_agents_namespace_and_carries_the_labels() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let cluster_wide = [
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    for object in helm.template(EVERYTHING)? {
        let (kind, metadata) = (object["kind"].as_str().context("no kind")?, &object["metadata"]);
        let namespace = metadata["namespace"].as_str();
        let of_api_server = metadata["name"].as_str().is_some_and(|name| name.ends_with("-apiserver"));
        let expected: &[Option<&str>] = match kind {
            kind if cluster_wide.contains(&kind) => &[None],
            // The operator reads the addresses of the API server there, so that it never calls them.
            _ if of_api_server => &[Some("default")],
            _ => &[Some("holmes"), Some("agents")],
        };
        ensure!(expected.contains(&namespace), "{kind} {} is in {namespace:?}", metadata["name"]);
        for label in [
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/version",
            "helm.sh/chart",
            "team",
        ] {
            ensure!(metadata["labels"][label].is_string(), "{kind} {} has no label {label}", metadata["name"]);
        }
        ensure!(metadata["annotations"]["owner"] == "platform", "{kind} {} has no annotation", metadata["name"]);
    }
    Ok(())
}

#[test]
fn the_pod_may_do_as_little_as_possible() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let rendered = helm.template("{}")?;
    let pod = &only(&rendered, "Deployment")?["spec"]["template"]["spec"];
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
    );
    assert_eq!(
        container["resources"],
        json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}})
    );
    assert_eq!(container["livenessProbe"]["httpGet"], json!({"path": "/health", "port": "health"}));
    assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": "/ready", "port": "health"}));
    assert_eq!(only(&rendered, "ServiceAccount")?["automountServiceAccountToken"], json!(false));
    Ok(())
}

#[test]
fn the_pod_has_longer_to_end_than_the_controller_takes() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let rendered = helm.template("shutdownTimeoutSeconds: 45")?;
    let deployment = only(&rendered, "Deployment")?;
    assert!(arguments(deployment)?.contains(&"--shutdown-timeout=45s".to_owned()));
    assert_eq!(deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], json!(55));
    Ok(())
}

#[test]
fn only_lists_of_verbs_and_resources_are_granted_and_no_secrets() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    let roles = of_kind(&rendered, "ClusterRole").into_iter().chain(of_kind(&rendered, "Role"));
    for rule in roles.flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default()) {
        let text = rule.to_string();
        ensure!(!text.contains('*') && !text.contains("secrets"), "{text}");
    }
    Ok(())
}

#[test]
fn without_cluster_roles_there_is_none() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let rendered =
        helm.template("{rbac: {clusterRoles: false}, watchNamespaces: [monitoring], crds: {enabled: false}}")?;
    for kind in ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "ValidatingAdmissionPolicy"] {
        assert_eq!(names(&rendered, kind), BTreeSet::new(), "{kind}");
    }
    // All namespaces cannot be watched then.
    refused(&helm, "rbac: {clusterRoles: false}", "watchNamespaces")
}

#[test]
fn the_right_to_namespaces_ends_with_the_feature_and_with_the_list() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let granted = |values: &str| -> Result<Option<Value>> {
        let rendered = helm.template(values)?;
        let roles = of_kind(&rendered, "ClusterRole");
        let mut all = roles.iter().flat_map(|role| role["rules"].as_array().into_iter().flatten());
        Ok(all.find(|rule| rule["resources"] == json!(["namespaces"])).cloned())
    };
    assert_eq!(granted("{}")?.context("no rule")?.get("resourceNames"), None);
    assert_eq!(granted("watchNamespaces: [b, a]")?.context("no rule")?["resourceNames"], json!(["a", "b"]));
    assert_eq!(granted("rbac: {namespaceSelectors: false}")?, None);
    // To notice that a namespace does not exist.
    let named = granted("{rbac: {namespaceSelectors: false}, watchNamespaces: [a]}")?.context("no rule")?;
    assert_eq!((&named["resourceNames"], &named["verbs"]), (&json!(["a"]), &json!(["get"])));
    Ok(())
}

#[test]
fn pods_can_be_got_where_services_are_watched_and_nowhere_else() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let granted = |values: &str| -> Result<Vec<(String, Option<String>, Value)>> {
        let rendered = helm.template(values)?;
        let roles = of_kind(&rendered, "ClusterRole").into_iter().chain(of_kind(&rendered, "Role"));
        let mut all = Vec::new();
        for role in roles {
            let granted = role["rules"].as_array().into_iter().flatten();
            for rule in granted.filter(|rule| rule["resources"] == json!(["pods"])) {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let kind = text(&role["kind"]).context("a role without a kind")?;
                all.push((kind, text(&role["metadata"]["namespace"]), rule["verbs"].clone()));
            }
        }
        Ok(all)
    };
    let of_role = |namespace: &str| ("Role".to_owned(), Some(namespace.to_owned()), json!(["get"]));
    assert_eq!(granted("{}")?, [("ClusterRole".to_owned(), None, json!(["get"]))]);
    assert_eq!(granted("watchNamespaces: [b, a]")?, [of_role("a"), of_role("b")]);
    assert_eq!(granted("rbac: {pods: false}")?, []);
    assert_eq!(granted("{rbac: {pods: false}, watchNamespaces: [a]}")?, []);
    Ok(())
}

#[test]
fn a_restart_is_granted_for_the_named_deployments_only() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let granted = |values: &str| -> Result<Vec<Value>> {
        let rendered = helm.template(values)?;
        let roles = of_kind(&rendered, "Role").into_iter().chain(of_kind(&rendered, "ClusterRole"));
        let all = roles.flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default());
        Ok(all.filter(|rule| rule["apiGroups"] == json!(["apps"])).collect())
    };
    assert_eq!(granted("{}")?, Vec::<Value>::new());
    let named = json!({"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["a", "b"], "verbs": ["get", "patch"]});
    assert_eq!(granted("rolloutRestart: [{name: b}, {name: a}]")?, [named]);
    // No ToolsetConfig there is honoured.
    refused(
        &helm,
        "rolloutRestart: [{name: a, namespace: elsewhere}]",
        "Deployment a in namespace elsewhere, which is not one of configNamespaces",
    )
}

#[test]
fn records_have_a_token_for_data_storage_alone_and_are_off_by_default() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    let pod = &only(&rendered, "Deployment")?["spec"]["template"]["spec"];
    let arguments: Vec<_> = pod["containers"][0]["args"].as_array().context("no arguments")?.iter().collect();
    for argument in [
        "--audit-url=https://data-storage.data-storage.svc:8443",
        "--audit-token-file=/var/run/toolset-operator/audit/token",
        "--audit-ca-file=/var/run/toolset-operator/audit/ca.crt",
        "--audit-queue=1024",
    ] {
        ensure!(arguments.contains(&&json!(argument)), "{argument} is not among {arguments:?}");
    }
    let volume = pod["volumes"].as_array().context("no volumes")?.iter().find(|volume| volume["name"] == "audit");
    let sources = json!([
        {"serviceAccountToken": {"audience": "datastorage", "expirationSeconds": 3600, "path": "token"}},
        {"configMap": {"name": "data-storage-ca", "optional": true, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]);
    assert_eq!(volume.context("no volume")?["projected"]["sources"], sources);
    let records = |rendered: &[Value]| -> BTreeSet<String> {
        let roles = of_kind(rendered, "Role");
        let may = roles.iter().filter(|role| role["rules"][0]["resources"] == json!(["auditrecords"]));
        may.filter_map(|role| role["metadata"]["namespace"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(records(&rendered), ["agents", "holmes"].map(str::to_owned).into());
    let egress = &only(&rendered, "NetworkPolicy")?["spec"]["egress"];
    let ports = |ports: Value| egress.as_array().is_some_and(|rules| rules.contains(&json!({"ports": ports})));
    ensure!(ports(json!([{"port": 8443, "protocol": "TCP"}])), "{egress:#}");
    ensure!(ports(json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}])), "{egress:#}");

    let default = helm.template("networkPolicy: {egress: {enabled: true}}")?;
    assert_eq!(records(&default), BTreeSet::new());
    ensure!(!serde_json::to_string(&default)?.contains("audit"), "something of records is there by default");
    refused(&helm, "audit: {enabled: true}", "audit.url is empty")?;
    refused(&helm, "audit: {enabled: true, url: 'https://x'}", "requires audit.caSecret or audit.caConfigMap")?;
    refused(&helm, "audit: {enabled: true, url: 'https://u:p@x'}", "audit")
}

#[test]
fn on_openshift_the_user_is_left_to_it_and_owner_references_may_block() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let with = |values: &str, kinds: &[&str]| -> Result<(bool, bool)> {
        let rendered = helm.template_with(values, kinds)?;
        let user =
            only(&rendered, "Deployment")?["spec"]["template"]["spec"]["securityContext"].get("runAsUser").is_some();
        Ok((user, serde_json::to_string(&of_kind(&rendered, "Role"))?.contains("toolsetconfigs/finalizers")))
    };
    assert_eq!(with("{}", &[])?, (true, false));
    assert_eq!(with("{}", &["security.openshift.io/v1"])?, (false, true));
    assert_eq!(with("openshift: Enabled", &[])?, (false, true));
    assert_eq!(with("openshift: Disabled", &["security.openshift.io/v1"])?, (true, false));
    Ok(())
}

#[test]
fn toolset_configs_are_rendered_only_where_the_kind_is_known() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    assert_eq!(names(&helm.template(SHIPPED)?, "ToolsetConfig"), BTreeSet::new());
    let rendered = helm.template_with(SHIPPED, &[KIND])?;
    let config = only(&rendered, "ToolsetConfig")?;
    assert_eq!((&config["metadata"]["name"], &config["metadata"]["namespace"]), (&json!("default"), &json!("holmes")));
    assert_eq!(config["spec"]["sources"][0]["namespaces"], json!({"from": "Same"}));
    Ok(())
}

#[test]
fn a_toolset_config_that_nobody_would_honour_is_refused() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let error = helm.template(&format!("configNamespaces: [agents]\n{SHIPPED}")).unwrap_err().to_string();
    assert!(error.contains("which is not one of configNamespaces (agents)"), "{error}");
    Ok(())
}

#[test]
fn what_only_makes_sense_with_two_replicas_is_left_out_with_one() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let spread = |rendered: &[Value]| -> Result<bool> {
        Ok(only(rendered, "Deployment")?["spec"]["template"]["spec"].get("topologySpreadConstraints").is_some())
    };
    let (one, two) = (helm.template("{}")?, helm.template("replicaCount: 2")?);
    assert_eq!((of_kind(&one, "PodDisruptionBudget").len(), spread(&one)?), (0, false));
    assert_eq!((of_kind(&two, "PodDisruptionBudget").len(), spread(&two)?), (1, true));
    refused(&helm, "{replicaCount: 2, leaderElection: {enabled: false}}", "leaderElection.enabled is false")
}

#[test]
fn a_digest_wins_over_the_tag() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let image = |values: &str| -> Result<Value> {
        let rendered = helm.template(values)?;
        Ok(only(&rendered, "Deployment")?["spec"]["template"]["spec"]["containers"][0]["image"].clone())
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(image("image: {repository: r/i, tag: t}")?, json!("r/i:t"));
    assert_eq!(
        image(&format!("image: {{repository: r/i, tag: t, digest: '{digest}'}}"))?,
        json!(format!("r/i@{digest}"))
    );
    Ok(())
}

#[test]
fn a_crd_that_shall_stay_says_so_and_is_the_generated_one() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let policy = |values: &str| -> Result<Option<Value>> {
        let rendered = helm.template(values)?;
        let crd = only(&rendered, "CustomResourceDefinition")?;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/toolsetconfigs.toolset.kubernaut.io.yaml");
        let generated: Value = serde_saphyr::from_str(&fs::read_to_string(file)?)?;
        ensure!(crd["spec"] == generated["spec"], "the chart's CRD differs from crds/");
        Ok(crd["metadata"]["annotations"].get("helm.sh/resource-policy").cloned())
    };
    assert_eq!(policy("{}")?, Some(json!("keep")));
    assert_eq!(policy("crds: {keep: false}")?, None);
    Ok(())
}

#[test]
fn a_misspelt_or_mistyped_value_is_refused() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    for (values, named) in [
        ("replicas: 2", "'replicas' not allowed"),
        ("crds: {keeep: true}", "at '/crds': additional properties 'keeep'"),
        ("metrics: {serviceMonitor: {enable: true}}", "at '/metrics/serviceMonitor': additional properties 'enable'"),
        ("replicaCount: two", "at '/replicaCount': got string"),
        ("watchNamespaces: [Not_A_Name]", "at '/watchNamespaces/0': 'Not_A_Name'"),
        ("image: {digest: latest}", "at '/image/digest': 'latest'"),
        ("log: {format: xml}", "at '/log/format'"),
        ("log: {level: nonsense}", "at '/log/level'"),
        ("log: {level: nonsense}", "value must be one of 'off', 'error', 'warn', 'info', 'debug', 'trace'"),
        ("log: {level: 'info,kube'}", "at '/log/level'"),
        // The program would refuse it.
        ("log: {level: 'info,debug'}", "at '/log/level'"),
        ("clusterDomain: a..b", "at '/clusterDomain'"),
        ("toolsetConfigs: [{name: x}]", "at '/toolsetConfigs/0': missing property 'spec'"),
        (
            "metrics: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}",
            "metrics.serviceMonitor and metrics.podMonitor are both enabled",
        ),
    ] {
        refused(&helm, values, named)?;
    }
    helm.template("{log: {level: 'warn,controller::api=trace'}, clusterDomain: corp.example}")?;
    Ok(())
}

#[test]
fn the_rendered_rules_are_the_file_without_the_disabled_ones() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    let rules = |groups: &Value| groups[0]["rules"].as_array().cloned().unwrap_or_default();
    let file: Value = serde_saphyr::from_str(&fs::read_to_string(crate::alerts::file())?)?;
    let mut expected = rules(&file["groups"]);
    expected.retain(|rule| rule["alert"] != "ToolsetNoLeader");
    for rule in &mut expected {
        rule["labels"]["team"] = json!("platform");
    }
    assert_eq!(rules(&only(&rendered, "PrometheusRule")?["spec"]["groups"]), expected);
    Ok(())
}

#[test]
fn the_dashboards_config_map_holds_the_file() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    let config_maps = of_kind(&rendered, "ConfigMap");
    let labelled = |object: &&&Value| object["metadata"]["labels"]["grafana_dashboard"] == "1";
    let config_map = config_maps.iter().find(labelled).context("no ConfigMap with the label")?;
    let shown: Value =
        serde_json::from_str(config_map["data"]["toolset-operator.json"].as_str().context("no dashboard")?)?;
    assert_eq!(shown, crate::grafana::read(e2e::chart::OPERATOR)?);
    Ok(())
}

#[test]
fn install_yaml_is_the_chart_with_its_defaults() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/install.yaml"))?;
    let without_helm = |mut object: Value| {
        for part in ["labels", "annotations"] {
            for holder in ["/metadata", "/spec/template/metadata"] {
                let Some(holder) = object.pointer_mut(holder).and_then(Value::as_object_mut) else { continue };
                let Some(map) = holder.get_mut(part).and_then(Value::as_object_mut) else { continue };
                map.retain(|key, _| !key.starts_with("helm.sh/") && key != "app.kubernetes.io/managed-by");
                if map.is_empty() {
                    holder.remove(part);
                }
            }
        }
        object
    };
    let normal = |objects: Vec<Value>| objects.into_iter().map(without_helm).collect::<Vec<_>>();
    assert_eq!(normal(objects(&committed)?), normal(helm.template("{}")?), "run `cargo xtask chart`");
    Ok(())
}

#[test]
fn helm_lints_the_chart_without_a_warning() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let values = helm.values(EVERYTHING)?;
    let arguments = [
        "lint".into(),
        "--strict".into(),
        e2e::chart::OPERATOR.folder().into_os_string(),
        "--values".into(),
        values.into(),
    ];
    helm.run(arguments)?;
    Ok(())
}

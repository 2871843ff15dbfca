//! The ToolsetConfigs.

use crd_types::{Mode, NamespacesFrom, ToolsetConfig};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};

use super::{Section, agent};
use crate::{
    live::{self, Reach, operator::Operator},
    status::Report,
};

/// Checks the ToolsetConfigs of one namespace, or all of them. `operators` is `None` if they are not known.
pub(super) async fn check(reach: &mut Reach<'_>, only: Option<&str>, operators: Option<&[Operator]>) -> Vec<Section> {
    let mut general = Section::new("ToolsetConfigs");
    let mut all = match reach.list::<ToolsetConfig>("ToolsetConfigs").await {
        Ok(all) => all,
        Err(failure) => {
            general.warn(format!("ToolsetConfigs cannot be read: {}.", live::message_of(&failure)), "");
            return vec![general];
        }
    };
    all.retain(|config| only.is_none_or(|only| config.namespace().as_deref() == Some(only)));
    all.sort_by_key(|config| (config.namespace(), config.name_any()));
    if all.is_empty() {
        let place = only.map(|only| format!(" in namespace {only}")).unwrap_or_default();
        general.warn(
            format!("There is no ToolsetConfig{place}, so the operator writes nothing."),
            "Create one in the namespace of the agent. See the quick start of the documentation.",
        );
        return vec![general];
    }
    let mut sections = Vec::new();
    for config in &all {
        sections.push(one(reach, config, operators).await);
    }
    sections
}

async fn one(reach: &Reach<'_>, config: &ToolsetConfig, operators: Option<&[Operator]>) -> Section {
    let namespace = config.namespace().unwrap_or_default();
    let report = Report::of(config);
    let mut section = Section::new(format!("ToolsetConfig {}", report.title()));
    let responsible: Vec<&Operator> = operators.into_iter().flatten().filter(|one| one.honours(&namespace)).collect();
    let honoured = operators.is_none_or(|all| all.is_empty() || !responsible.is_empty());
    if !honoured {
        let names: Vec<String> =
            operators.into_iter().flatten().filter_map(Operator::config_namespaces).flatten().collect();
        section.broken(
            format!("No operator handles ToolsetConfigs in namespace {namespace}, only in {}.", names.join(", ")),
            "Add the namespace to the value configNamespaces of the chart, or create the ToolsetConfig in one of these namespaces.",
        );
    }
    ready(&report, honoured, &mut section);
    sources(config, &responsible, &mut section);
    let writes = config.spec.mode == Mode::Apply;
    let name = &config.spec.output.config_map_name;
    match Api::<ConfigMap>::namespaced(reach.client.clone(), &namespace).get_metadata_opt(name).await {
        Ok(Some(_)) => section.ok(format!("ConfigMap {namespace}/{name} exists.")),
        Ok(None) if !writes => section.warn(
            format!("ConfigMap {namespace}/{name} does not exist, and spec.mode is {}.", config.spec.mode),
            "Set spec.mode to Apply to write it.",
        ),
        Ok(None) => section.broken(format!("ConfigMap {namespace}/{name} does not exist."), ""),
        Err(error) => {
            section.warn(format!("ConfigMap {namespace}/{name} cannot be read: {}", live::of_request(&error)), "");
        }
    }
    agent::check(reach.client, config, &namespace, name, &mut section).await;
    section
}

/// What the operator reports.
fn ready(report: &Report, honoured: bool, section: &mut Section) {
    let reason = report.reason.as_deref().unwrap_or_default();
    match report.ready.as_deref() {
        Some("True") if report.is_current => {
            section.ok(format!("Ready: {}", report.message));
        }
        Some(_) if !report.is_current => section.warn(
            format!("The status is for an older generation of the ToolsetConfig: {}", report.message),
            "The operator has not processed the change yet, or it is not running.",
        ),
        Some("Unknown") => section.warn(format!("Not ready yet ({reason}): {}", report.message), ""),
        Some(_) => section.broken(format!("Not ready ({reason}): {}", report.message), ""),
        None if honoured => section.broken(
            "It has no status, so no operator has processed it.",
            "Check that the operator is running, and that its flag --config-namespaces includes the namespace.",
        ),
        None => {}
    }
    for condition in report.conditions.iter().filter(|one| one.type_ != "Ready" && one.status != "True") {
        section.warn(
            format!("{} is {} ({}): {}", condition.type_, condition.status, condition.reason, condition.message),
            "",
        );
    }
}

/// Whether an operator sees the namespaces that the sources name.
fn sources(config: &ToolsetConfig, operators: &[&Operator], section: &mut Section) {
    let own = config.namespace().unwrap_or_default();
    for operator in operators {
        let Some(watched) = operator.watch_namespaces() else { continue };
        for source in &config.spec.sources {
            let named: Vec<&String> = match source.namespaces.from {
                NamespacesFrom::Names => source.namespaces.names.iter().collect(),
                NamespacesFrom::Same => vec![&own],
                NamespacesFrom::All | NamespacesFrom::Selector => continue,
            };
            let unseen: Vec<&str> =
                named.into_iter().filter(|name| !watched.contains(name)).map(String::as_str).collect();
            if !unseen.is_empty() {
                section.broken(
                    format!(
                        "Source {0} selects namespaces that {2} does not watch: {1}.",
                        source.name,
                        unseen.join(", "),
                        operator.title()
                    ),
                    "Add it to the value watchNamespaces of the chart.",
                );
            }
        }
    }
}

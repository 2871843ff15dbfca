//! `status`: what the operator reports about the ToolsetConfigs.

use std::collections::BTreeMap;

use crd_types::ToolsetConfig;
use kube::{Api, ResourceExt, api::ListParams};
use serde::Serialize;

use crate::{
    args::{Cluster, Status},
    explain::model::Condition,
    failure::Failure,
    live::{self, Reach},
    outcome::{Outcome, Output},
    paint::Paint,
    print,
    text::{Text, text, wrap},
};

/// The width of the labels.
const LABEL: usize = 9;

/// The status of one ToolsetConfig in short.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub namespace: String,
    pub name: String,
    /// The status of the condition Ready. `None` if the operator has not reported anything.
    pub ready: Option<String>,
    pub reason: Option<String>,
    pub message: String,
    /// Whether the status is about the current spec.
    pub is_current: bool,
    pub tools: i32,
    pub unhealthy: i32,
    /// The number of tools by type.
    pub tools_by_type: BTreeMap<String, i32>,
    pub rejected: i32,
    /// The number of rejected Services by reason. If the status is truncated, not all of them are counted.
    pub rejected_by_reason: BTreeMap<String, usize>,
    pub truncated: bool,
    pub output: Option<OutputReport>,
    /// `None` if the agent is not asked.
    pub agent: Option<AgentReport>,
    pub conditions: Vec<Condition>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OutputReport {
    pub config_map: String,
    pub bytes: i64,
    pub last_change_time: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentReport {
    pub version: String,
    /// How many replicas there are, and how many have loaded the current output.
    pub replicas: i32,
    pub current: i32,
}

pub(crate) fn run(cluster: &Cluster, args: &Status, paint: Paint) -> Result<Outcome, Failure> {
    let (configs, notes) = live::block_on(async {
        let client = live::connect(cluster).await?;
        let namespace = client.default_namespace().to_owned();
        let api = Api::<ToolsetConfig>::namespaced(client.clone(), &namespace);
        if let Some(name) = &args.name {
            let found = api.get_opt(name).await.map_err(|error| live::refused("ToolsetConfigs", &error))?;
            let found = found.ok_or_else(|| {
                Failure::input(format!("error: ToolsetConfig {name} was not found in namespace {namespace}"))
            })?;
            return Ok((vec![found], Vec::new()));
        }
        let mut reach = Reach::new(&client, None);
        if args.all_namespaces {
            let all = reach.list::<ToolsetConfig>("ToolsetConfigs").await?;
            let restricted = reach.note_about("ToolsetConfigs of other namespaces are not shown");
            let none = all.is_empty().then(|| match &restricted {
                Some(_) => format!("there is no ToolsetConfig in namespace {}", reach.namespace),
                None => "there is no ToolsetConfig in the cluster".to_owned(),
            });
            return Ok((all, none.into_iter().chain(restricted).collect()));
        }
        let here = api.list(&ListParams::default()).await.map_err(|error| live::refused("ToolsetConfigs", &error))?;
        let note = here
            .items
            .is_empty()
            .then(|| format!("there is no ToolsetConfig in namespace {namespace}; use -A for all namespaces"));
        Ok((here.items, note.into_iter().collect::<Vec<String>>()))
    })?;
    let mut reports: Vec<Report> = configs.iter().map(Report::of).collect();
    reports.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let output = match (args.output, &args.name, reports.as_slice()) {
        (Some(format), Some(_), [only]) => print::model(only, format)?,
        (Some(format), ..) => print::list(&reports, format)?,
        (None, _, []) => Output::Shown(Text::default()),
        (None, ..) => {
            let texts: Vec<Text> = reports.iter().map(|report| shown(report, paint)).collect();
            Output::Shown(Text::paragraphs(&texts).ended())
        }
    };
    Ok(Outcome::new(output, notes))
}

impl Report {
    pub(crate) fn of(config: &ToolsetConfig) -> Self {
        let status = config.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        let summary = status.summary.as_ref();
        let by_type = status.detectors.iter().filter(|one| one.tools > 0).map(|one| (one.type_.clone(), one.tools));
        let mut by_reason: BTreeMap<String, usize> = BTreeMap::new();
        for one in &status.rejected {
            *by_reason.entry(one.reason.clone()).or_default() += 1;
        }
        Self {
            namespace: config.namespace().unwrap_or_default(),
            name: config.name_any(),
            ready: ready.map(|ready| ready.status.clone()),
            reason: ready.map(|ready| ready.reason.clone()),
            message: match ready {
                Some(ready) => ready.message.clone(),
                None => "The operator has not reported a status. Find out why with kubectl toolset check.".to_owned(),
            },
            is_current: ready.is_some() && status.observed_generation == config.metadata.generation,
            tools: summary.map(|summary| summary.tools).unwrap_or_default(),
            unhealthy: summary.map(|summary| summary.unhealthy).unwrap_or_default(),
            tools_by_type: by_type.collect(),
            rejected: summary.map(|summary| summary.rejected).unwrap_or_default(),
            rejected_by_reason: by_reason,
            truncated: status.truncated,
            output: status.output.as_ref().map(|output| OutputReport {
                config_map: output.config_map.clone(),
                bytes: output.bytes,
                last_change_time: output.last_change_time.as_ref().map(|time| time.0.to_string()),
            }),
            agent: status.agent.as_ref().map(|agent| AgentReport {
                version: agent.version.clone(),
                replicas: agent.replicas,
                current: agent.current,
            }),
            conditions: status
                .conditions
                .iter()
                .map(|condition| Condition {
                    type_: condition.type_.clone(),
                    status: condition.status.clone(),
                    reason: condition.reason.clone(),
                    message: condition.message.clone(),
                })
                .collect(),
        }
    }

    /// The namespace and the name.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

fn shown(report: &Report, paint: Paint) -> Text {
    let entry = |label: &str, text: Text| Text::joined(&wrap(paint.width(), format!("  {label:<LABEL$} "), text));
    let title = paint.bold(report.title());
    let ready = match report.ready.as_deref() {
        Some("True") => paint.good("is ready"),
        Some("False") => paint.bad("is not ready"),
        Some(_) => paint.warn("is not ready yet"),
        None => paint.warn("has no status"),
    };
    let reason = report.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let mut lines = vec![text!(title, " ", ready, reason)];
    lines.push(entry("message", Text::from(&report.message)));
    if report.ready.is_none() {
        return Text::joined(&lines);
    }
    if !report.is_current {
        let old = "The status is for an older generation of the ToolsetConfig.";
        lines.push(entry("", paint.warn(old)));
    }
    let unhealthy = if report.unhealthy > 0 { format!(" ({} unhealthy)", report.unhealthy) } else { String::new() };
    let types = listed(report.tools_by_type.iter());
    lines.push(entry("tools", Text::from(format!("{}{unhealthy}{types}", report.tools))));
    let more = if report.truncated { ", and others that the status does not list" } else { "" };
    let reasons = listed(report.rejected_by_reason.iter());
    lines.push(entry("rejected", Text::from(format!("{}{reasons}{more}", report.rejected))));
    if let Some(output) = &report.output {
        let changed = output.last_change_time.as_ref().map(|time| format!(", changed at {time}")).unwrap_or_default();
        let map = format!("ConfigMap {}/{}", report.namespace, output.config_map);
        lines.push(entry("output", Text::from(format!("{map}, {} bytes{changed}", output.bytes))));
    }
    if let Some(agent) = &report.agent {
        let text = format!("{} of {} replicas have loaded the output", agent.current, agent.replicas);
        let version = if agent.version.is_empty() { String::new() } else { format!(" (version {})", agent.version) };
        let text = format!("{text}{version}");
        lines.push(entry("agent", if agent.current < agent.replicas { paint.warn(text) } else { Text::from(text) }));
    }
    for condition in report.conditions.iter().filter(|one| one.status != "True" && one.type_ != "Ready") {
        let text = format!("{} is {} ({}): {}", condition.type_, condition.status, condition.reason, condition.message);
        lines.push(entry("condition", paint.warn(text)));
    }
    Text::joined(&lines)
}

/// For example `: Grafana 1, Loki 2`.
fn listed<'a, N: ToString + 'a>(counts: impl Iterator<Item = (&'a String, N)>) -> String {
    let parts: Vec<String> = counts.map(|(name, number)| format!("{name} {}", number.to_string())).collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

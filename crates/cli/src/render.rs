//! `render`: prints the tools and the files that the operator writes.

mod paste;

use std::io::{self, IsTerminal};

use crd_types::ServiceReason;
use serde::Serialize;
use toolset::{Manifest, Plan, Tool, assumptions, render::HOLMESGPT_KEY, tool::Rejection};

use crate::{
    args::{Format, ModelFormat},
    failure::Failure,
    outcome::{Outcome, Output},
    paint::Paint,
    print,
    snapshot::{Objects, Planned, Snapshot},
    table::{Table, cell, health_colour, plain},
    text::{Text, count, text, wrap},
};

/// The format that is meant if the user names none: a table on a terminal, otherwise the ConfigMap.
pub(crate) fn format_or_default(format: Option<Format>) -> Format {
    format.unwrap_or(if io::stdout().is_terminal() { Format::Table } else { Format::Configmap })
}

/// Makes the plans and prints them in a format. Only a table shows the plans of several ToolsetConfigs.
pub(crate) fn run(
    objects: &mut Objects,
    cluster_domain: &str,
    format: Format,
    paint: Paint,
) -> Result<Outcome, Failure> {
    let several = objects.configs.len() > 1;
    let mut notes = objects.snapshot.notes.clone();
    let mut tables = Vec::new();
    let mut files = String::new();
    for result in objects.each(|snapshot| one(snapshot, cluster_domain, format, paint)) {
        let Rendering { config, output, notes: more } = result?;
        notes.extend(more.into_iter().map(|note| if several { format!("{config}: {note}") } else { note }));
        match output {
            Output::Shown(table) => tables.push(table),
            Output::Exact(file) => files.push_str(&file),
        }
    }
    notes.dedup();
    let output =
        if tables.is_empty() { Output::Exact(files) } else { Output::Shown(Text::paragraphs(&tables).ended()) };
    Ok(Outcome::new(output, notes))
}

/// What is printed for one ToolsetConfig.
struct Rendering {
    /// Its namespace and its name.
    config: String,
    output: Output,
    notes: Vec<String>,
}

fn one(snapshot: &Snapshot, cluster_domain: &str, format: Format, paint: Paint) -> Result<Rendering, Failure> {
    let Planned { plan, rendered, .. } = snapshot.plan(cluster_domain);
    let notes = plan.notes.iter().chain(&rendered.notes).map(|note| format!("{}: {}", note.reason, note.message));
    let notes = notes.chain(nothing_taken(snapshot, &plan)).collect();
    let output = match format {
        Format::Table => Output::Shown(table(snapshot, &plan, paint)),
        Format::Json => print::model(&file(&plan), ModelFormat::Json)?,
        Format::Yaml => print::model(&file(&plan), ModelFormat::Yaml)?,
        Format::Configmap => Output::Exact(print::yaml(&Manifest::new(&snapshot.config, &rendered))?),
        Format::Robusta => Output::Exact(paste::robusta(&plan)),
        Format::Kubernaut => Output::Exact(paste::kubernaut(&plan)),
        Format::Krr => Output::Exact(paste::krr(&plan)),
        Format::Holmesgpt => Output::Exact(rendered.data.get(HOLMESGPT_KEY).map(ToString::to_string).ok_or_else(
            || {
                Failure::input(format!(
                    "error: the operator does not write this file, because spec.output.formats of ToolsetConfig {} does not contain HolmesGPT",
                    snapshot.config_name()
                ))
            },
        )?),
    };
    Ok(Rendering { config: snapshot.config_name(), output, notes })
}

/// Says that there is no tool, and where to look.
fn nothing_taken(snapshot: &Snapshot, plan: &Plan) -> Option<String> {
    let services = snapshot.index.services_len();
    if services == 0 || !plan.tools.is_empty() {
        return None;
    }
    let of =
        if services == 1 { "the only Service is not".to_owned() } else { format!("none of {services} Services is") };
    let rejected = plan.rejected.len();
    let others = match (services - rejected.min(services), rejected) {
        (_, 0) => "no rule recognises any of them, or no source selects them".to_owned(),
        (0, _) => format!("{rejected} recognised and not taken"),
        (others, _) => format!("{rejected} recognised and not taken, {others} not recognised or not selected"),
    };
    Some(format!("{of} a tool: {others}; to find out why, run kubectl toolset explain NAME -n NAMESPACE"))
}

#[derive(Serialize)]
struct File<'a> {
    tools: Vec<ToolRow<'a>>,
    rejected: Vec<RejectedRow<'a>>,
}

#[derive(Serialize)]
struct ToolRow<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    type_: &'a str,
    namespace: &'a str,
    service: &'a str,
    port: u16,
    scheme: &'a str,
    path: &'a str,
    endpoint: String,
    source: &'a str,
    trust: &'a str,
    confidence: String,
    /// The piece of evidence that decided.
    evidence: &'a str,
    /// What the entry takes for granted or does not have. Always a list, so that programs need not ask.
    notes: Vec<String>,
}

#[derive(Serialize)]
struct RejectedRow<'a> {
    namespace: &'a str,
    service: &'a str,
    #[serde(rename = "type")]
    type_: &'a str,
    reason: &'a str,
    message: &'a str,
}

/// Sorted by namespace, Service and name. An entry of `spec.tools` has no namespace and no Service, so it comes first.
fn file(plan: &Plan) -> File<'_> {
    let mut tools: Vec<ToolRow<'_>> = plan.tools.iter().map(tool_row).collect();
    tools.sort_by_key(|tool| (tool.namespace, tool.service, tool.name));
    let mut rejected: Vec<RejectedRow<'_>> = plan.rejected.iter().map(rejected_row).collect();
    rejected.sort_by_key(|one| (one.namespace, one.service));
    File { tools, rejected }
}

fn tool_row(tool: &Tool) -> ToolRow<'_> {
    ToolRow {
        name: &tool.name,
        type_: tool.type_name(),
        namespace: tool.key.as_ref().map_or("", |key| &key.namespace),
        service: tool.key.as_ref().map_or("", |key| &key.name),
        port: tool.endpoint.port,
        scheme: tool.endpoint.scheme.as_str(),
        path: &tool.endpoint.path,
        endpoint: tool.endpoint.to_string(),
        source: &tool.source,
        trust: tool.trust.as_str(),
        confidence: tool.confidence.to_string(),
        evidence: &tool.decided_by,
        notes: assumptions::notes(tool),
    }
}

fn rejected_row(rejection: &Rejection) -> RejectedRow<'_> {
    RejectedRow {
        namespace: &rejection.key.namespace,
        service: &rejection.key.name,
        type_: rejection.type_name(),
        reason: rejection.reason.as_str(),
        message: &rejection.message,
    }
}

fn table(snapshot: &Snapshot, plan: &Plan, paint: Paint) -> Text {
    let mut lines = wrap(paint.columns.unwrap_or(usize::MAX), "", summary(snapshot, plan, paint));
    if !plan.tools.is_empty() {
        lines.push(Text::default());
        lines.push(paint.bold("Tools"));
        let health_known = snapshot.slices_known;
        let mut headers = vec!["TYPE", "SERVICE", "ENDPOINT", "CONFIDENCE", "SOURCE"];
        headers.extend(health_known.then_some("HEALTH"));
        let mut table = Table::new(&headers);
        for tool in &plan.tools {
            let service = tool.key.as_ref().map_or_else(|| format!("{} (spec.tools)", tool.name), ToString::to_string);
            let source = match tool.source.as_str() {
                "" => String::new(),
                source => format!("{source} ({})", tool.trust),
            };
            let mut row = vec![
                cell(tool.type_name(), Paint::good),
                cell(service, plain),
                cell(tool.endpoint.to_string(), Paint::link),
                cell(tool.confidence.to_string(), plain),
                cell(source, plain),
            ];
            if health_known {
                row.push(cell(tool.health.as_str(), health_colour(tool.health)));
            }
            table.row(row);
        }
        lines.extend(table.lines(paint, "  "));
    }
    if !plan.rejected.is_empty() {
        lines.push(Text::default());
        lines.push(paint.bold("Rejected"));
        let mut table = Table::new(&["TYPE", "SERVICE", "REASON", "MESSAGE"]);
        // Services that the user may want to change come first.
        let (expected, unexpected): (Vec<&Rejection>, Vec<&Rejection>) = plan.rejected.iter().partition(|rejection| {
            matches!(
                rejection.reason,
                ServiceReason::NotAnEndpoint | ServiceReason::HeadlessTwin | ServiceReason::LostToPreferred
            )
        });
        for rejection in unexpected.into_iter().chain(expected) {
            table.row(vec![
                cell(rejection.type_name(), plain),
                cell(rejection.key.to_string(), plain),
                cell(rejection.reason.as_str(), Paint::warn),
                cell(&rejection.message, Paint::dim),
            ]);
        }
        lines.extend(table.lines(paint, "  "));
    }
    Text::joined(&lines)
}

/// The numbers of Services, tools, and Services that are recognised and not taken.
fn summary(snapshot: &Snapshot, plan: &Plan, paint: Paint) -> Text {
    let services = count(snapshot.index.services_len(), "Service");
    let tools = count(plan.tools.len(), "tool");
    let tools = if plan.tools.is_empty() { paint.warn(tools) } else { paint.good(tools) };
    let config = if snapshot.config_given {
        format!("ToolsetConfig {}", snapshot.config_name())
    } else {
        "no ToolsetConfig, so every namespace is Trusted".to_owned()
    };
    text!(tools, format!(" from {services}, {} recognised and not taken ({config})", plan.rejected.len()))
}

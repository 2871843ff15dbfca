//! Renders the plan to the bytes of the `ConfigMap`: one file per format, and a size budget over all of them.

mod before;
mod budget;
pub mod environment;
pub mod grafana_datasources;
pub mod holmesgpt;
mod keys;
mod left_out;
mod toolset_json;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::{OutputFormat, Reason, ToolsetConfig, ToolsetConfigSpec};

pub use self::{
    before::{Before, CanFill, Earlier, Elsewhere},
    holmesgpt::AgentFile,
    keys::{DataKey, HOLMESGPT_KEY, TOOLSET_JSON_KEY, VARIABLES, grafana_key, is_of_a_format},
};
use self::{
    budget::Files,
    holmesgpt::{BaseFile, HolmesInput},
};
use crate::{
    digest,
    plan::Plan,
    tool::{Note, Tool},
};

/// The user's own toolsets.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// The text under `spec.output.base.key`.
    Text(&'a str),
    /// There is no text, and why.
    Missing(&'a str),
}

/// What the `ConfigMap` is to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Data key to content.
    pub data: BTreeMap<DataKey, Arc<str>>,
    /// SHA-256 over keys, contents and the labels of the spec, in hex.
    pub hash: Arc<str>,
    /// What `custom_toolset.yaml` asks of the running agent, or the variables of the format `Environment` as a file.
    /// `None` if none of them is written, or if the spec neither restarts nor observes the agent.
    pub agent_file: Option<Arc<AgentFile>>,
    /// Size of all keys and contents, in bytes.
    pub bytes: usize,
    /// The number of tools in it.
    pub entries: usize,
    /// Whether it changes again when Grafana has loaded the file.
    pub waits: bool,
    /// What the owner of the `ToolsetConfig` should know.
    pub notes: Vec<Note>,
}

/// Renders every format of the spec. Changes the plan if a format cannot take a name or if the plan does not fit the
/// budget. The plan and the notes say so.
pub fn render(
    config: &ToolsetConfig,
    plan: &mut Plan,
    base: Option<Base<'_>>,
    before: Option<&Before<'_>>,
) -> Rendered {
    let mut notes = Vec::new();
    // What HolmesGPT does not support matters only where its file is written.
    let for_holmesgpt = config.spec.output.writes(OutputFormat::HolmesGPT);
    let base = base.filter(|_| for_holmesgpt).and_then(|base| read_base(config, base, &mut notes));
    if for_holmesgpt {
        holmesgpt::refuse_reserved(plan);
        notes.extend(holmesgpt::unsupported(config, plan));
    }
    notes.extend(left_out::notes(&config.spec));
    let for_grafana = config.spec.output.writes(OutputFormat::GrafanaDatasources);
    let off = if for_grafana { grafana_datasources::switched_off(config, plan) } else { BTreeSet::new() };
    let can_fill = before.and_then(|before| before.can_fill);
    let mut files = budget::fit(plan, &mut notes, |tools| {
        let mut files = write(config, tools, base.as_ref(), can_fill);
        if for_grafana {
            let input = grafana_datasources::Input { config, tools, before, off: &off };
            let file = grafana_datasources::render(&input);
            files.notes.extend(file.notes);
            (files.listed, files.waits) = (Some(file.listed), file.waits);
            files.data.insert(grafana_key(config), file.text.into());
        }
        files
    });
    notes.append(&mut files.notes);
    notes.sort();
    notes.dedup();
    let agents_text = if config.spec.output.writes(OutputFormat::Environment) {
        Some(Arc::from(environment::text(&files.data)))
    } else {
        files.data.get(HOLMESGPT_KEY).cloned()
    };
    let agents_text = agents_text.filter(|_| config.spec.consumer.follows_agent());
    let labels = config.spec.output.labels.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
    let parts = files.data.iter().flat_map(|(key, content)| [&**key, &**content]).chain(labels);
    Rendered {
        hash: digest::of_parts(parts).into(),
        agent_file: agents_text
            .map(|text| Arc::new(AgentFile::new(&text, files.revision, files.entries, files.variables))),
        bytes: budget::size(&files.data),
        entries: files.listed.unwrap_or(plan.tools.len()),
        waits: files.waits,
        data: files.data,
        notes,
    }
}

/// Why the output does not contain a tool of the plan, after "because". `None` if it does. The files for HolmesGPT and
/// its predecessor contain every tool. `tools` are all those of the plan.
pub fn why_absent(config: &ToolsetConfig, tools: &[Tool], tool: &Tool) -> Option<String> {
    match config.spec.output.trusted_only()? {
        OutputFormat::Environment => environment::why_absent(tools, tool),
        _ => grafana_datasources::why_absent(config, tool),
    }
}

fn write(config: &ToolsetConfig, tools: &[Tool], base: Option<&BaseFile>, can_fill: Option<CanFill<'_>>) -> Files {
    let mut files = Files::default();
    for format in &config.spec.output.formats {
        match format {
            OutputFormat::HolmesGPT => {
                let ToolsetConfigSpec { baseline, consumer, .. } = &config.spec;
                let (revision_entry, is_followed) = (consumer.revision_entry, consumer.follows_agent());
                let file = holmesgpt::render(&HolmesInput { tools, baseline, base, revision_entry, is_followed });
                files.notes.extend(file.notes);
                (files.revision, files.entries, files.variables) = (file.revision, file.entries, file.variables);
                files.data.insert(HOLMESGPT_KEY.into(), file.text.into());
            }
            OutputFormat::ToolsetJSON => {
                files.data.insert(TOOLSET_JSON_KEY.into(), toolset_json::render(tools).into());
            }
            OutputFormat::Environment => {
                let (data, listed) = environment::render(tools, can_fill);
                files.data.extend(data);
                files.listed = Some(listed);
            }
            // It needs what was written before, so it is not written here.
            OutputFormat::GrafanaDatasources => {}
        }
    }
    files
}

fn read_base(config: &ToolsetConfig, base: Base<'_>, notes: &mut Vec<Note>) -> Option<BaseFile> {
    let spec = config.spec.output.base.as_ref()?;
    let read = match base {
        Base::Text(text) => holmesgpt::parse_base(text),
        Base::Missing(why) => Err(why.to_owned()),
    };
    read.map_err(|why| {
        let message =
            format!("Key {} of ConfigMap {} (spec.output.base) is ignored: {why}.", spec.key, spec.config_map_name);
        notes.push(Note::new(Reason::BaseInvalid, message));
    })
    .ok()
}

#[cfg(test)]
mod tests;

//! From the plan to the bytes of the `ConfigMap`: one file per format, and the budget over all of them.

pub mod holmesgpt;
mod size;
pub mod toolset_json;

use std::{collections::BTreeMap, sync::Arc};

use crd_types::{OutputFormat, Reason};
use sha2::{Digest, Sha256};

use crate::{
    base::{self, BaseFile},
    plan::Plan,
    select::Context,
    tool::Note,
};

/// The data key of format HolmesGPT.
pub const HOLMESGPT_KEY: &str = "custom_toolset.yaml";
/// The data key of format `ToolsetJSON`.
pub const TOOLSET_JSON_KEY: &str = "toolset.json";
/// Every data key that can be ours.
pub const DATA_KEYS: [&str; 2] = [HOLMESGPT_KEY, TOOLSET_JSON_KEY];

/// The user's own toolsets, as far as they could be had.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// The text under `spec.output.base.key`.
    Text(&'a str),
    /// There is none, and why, in words.
    Missing(&'a str),
}

/// What the `ConfigMap` is to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Data key to content.
    pub data: BTreeMap<&'static str, Arc<str>>,
    /// SHA-256 over keys and contents, in hex.
    pub hash: Arc<str>,
    /// SHA-256 of `custom_toolset.yaml` alone, in hex: what the agent has to reload for.
    pub holmesgpt_hash: Option<Arc<str>>,
    /// Size of all keys and contents.
    pub bytes: usize,
    /// Tools in it.
    pub entries: usize,
    /// What its owner should know.
    pub notes: Vec<Note>,
}

/// Renders every format of the spec; cuts the plan where it does not fit the budget, and says so in both.
pub fn render(ctx: &Context<'_>, plan: &mut Plan, base: Option<Base<'_>>) -> Rendered {
    let mut notes = Vec::new();
    let base = base.and_then(|base| read_base(ctx, base, &mut notes));
    let mut rendered = size::fit(plan, &mut notes, |plan| data(ctx, plan, base.as_ref()));
    notes.append(&mut rendered.notes);
    notes.sort();
    notes.dedup();
    let mut hash = Sha256::new();
    for (key, content) in &rendered.data {
        for part in [*key, &**content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    Rendered {
        hash: hex(&hash.finalize()).into(),
        holmesgpt_hash: rendered.data.get(HOLMESGPT_KEY).map(|text| hex(&Sha256::digest(text.as_bytes())).into()),
        bytes: size::of(&rendered.data),
        entries: plan.tools.len(),
        data: rendered.data,
        notes,
    }
}

/// The formats' files, before the budget.
pub(crate) struct Files {
    pub data: BTreeMap<&'static str, Arc<str>>,
    pub notes: Vec<Note>,
}

fn data(ctx: &Context<'_>, plan: &Plan, base: Option<&BaseFile>) -> Files {
    let mut files = Files { data: BTreeMap::new(), notes: Vec::new() };
    for format in &ctx.config.spec.output.formats {
        match format {
            OutputFormat::HolmesGPT => {
                let input = holmesgpt::HolmesInput { tools: &plan.tools, baseline: &ctx.config.spec.baseline, base };
                let file = holmesgpt::render(&input);
                files.notes.extend(file.notes);
                files.data.insert(HOLMESGPT_KEY, file.text.into());
            }
            OutputFormat::ToolsetJSON => {
                files.data.insert(TOOLSET_JSON_KEY, toolset_json::render(&plan.tools).into());
            }
        }
    }
    files
}

fn read_base(ctx: &Context<'_>, base: Base<'_>, notes: &mut Vec<Note>) -> Option<BaseFile> {
    let spec = ctx.config.spec.output.base.as_ref()?;
    let read = match base {
        Base::Text(text) => base::parse(text),
        Base::Missing(why) => Err(why.to_owned()),
    };
    read.map_err(|why| {
        let message =
            format!("output.base {} key {}: {why}; the output goes out without it", spec.config_map_name, spec.key);
        notes.push(Note::new(Reason::BaseInvalid, message));
    })
    .ok()
}

/// In lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

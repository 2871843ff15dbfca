//! What the spec takes out of an output while no plan can be made.
//!
//! After a restart, Services may be forbidden before they were listed once. Then the output is the only record of what
//! was found. Its tools are judged by namespace, Service and type. A tool that the spec takes away is removed, and the
//! rest stays as it is written.

mod judge;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::{OutputFormat, ToolsetConfig};

use self::judge::{Judgement, judge};
use crate::{
    listed_tool::ListedTool,
    render::{HOLMESGPT_KEY, Rendered, TOOLSET_JSON_KEY, holmesgpt, toolset_json},
};

/// An output without what the spec takes away.
#[derive(Clone, Debug)]
pub struct Reduced {
    /// What the `ConfigMap` is to hold.
    pub rendered: Rendered,
    /// The Services and the URLs whose tools were removed.
    pub removed: BTreeSet<String>,
    /// The tools that cannot be judged, because the output does not say what they are. They stay.
    pub unjudged: BTreeSet<String>,
}

/// Removes from an output what the spec takes away. `data` is that of the `ConfigMap`.
///
/// Fails if a file cannot be read back. Then nothing can be removed from it.
pub fn reduce(
    config: &ToolsetConfig,
    cluster_domain: &str,
    data: &BTreeMap<String, Arc<str>>,
) -> Result<Reduced, String> {
    let formats = &config.spec.output.formats;
    let text = |format, key: &str| data.get(key).filter(|_| formats.contains(&format));
    let (json, yaml) =
        (text(OutputFormat::ToolsetJSON, TOOLSET_JSON_KEY), text(OutputFormat::HolmesGPT, HOLMESGPT_KEY));
    // Each file says something about a tool that the other one does not.
    let mut listed: BTreeMap<String, ListedTool> = BTreeMap::new();
    each_file(json, yaml, cluster_domain, &mut |tool| {
        listed.entry(tool.in_words()).and_modify(|known| known.add(tool)).or_insert_with(|| tool.clone());
        true
    })?;
    let of = |wanted| listed.iter().filter(move |(_, tool)| judge(config, tool) == wanted);
    let names = |wanted| of(wanted).map(|(name, _)| name.clone()).collect::<BTreeSet<String>>();
    let (removed, unjudged) = (names(Judgement::Goes), names(Judgement::Unknown));
    let files = each_file(json, yaml, cluster_domain, &mut |tool| !removed.contains(&tool.in_words()))?;
    Ok(Reduced { rendered: Rendered::of(config, files, listed.len() - removed.len(), Vec::new()), removed, unjudged })
}

/// Rewrites the files without the tools that `keeps` is false for.
fn each_file(
    json: Option<&Arc<str>>,
    yaml: Option<&Arc<str>>,
    cluster_domain: &str,
    keeps: &mut dyn FnMut(&ListedTool) -> bool,
) -> Result<BTreeMap<&'static str, Arc<str>>, String> {
    let mut files = BTreeMap::new();
    if let Some(text) = json {
        files.insert(TOOLSET_JSON_KEY, toolset_json::retain(text, cluster_domain, keeps)?.into());
    }
    if let Some(text) = yaml {
        files.insert(HOLMESGPT_KEY, holmesgpt::retain(text, cluster_domain, keeps)?.into());
    }
    Ok(files)
}

#[cfg(test)]
mod tests;

//! `diff`: compares the ConfigMap of the cluster with what the operator would write.

use std::collections::BTreeSet;

use crd_types::Mode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use toolset::{
    config_map::{Ownership, ownership},
    render::is_of_a_format,
};

use crate::{
    args::{Cluster, Diff},
    difference::{FileDifference, Kind, Line},
    failure::Failure,
    input,
    live::{self, Request, Several},
    outcome::{Outcome, Output},
    paint::Paint,
    print,
    snapshot::{Planned, Snapshot, ownership_of},
    text::{Text, count, text},
};

/// The exit code if there is a difference, as of `diff` and `kubectl diff`.
const DIFFERS: u8 = 1;

/// The ConfigMap of one ToolsetConfig in the cluster and as planned.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    /// `namespace/name` of the ToolsetConfig.
    pub toolset_config: String,
    /// `namespace/name` of the ConfigMap.
    pub config_map: String,
    /// Whether the ConfigMap exists.
    pub exists: bool,
    /// Whether a write would change it.
    pub differs: bool,
    pub files: Vec<FileDifference>,
    /// What the user should know of the plan and of the ConfigMap.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// Compares, for each ToolsetConfig.
pub(crate) fn run(cluster: &Cluster, args: &Diff, paint: Paint) -> Result<Outcome, Failure> {
    let given = input::config_only(args.named())?;
    if given.is_some() && args.config.is_some() {
        return Err(Failure::Usage(
            "error: --config cannot be used with a ToolsetConfig in -f; remove one of them".to_owned(),
        ));
    }
    let mut objects = live::block_on(async {
        let client = live::connect(cluster).await?;
        let request = Request { given, named: args.config.as_deref(), namespace: None, several: Several::Preferred };
        let objects = live::read(&client, request).await?;
        for config in &objects.configs {
            readable(&client, &config.namespace().unwrap_or_default(), &config.spec.output.config_map_name).await?;
        }
        Ok(objects)
    })?;
    if !objects.snapshot.config_given {
        return Err(Failure::input(
            "error: there is no ToolsetConfig; pass one with -f toolsetconfig.yaml, or apply one to the cluster",
        ));
    }
    let mut notes = objects.snapshot.notes.clone();
    let comparisons = objects.each(|snapshot| compare(snapshot, &args.cluster_domain));
    notes.extend(comparisons.iter().flat_map(|one| one.notes.iter().cloned()));
    let code = if comparisons.iter().any(|one| one.differs) { DIFFERS } else { 0 };
    let output = if let Some(format) = args.output {
        print::models(comparisons, format)?
    } else {
        notes.extend(comparisons.iter().filter(|one| !one.differs).map(|one| {
            format!("ConfigMap {} is up to date with ToolsetConfig {}", one.config_map, one.toolset_config)
        }));
        Output::Shown(unified(&comparisons, paint))
    };
    Ok(Outcome::new(output, notes).with_code(code))
}

/// Fails if the user may not read the ConfigMap. Without it, everything would look new.
async fn readable(client: &Client, namespace: &str, name: &str) -> Result<(), Failure> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    match api.get_metadata_opt(name).await {
        Ok(_) => Ok(()),
        Err(error) => Err(live::refused(&format!("ConfigMap {namespace}/{name}"), &error)),
    }
}

fn compare(snapshot: &Snapshot, cluster_domain: &str) -> Comparison {
    comparison(snapshot, &snapshot.plan(cluster_domain))
}

/// Compares what is in the cluster with the plan.
pub(crate) fn comparison(snapshot: &Snapshot, planned: &Planned) -> Comparison {
    let config = &snapshot.config;
    let name = &config.spec.output.config_map_name;
    let found = snapshot.config_map(name);
    let before = |key: &str| found.and_then(|found| found.data.as_ref()).and_then(|data| data.get(key));
    // Keys of others stay.
    let ours = found.into_iter().flat_map(|found| found.data.iter().flatten()).map(|(key, _)| key.as_str());
    let keys: BTreeSet<&str> =
        ours.filter(|key| is_of_a_format(key)).chain(planned.rendered.data.keys().map(|key| &**key)).collect();
    let files: Vec<FileDifference> = keys
        .into_iter()
        .map(|key| {
            FileDifference::new(
                key,
                before(key).map(String::as_str),
                planned.rendered.data.get(key).map(|text| &**text),
            )
        })
        .collect();
    let config_map = format!("{}/{name}", config.namespace().unwrap_or_default());
    let mut notes: Vec<String> = planned
        .plan
        .notes
        .iter()
        .chain(&planned.rendered.notes)
        .map(|note| format!("{}: {}", note.reason, note.message))
        .collect();
    match config.spec.mode {
        Mode::Apply => {}
        mode => notes.push(format!(
            "spec.mode of ToolsetConfig {} is {mode}, so the operator does not write ConfigMap {config_map}",
            snapshot.config_name()
        )),
    }
    if let Some(Ownership::Stranger { who: by } | Ownership::Controlled { by }) =
        found.map(|found| ownership(config, &ownership_of(found)))
    {
        notes.push(format!(
            "ConfigMap {config_map} belongs to {by}, so the operator does not write it (OutputConflict)"
        ));
    }
    Comparison {
        toolset_config: snapshot.config_name(),
        config_map,
        exists: found.is_some(),
        differs: files.iter().any(|file| file.kind != Kind::Same),
        files,
        notes,
    }
}

/// A unified diff of all files that differ. Empty if none does.
fn unified(comparisons: &[Comparison], paint: Paint) -> Text {
    let mut lines = Vec::new();
    for comparison in comparisons {
        for file in comparison.files.iter().filter(|file| file.kind != Kind::Same) {
            let name = format!("{}/{}", comparison.config_map, file.key);
            let (before, after) = match file.kind {
                Kind::New => ("/dev/null".to_owned(), format!("planned/{name}")),
                Kind::Removed => (format!("cluster/{name}"), "/dev/null".to_owned()),
                Kind::Same | Kind::Changed => (format!("cluster/{name}"), format!("planned/{name}")),
            };
            lines.push(paint.bold(format!("--- {before}")));
            lines.push(paint.bold(format!("+++ {after}")));
            if let [Line::TooLarge { before, after }] = file.lines.as_slice() {
                let (before, after) = (count(*before, "line"), count(*after, "line"));
                lines.push(paint.warn(format!("Too large to compare: {before} in the cluster, {after} planned")));
                continue;
            }
            for hunk in file.lines.split(|line| matches!(line, Line::Gap(_))).filter(|hunk| !hunk.is_empty()) {
                lines.push(paint.link(range(hunk)));
                lines.extend(hunk.iter().map(|line| shown(line, paint)));
            }
        }
    }
    if lines.is_empty() { Text::default() } else { Text::joined(&lines).ended() }
}

fn shown(line: &Line, paint: Paint) -> Text {
    match line {
        Line::Same { text, .. } => text!(" ", text),
        Line::Added { text, .. } => paint.good(format!("+{text}")),
        Line::Removed { text, .. } => paint.bad(format!("-{text}")),
        Line::NoLineBreak => Text::from("\\ No newline at end of file"),
        Line::Gap(_) | Line::TooLarge { .. } => Text::default(),
    }
}

/// The header of a hunk, for example `@@ -1,3 +1,4 @@`.
fn range(hunk: &[Line]) -> String {
    let numbers = |number: fn(&Line) -> Option<usize>| {
        let all: Vec<usize> = hunk.iter().filter_map(number).collect();
        format!("{},{}", all.first().copied().unwrap_or_default(), all.len())
    };
    let before = numbers(|line| match line {
        Line::Same { before, .. } | Line::Removed { before, .. } => Some(*before),
        Line::Added { .. } | Line::NoLineBreak | Line::Gap(_) | Line::TooLarge { .. } => None,
    });
    let after = numbers(|line| match line {
        Line::Same { after, .. } | Line::Added { after, .. } => Some(*after),
        Line::Removed { .. } | Line::NoLineBreak | Line::Gap(_) | Line::TooLarge { .. } => None,
    });
    format!("@@ -{before} +{after} @@")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::ColorWhen;

    fn shown_for(before: &str, after: &str) -> String {
        let comparison = Comparison {
            toolset_config: "mon/default".to_owned(),
            config_map: "mon/tools".to_owned(),
            exists: true,
            differs: true,
            files: vec![FileDifference::new("a.yaml", Some(before), Some(after))],
            notes: Vec::new(),
        };
        unified(&[comparison], Paint::new(ColorWhen::Never)).as_str().to_owned()
    }

    #[test]
    fn a_last_line_without_a_line_break_is_marked() {
        let expected = "--- cluster/mon/tools/a.yaml\n+++ planned/mon/tools/a.yaml\n\
                        @@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n";
        assert_eq!(shown_for("a\nb", "a\nb\n"), expected);
    }

    #[test]
    fn a_file_that_is_too_large_to_compare_has_no_hunk() {
        let expected = "--- cluster/mon/tools/a.yaml\n+++ planned/mon/tools/a.yaml\n\
                        Too large to compare: 30000 lines in the cluster, 1 line planned\n";
        assert_eq!(shown_for(&"a\n".repeat(30_000), "b\n"), expected);
    }
}

//! What another ToolsetConfig would give. Nothing is applied.

use std::collections::{BTreeMap, BTreeSet};

use crd_types::{
    Baseline, Consumer, DetectorConfig, Evidence, Health, Mode, Output, Override, Signature, Source, StaticTool,
    ToolsetConfig, ToolsetConfigSpec,
};
use kube::ResourceExt as _;
use serde::Serialize;
use toolset::Manifest;

use super::{
    review::{Outcome, Review, Row},
    state::State,
    watch::pods,
};
use crate::{difference::FileDifference, failure::Failure, input, live};

/// The longest text that is read, in bytes.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// What a ToolsetConfig would change.
pub(super) struct Effect {
    pub come: Vec<Row>,
    pub go: Vec<Row>,
    pub change: Vec<Changed>,
    /// Services that are tools neither before nor after, for another reason.
    pub other: Vec<Changed>,
    /// How many tools there would be.
    pub tools: usize,
    pub files: Vec<FileDifference>,
    pub notes: Vec<String>,
    /// The ConfigMap, as `render` prints it.
    pub config_map: String,
}

impl Effect {
    /// The length of the longest list.
    pub(super) fn longest(&self) -> usize {
        let lists = [self.come.len(), self.go.len(), self.change.len(), self.other.len(), self.notes.len()];
        lists.into_iter().max().unwrap_or_default()
    }
}

/// A Service before and after.
pub(super) struct Changed {
    pub row: Row,
    /// What changes, for example `endpoint`, and both values.
    pub changes: Vec<(&'static str, String, String)>,
}

/// Evaluates a text. `compared` is the name of the ToolsetConfig that it is compared with. The inner `Err` holds the
/// problems of the text.
pub(super) async fn evaluate(
    state: &State,
    text: &str,
    compared: &str,
) -> Result<Result<Effect, Vec<String>>, Failure> {
    let config = match read(state, text.to_owned()).await? {
        Ok(config) => config,
        Err(problems) => return Ok(Err(problems)),
    };
    let mut notes = Vec::new();
    let mut maps = BTreeMap::new();
    if let Some(client) = state.client() {
        // What no ToolsetConfig of the cluster names is not watched.
        pods::round(state, client, Some(&config)).await;
        maps = live::config_maps(client, &config, &mut notes).await;
    }
    let compared = compared.to_owned();
    let effect = state
        .compute(move |objects, cluster_domain| {
            let before = objects.review(&compared, cluster_domain);
            let known = &mut objects.known;
            let held = known.snapshot.config_maps.clone();
            known.snapshot.config_maps.extend(maps);
            let after = known.with(config, |known| Review::new(known, cluster_domain));
            let effect = effect(&before, &after, notes);
            known.snapshot.config_maps = held;
            effect
        })
        .await?;
    effect.map(Ok)
}

/// Reads and validates a text, not on the thread of the server: the rules of the CRD take a moment. One text at a time,
/// also if a browser does not wait for the answer.
async fn read(state: &State, text: String) -> Result<Result<ToolsetConfig, Vec<String>>, Failure> {
    if text.len() > MAX_BYTES {
        return Ok(Err(vec![format!("The text is longer than {} KiB.", MAX_BYTES / 1024)]));
    }
    let turn = state.turn_to_validate().await;
    let read = move || {
        let config = input::config_of_text(&text);
        drop(turn);
        config
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| Failure::input("error: cannot read the text, because of a bug in this plugin"))
}

fn effect(before: &Review, after: &Review, notes: Vec<String>) -> Result<Effect, Failure> {
    // The page has the problems that concern the ToolsetConfig of the input already.
    let problems = after.problems.iter().filter(|problem| !before.problems.contains(problem)).cloned();
    let notes = notes.into_iter().chain(problems);
    let manifest = Manifest::new(&after.config, &after.planned.rendered);
    let config_map = serde_saphyr::to_string(&manifest)
        .map_err(|error| Failure::input(format!("error: cannot write YAML: {error}")))?;
    let keys: BTreeSet<&str> =
        before.planned.rendered.data.keys().chain(after.planned.rendered.data.keys()).map(|key| &**key).collect();
    let files = keys
        .into_iter()
        .map(|key| {
            let of = |review: &Review| review.planned.rendered.data.get(key).map(ToString::to_string);
            FileDifference::new(key, of(before).as_deref(), of(after).as_deref())
        })
        .collect();
    let mut effect = Effect {
        come: Vec::new(),
        go: Vec::new(),
        change: Vec::new(),
        other: Vec::new(),
        tools: after.tools,
        files,
        notes: notes.chain(after.notes.iter().cloned()).collect(),
        config_map,
    };
    let mut earlier: BTreeMap<(&str, &str, bool), &Row> = before.rows.iter().map(|row| (key(row), row)).collect();
    for row in &after.rows {
        let was = earlier.remove(&key(row));
        match (was.is_some_and(Row::is_tool), row.is_tool()) {
            (false, true) => effect.come.push(row.clone()),
            (true, false) => effect.go.push(row.clone()),
            (is_tool, _) => {
                let changes = was.map(|was| changes(was, row)).unwrap_or_default();
                if !changes.is_empty() {
                    let list = if is_tool { &mut effect.change } else { &mut effect.other };
                    list.push(Changed { row: row.clone(), changes });
                }
            }
        }
    }
    // An entry of `spec.tools` that the text does not have.
    effect.go.extend(earlier.into_values().filter(|row| row.is_tool()).cloned());
    Ok(effect)
}

fn key(row: &Row) -> (&str, &str, bool) {
    (&row.namespace, &row.name, row.stated)
}

fn changes(was: &Row, is: &Row) -> Vec<(&'static str, String, String)> {
    let result = |row: &Row| {
        let reason = if row.reason.is_empty() { String::new() } else { format!(" ({})", row.reason) };
        format!("{}{reason}", row.outcome.label())
    };
    let pairs = [
        ("result", result(was), result(is)),
        ("name", was.tool_name.clone(), is.tool_name.clone()),
        ("type", was.type_name.clone(), is.type_name.clone()),
        ("endpoint", was.endpoint.clone(), is.endpoint.clone()),
        ("source", was.source.clone(), is.source.clone()),
        ("trust", was.trust.to_owned(), is.trust.to_owned()),
    ];
    // Services that no source selects say nothing about it.
    let shown =
        |row: &Row| row.outcome != Outcome::NotRecognised && row.outcome != Outcome::NotSelected || row.recognised;
    let any = shown(was) || shown(is);
    pairs.into_iter().filter(|(_, was, is)| any && was != is).collect()
}

/// The parts of a ToolsetConfig that somebody writes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: WrittenSpec<'a>,
}

#[derive(Serialize)]
struct Metadata {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

/// The spec without what the API server adds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenSpec<'a> {
    #[serde(skip_serializing_if = "is_default")]
    mode: &'a Mode,
    sources: &'a [Source],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    detectors: &'a [DetectorConfig],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    signatures: &'a [Signature],
    #[serde(skip_serializing_if = "is_default")]
    evidence: &'a Evidence,
    #[serde(skip_serializing_if = "is_default")]
    health: &'a Health,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    overrides: &'a [Override],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: &'a [StaticTool],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    baseline: &'a [Baseline],
    #[serde(skip_serializing_if = "is_default")]
    output: &'a Output,
    #[serde(skip_serializing_if = "is_default")]
    consumer: &'a Consumer,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field, which is one itself")]
fn is_default<T: Default + PartialEq>(value: &&T) -> bool {
    **value == T::default()
}

/// The text to start with.
pub(super) fn yaml_of(config: &ToolsetConfig) -> String {
    let metadata = Metadata { name: config.name_any(), namespace: config.namespace(), labels: config.labels().clone() };
    // Named one by one, so that a new field cannot be forgotten.
    let ToolsetConfigSpec {
        mode,
        sources,
        detectors,
        signatures,
        evidence,
        health,
        overrides,
        tools,
        baseline,
        output,
        consumer,
    } = &config.spec;
    let spec = WrittenSpec {
        mode,
        sources,
        detectors,
        signatures,
        evidence,
        health,
        overrides,
        tools,
        baseline,
        output,
        consumer,
    };
    let written = Written { api_version: "toolset.kubernaut.io/v1alpha1", kind: "ToolsetConfig", metadata, spec };
    // Only texts, numbers and lists, so it can always be written.
    serde_saphyr::to_string(&written).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::default_config;

    #[test]
    fn the_text_to_start_with_is_the_same_toolset_config() {
        let config = default_config();
        let read = input::config_of_text(&yaml_of(&config)).unwrap();
        assert_eq!(read.spec, config.spec);
        assert_eq!((read.name_any(), read.namespace()), (config.name_any(), config.namespace()));
    }

    #[test]
    fn a_text_without_a_toolset_config_says_so() {
        assert_eq!(input::config_of_text("").unwrap_err(), ["The text contains no ToolsetConfig."]);
        let problems = input::config_of_text("kind: ToolsetConfig\nspec: {}").unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains("spec.sources")), "{problems:?}");
        assert!(input::config_of_text("a: [").unwrap_err()[0].contains("not valid YAML"));
    }
}

//! The YAML of the output: `PyYAML`, the agent's reader, reads every text and every value of a user's own file as it was.

use serde_json::{Map, Value, json};
use toolset::{DEFAULT_CLUSTER_DOMAIN, checked, render::HOLMESGPT_KEY};

use super::{base, pipeline::outcome};
use crate::{
    Broken, Outcome, checks,
    input::Input,
    python,
    spec::{self, Parts},
};

/// Checks one spec and one file of a user.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let parts = Parts { odd_texts: true, base: true, holmesgpt_only: true };
    let config = spec::config(&mut input, parts).ok_or_else(|| Broken("the spec is not valid".to_owned()))?;
    let base = if input.one_in(4) { input.rest() } else { base::file(&mut input) };
    let index = toolset::Index::default();
    let (plan, rendered) = outcome(&config, &index, None, Some(&base));
    checks::output(&config, DEFAULT_CLUSTER_DOMAIN, &plan, &rendered, true)?;
    let (_, ours) = outcome(&config, &index, None, None);
    let after =
        |rendered: &toolset::Rendered| rendered.data.get(HOLMESGPT_KEY).map(ToString::to_string).unwrap_or_default();
    let question = json!({
        "before": base,
        "after": after(&rendered),
        "dropped": rendered.notes.iter().any(|note| note.reason == crd_types::Reason::BaseInvalid),
        "ours": names(&after(&ours))?,
        // The names of entries can change with a base file.
    });
    answer(&question)?;
    let texts: Map<String, Value> = config
        .spec
        .tools
        .iter()
        .filter_map(|tool| texts(tool, &after(&ours)).map(|texts| (tool.name.clone(), texts)))
        .collect();
    answer(&json!({"after": after(&ours), "texts": texts}))
}

fn answer(question: &Value) -> Outcome {
    match python::ask(question) {
        None => Ok(()),
        Some(Ok(answer)) => {
            check!(answer == "\"ok\"", "{answer}, asked {question}");
            Ok(())
        }
        Some(Err(why)) => Err(Broken(format!("{why}, asked {question}"))),
    }
}

/// The names of the operator's own entries.
fn names(file: &str) -> Result<Vec<String>, Broken> {
    let read: Value = serde_saphyr::from_str(file).map_err(|error| Broken(format!("{error}: {file}")))?;
    let sections = read.as_object().into_iter().flatten().filter_map(|(_, section)| section.as_object());
    Ok(sections.flat_map(|section| section.keys().cloned()).collect())
}

/// The texts that the entry of a tool must have. `None` if the tool has no entry of its own.
fn texts(tool: &crd_types::StaticTool, file: &str) -> Option<Value> {
    let read: Value = serde_saphyr::from_str(file).ok()?;
    let has = |section: &str| read.get(section).and_then(|section| section.get(&tool.name)).is_some();
    if !(has("toolsets") || has("mcp_servers")) {
        return None;
    }
    let mut texts = Map::new();
    if let Some(line) = tool.description.as_ref().filter(|line| checked::text(line, 256).is_ok()) {
        texts.insert("description".to_owned(), json!(line));
    }
    let fits = |text: &&String| text.split(['\n', '\t']).all(|line| checked::text(line, 4096).is_ok());
    if let Some(text) = tool.instructions.as_ref().filter(fits) {
        texts.insert("llm_instructions".to_owned(), json!(text));
    }
    Some(Value::Object(texts))
}

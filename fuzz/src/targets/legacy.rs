//! The predecessor's overrides: they can switch tools off and describe them, and nothing else.

use toolset::{DEFAULT_CLUSTER_DOMAIN, Plan, Rendered, checked, plan::legacy};

use super::pipeline::outcome;
use crate::{Broken, Outcome, checks, input::Input, spec, words, world::World};

/// Checks one file beside a cluster.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let config = spec::config_of(&serde_json::json!({"sources": [
        {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": words::TRUSTED}},
        {"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}},
    ]}));
    let config = config.ok_or_else(|| Broken("the spec is not valid".to_owned()))?;
    let world = World::of(&mut input, 4);
    let text = if input.any() { file(&mut input, &world) } else { input.rest() };
    let index = world.index(|_| true, false);
    let run = |legacy| outcome(&config, &index, legacy, None);
    let (without, _): (Plan, Rendered) = run(None);
    let (plan, rendered) = run(Some(&text));
    checks::output(&config, DEFAULT_CLUSTER_DOMAIN, &plan, &rendered, false)?;
    check!(plan.candidates_total == without.candidates_total, "candidates appear or vanish with {text:?}");
    let described =
        |tool: &toolset::Tool| tool.description.as_ref().is_none_or(|text| checked::text(text, 256).is_ok());
    for tool in &plan.tools {
        let before = without.tools.iter().find(|one| one.key == tool.key);
        check!(
            before.is_some_and(|before| before.endpoint == tool.endpoint && before.trust == tool.trust),
            "{tool:?} was {before:?} without {text:?}"
        );
        check!(described(tool), "{tool:?} has a text that is not allowed");
    }
    match legacy::parse(&text) {
        Ok(_) => {}
        Err(why) => {
            check!(!why.is_empty(), "an error says nothing");
            check!(plan.tools.len() == without.tools.len(), "a file that is refused has an effect: {text:?}");
        }
    }
    Ok(())
}

fn file(input: &mut Input<'_>, world: &World) -> String {
    let entries = input.several(3, |input| {
        // Most files are valid, so that they have an effect.
        let name = match input.up_to(9_u8) {
            0 => input.text(words::TEXTS, 3),
            1..=3 => input.word(NAMES).to_owned(),
            _ => world.services.get(input.up_to(4_usize)).map(|view| view.key.name.to_string()).unwrap_or_default(),
        };
        let fields = input.several(3, |input| {
            let value = match input.up_to(15_u8) {
                0 => input.text(words::TEXTS, 3),
                1..=4 => serde_json::to_string(&input.text(words::TEXTS, 4)).unwrap_or_default(),
                5..=8 => serde_json::to_string(input.word(words::ANNOTATIONS)).unwrap_or_default(),
                _ => input.word(&["true", "false", "Words"]).to_owned(),
            };
            format!("{}: {value}", input.word(&["enabled", "disabled", "description", "namespace", "endpoint", "name"]))
        });
        (name, fields.join(", "))
    });
    if input.any() {
        let list = entries.iter().map(|(name, fields)| format!("{{name: {name}, {fields}}}"));
        format!("tools: [{}]", list.collect::<Vec<_>>().join(", "))
    } else {
        let map = entries.iter().map(|(name, fields)| format!("{name}: {{{fields}}}"));
        map.collect::<Vec<_>>().join("\n")
    }
}

const NAMES: &[&str] =
    &["prometheus", "grafana", "loki", "main", "prometheus-server", "main-team", "team/main", "thing", "Jaeger"];

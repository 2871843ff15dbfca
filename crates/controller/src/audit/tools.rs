//! The tools of an output, and what changed between two of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crd_types::ToolsetConfigStatus;
use detectors::ServiceKey;
use serde_json::{Value, json};
use toolset::{Plan, Tool};

/// The longest value of a field, in characters. A longer one is cut.
const MAX_VALUE: usize = 256;
/// The most bytes of the three lists of a difference. The service takes 64 KiB of data.
const MAX_BYTES: usize = 40 * 1024;

/// The tools of an output, by what they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tools(BTreeMap<Origin, Facts>);

/// A Service, or the name of an entry of `spec.tools`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Service(ServiceKey),
    Spec(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts {
    name: String,
    /// The evidence that decided.
    evidence: String,
    /// What the agent is given.
    fields: BTreeMap<&'static str, String>,
}

impl Tools {
    /// The tools of a plan.
    pub(crate) fn of_plan(plan: &Plan) -> Self {
        Self(plan.tools.iter().map(|tool| (Origin::of(tool), Facts::of(tool))).collect())
    }

    /// The tools that the last status lists. It has fewer facts than a plan.
    pub(crate) fn of_status(status: Option<&ToolsetConfigStatus>) -> Self {
        let tools = status.into_iter().flat_map(|status| &status.tools).map(|tool| {
            let origin = if tool.service.is_empty() {
                Origin::Spec(tool.name.clone())
            } else {
                Origin::Service(ServiceKey::new(tool.namespace.clone(), tool.service.clone()))
            };
            let fields = [("name", &tool.name), ("type", &tool.type_), ("url", &tool.endpoint)];
            let fields = fields.into_iter().map(|(field, value)| (field, value.clone())).collect();
            (origin, Facts { name: tool.name.clone(), evidence: tool.evidence.clone(), fields })
        });
        Self(tools.collect())
    }

    /// These tools without those of some Services.
    pub(crate) fn without(&self, services: &BTreeSet<ServiceKey>) -> Self {
        let stays = |origin: &Origin| !matches!(origin, Origin::Service(key) if services.contains(key));
        Self(self.0.iter().filter(|(origin, _)| stays(origin)).map(|(o, f)| (o.clone(), f.clone())).collect())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Origin {
    fn of(tool: &Tool) -> Self {
        match &tool.key {
            Some(key) => Self::Service(key.clone()),
            None => Self::Spec(tool.stated_name.clone().unwrap_or_else(|| tool.name.clone())),
        }
    }

    /// The Service; null for an entry of `spec.tools`.
    fn service(&self) -> Value {
        match self {
            Self::Service(key) => key.to_string().into(),
            Self::Spec(_) => Value::Null,
        }
    }
}

impl Facts {
    fn of(tool: &Tool) -> Self {
        let credentials = tool.credentials.as_ref().and_then(|given| serde_json::to_string(given).ok());
        let settings = serde_json::to_string(&tool.settings).ok().filter(|settings| settings != "{}");
        let fields = [
            ("name", Some(tool.name.clone())),
            ("type", Some(tool.type_name().to_owned())),
            ("url", Some(tool.endpoint.to_string())),
            ("description", tool.description.clone()),
            ("instructions", tool.instructions.clone()),
            ("tenantId", tool.tenant_id.clone()),
            ("credentials", credentials),
            ("settings", settings),
        ];
        let fields = fields.into_iter().map(|(field, value)| (field, value.unwrap_or_default())).collect();
        Self { name: tool.name.clone(), evidence: tool.decided_by.clone(), fields }
    }
}

/// What changed between two outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// `{tool, service, reason}`.
    pub(super) added: Vec<Value>,
    /// `{tool, service, reason}`.
    pub(super) removed: Vec<Value>,
    /// `{tool, field, from, to}`.
    pub(super) changed: Vec<Value>,
    /// How many entries there was no room for.
    pub(super) omitted: usize,
    /// The same in words, without what was omitted.
    pub(super) words: Vec<String>,
}

impl Difference {
    /// What changed. `plan` says why a Service that was a tool is none any more.
    pub(crate) fn between(before: &Tools, after: &Tools, plan: Option<&Plan>) -> Self {
        let mut difference = Self::default();
        let mut room = MAX_BYTES;
        for (origin, facts) in after.0.iter().filter(|(origin, _)| !before.0.contains_key(origin)) {
            let reason = if facts.evidence.is_empty() { "listed in spec.tools" } else { &facts.evidence };
            let entry = json!({"tool": facts.name, "service": origin.service(), "reason": cut(reason)});
            if difference.takes(&entry, &mut room) {
                difference.added.push(entry);
                difference.words.push(format!("added {}", in_words(origin, facts)));
            }
        }
        for (origin, facts) in before.0.iter().filter(|(origin, _)| !after.0.contains_key(origin)) {
            let reason = why_removed(origin, plan);
            let entry = json!({"tool": facts.name, "service": origin.service(), "reason": cut(&reason)});
            if difference.takes(&entry, &mut room) {
                difference.removed.push(entry);
                difference.words.push(format!("removed {} ({reason})", in_words(origin, facts)));
            }
        }
        for (origin, now) in &after.0 {
            let Some(then) = before.0.get(origin) else { continue };
            for (field, to) in &now.fields {
                let Some(from) = then.fields.get(field).filter(|from| *from != to) else { continue };
                let entry = json!({"tool": now.name, "field": field, "from": cut(from), "to": cut(to)});
                if difference.takes(&entry, &mut room) {
                    difference.changed.push(entry);
                    difference.words.push(format!("changed the {field} of {}", in_words(origin, now)));
                }
            }
        }
        difference
    }

    fn takes(&mut self, entry: &Value, room: &mut usize) -> bool {
        let size = entry.to_string().len() + 1;
        let fits = size <= *room;
        if fits {
            *room -= size;
        } else {
            self.omitted += 1;
        }
        fits
    }
}

fn why_removed(origin: &Origin, plan: Option<&Plan>) -> String {
    let Origin::Service(key) = origin else { return "removed from spec.tools".to_owned() };
    let Some(plan) = plan else { return "excluded by the spec".to_owned() };
    match plan.rejected.iter().find(|rejection| rejection.key == *key) {
        Some(rejection) => rejection.reason.as_str().to_owned(),
        None => "no longer a candidate".to_owned(),
    }
}

fn in_words(origin: &Origin, facts: &Facts) -> String {
    match origin {
        Origin::Service(key) => format!("{} (Service {key})", facts.name),
        Origin::Spec(_) => facts.name.clone(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crd_types::{ServiceReason, ToolStatus, Trust};
    use toolset::Rejection;

    use super::*;

    fn tools(of: &[(&str, &str)]) -> Tools {
        let tools = of.iter().map(|(service, url)| ToolStatus {
            name: format!("{service}-tool"),
            type_: "Grafana".to_owned(),
            namespace: "apps".to_owned(),
            service: (*service).to_owned(),
            endpoint: (*url).to_owned(),
            evidence: "label a=b".to_owned(),
            ..ToolStatus::default()
        });
        Tools::of_status(Some(&ToolsetConfigStatus { tools: tools.collect(), ..ToolsetConfigStatus::default() }))
    }

    #[test]
    fn what_was_added_removed_and_changed_is_told_with_the_reason() {
        let before = tools(&[("stays", "http://a"), ("moves", "http://b"), ("goes", "http://c"), ("sick", "http://d")]);
        let after = tools(&[("stays", "http://a"), ("moves", "http://x"), ("new", "http://e")]);
        let rejected = vec![Rejection {
            key: ServiceKey::new("apps", "sick"),
            product: None,
            custom: None,
            trust: Trust::Trusted,
            reason: ServiceReason::Unhealthy,
            message: String::new(),
            is_untold: false,
        }];
        let plan = Plan { rejected, ..Plan::default() };
        let difference = Difference::between(&before, &after, Some(&plan));
        assert_eq!(difference.added, [json!({"tool": "new-tool", "service": "apps/new", "reason": "label a=b"})]);
        assert_eq!(
            difference.removed,
            [
                json!({"tool": "goes-tool", "service": "apps/goes", "reason": "no longer a candidate"}),
                json!({"tool": "sick-tool", "service": "apps/sick", "reason": "Unhealthy"}),
            ]
        );
        let url = json!({"tool": "moves-tool", "field": "url", "from": "http://b", "to": "http://x"});
        assert_eq!(difference.changed, [url]);
        assert_eq!(difference.words.len(), 4);
        assert!(difference.words[0].contains("added new-tool (Service apps/new)"), "{:?}", difference.words);
    }

    #[test]
    fn the_same_tools_do_not_differ_and_unknown_facts_are_not_compared() {
        let known = tools(&[("a", "http://a")]);
        assert_eq!(Difference::between(&known, &known, None), Difference::default());
        let mut more = known.clone();
        for facts in more.0.values_mut() {
            facts.fields.insert("instructions", "x".to_owned());
        }
        assert_eq!(Difference::between(&known, &more, None), Difference::default());
    }

    #[test]
    fn a_difference_is_bounded() {
        let url = format!("http://{}", "x".repeat(900));
        let names: Vec<_> = (0..500).map(|number| format!("service-{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), url.as_str())).collect();
        let difference = Difference::between(&Tools::default(), &tools(&many), None);
        assert_eq!(difference.added.len() + difference.omitted, 500);
        assert!(json!(difference.added).to_string().len() <= MAX_BYTES + 2);
        let other = format!("http://{}", "y".repeat(900));
        let moved: Vec<_> = names.iter().map(|name| (name.as_str(), other.as_str())).collect();
        let difference = Difference::between(&tools(&many), &tools(&moved), None);
        assert!(difference.omitted > 0 && json!(difference.changed).to_string().len() <= MAX_BYTES + 2);
    }

    #[test]
    fn tools_of_excluded_services_are_left_out() {
        let both = tools(&[("a", "http://a"), ("b", "http://b")]);
        let left = both.without(&[ServiceKey::new("apps", "a")].into());
        assert_eq!(left, tools(&[("b", "http://b")]));
        let removed = Difference::between(&both, &left, None).removed;
        assert_eq!(removed, [json!({"tool": "a-tool", "service": "apps/a", "reason": "excluded by the spec"})]);
    }
}

//! The predecessor's `overrides.yaml`, a key of the same `ConfigMap`. It can switch tools off and describe them, and
//! `spec.overrides` overrides it.
//!
//! Its users wrote it in two shapes:
//!
//! ```text
//! tools:                          prometheus-server:
//! - name: prometheus-server         enabled: false
//!   description: Main metrics       description: Main metrics
//! ```
//! Endpoints, types and parameters in it are ignored, because everybody who can edit the `ConfigMap` could redirect the
//! agent with them. Tools that exist only there are ignored too. Their place is `spec.tools`.

use std::fmt;

use crd_types::Trust;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::{
    checked,
    phrases::listed,
    tool::Tool,
    yaml::{Block, Node, Read},
};

/// The data key under which the predecessor's users keep their overrides. It is theirs; the operator only reads it.
pub const LEGACY_OVERRIDES_KEY: &str = "overrides.yaml";
/// The most bytes that are read.
const MAX_BYTES: usize = 256 * 1024;
/// The most entries that are read.
const MAX_ENTRIES: usize = 1000;
/// The most values of a file, with its aliases expanded.
const MAX_NODES: usize = 50_000;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 256;

/// The predecessor's overrides, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyOverrides {
    entries: Vec<LegacyEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LegacyEntry {
    /// The Service, in any of its names, or a type.
    name: String,
    /// The namespace, if the entry has one.
    namespace: Option<String>,
    disabled: bool,
    description: Option<String>,
    /// Fields without effect.
    ignored: Vec<String>,
}

/// The effect on one tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegacyEffect<'a> {
    /// Whether it switches the tool off.
    pub disabled: bool,
    /// The description of the tool.
    pub description: Option<&'a str>,
}

impl LegacyOverrides {
    /// The effect on each of these tools. If several entries match a tool, the last description counts.
    ///
    /// An entry matches a tool by the name of its Service (the predecessor's only name), by `<service>-<namespace>`, by
    /// `<namespace>/<service>` or by the tool's chosen name. If no Trusted tool has that name, the entry matches tools
    /// of that type, because the predecessor's generated toolsets had names like `prometheus` or `grafana`.
    ///
    /// Tenants choose their names and their types, so their tools never decide what an entry means. Where an entry
    /// matches a Trusted tool, its description is not for Tenants' tools.
    pub fn effects(&self, tools: &[&Tool]) -> Vec<LegacyEffect<'_>> {
        let mut effects = vec![LegacyEffect::default(); tools.len()];
        for entry in &self.entries {
            let Matching { trusted, tenants } = entry.matching(tools);
            for &index in trusted.iter().chain(&tenants) {
                effects[index].disabled |= entry.disabled;
            }
            let described = if trusted.is_empty() { tenants } else { trusted };
            for index in described {
                effects[index].description = entry.description.as_deref().or(effects[index].description);
            }
        }
        effects
    }

    /// For each entry, whether it has an effect whatever becomes of Tenants' tools, because it matches a Trusted tool or
    /// switches a Tenant's off.
    pub fn settled(&self, tools: &[&Tool]) -> Vec<bool> {
        let is_settled = |entry: &LegacyEntry| {
            let Matching { trusted, tenants } = entry.matching(tools);
            !trusted.is_empty() || (entry.disabled && !tenants.is_empty())
        };
        self.entries.iter().map(is_settled).collect()
    }

    /// What has no effect: entries that are not [`settled`](Self::settled) and match none of the tools that are left,
    /// and fields that are ignored.
    pub fn without_effect(&self, settled: &[bool], left: &[&Tool]) -> Vec<String> {
        let mut reports = Vec::new();
        for (entry, settled) in self.entries.iter().zip(settled) {
            let name = &entry.name;
            if !settled && entry.matching(left).tenants.is_empty() {
                reports.push(format!(
                    "entry {name:?} matches no tool. To add a tool that is not discovered, use spec.tools"
                ));
            } else if !entry.ignored.is_empty() {
                reports.push(format!(
                    "the operator ignores {} in entry {name:?}. Use spec.overrides instead",
                    listed(&entry.ignored.iter().map(String::as_str).collect::<Vec<_>>())
                ));
            }
        }
        reports
    }
}

/// The places of the tools that an entry matches.
struct Matching {
    trusted: Vec<usize>,
    tenants: Vec<usize>,
}

impl LegacyEntry {
    fn matching(&self, tools: &[&Tool]) -> Matching {
        let of = |trust: Trust, by: &dyn Fn(&Tool) -> bool| -> Vec<usize> {
            let fits = |tool: &Tool| tool.trust == trust && by(tool) && self.is_for_namespace_of(tool);
            tools.iter().enumerate().filter(|(_, tool)| fits(tool)).map(|(index, _)| index).collect()
        };
        let by_name = |tool: &Tool| self.names(tool);
        let by_type = |tool: &Tool| self.name.eq_ignore_ascii_case(tool.type_name());
        let named = of(Trust::Trusted, &by_name);
        if named.is_empty() {
            // Every Tenant's tool is judged on its own, so that none keeps an entry from another one's.
            let tenants = of(Trust::Tenant, &|tool| by_name(tool) || by_type(tool));
            Matching { trusted: of(Trust::Trusted, &by_type), tenants }
        } else {
            Matching { trusted: named, tenants: of(Trust::Tenant, &by_name) }
        }
    }

    fn is_for_namespace_of(&self, tool: &Tool) -> bool {
        self.namespace.is_none() || self.namespace.as_deref() == tool.key.as_ref().map(|key| &*key.namespace)
    }

    fn names(&self, tool: &Tool) -> bool {
        let Some(key) = &tool.key else { return false };
        let name = self.name.as_str();
        name == &*key.name
            || tool.chosen_name.as_deref() == Some(name)
            || name.strip_suffix(&*key.namespace).and_then(|rest| rest.strip_suffix('-')) == Some(&*key.name)
            || name.split_once('/') == Some((&*key.namespace, &*key.name))
    }

    fn read(name: String, fields: &Block) -> Result<Self, String> {
        let mut entry = Self { name, namespace: None, disabled: false, description: None, ignored: Vec::new() };
        for (field, value) in fields.iter() {
            match (field.as_text().unwrap_or_default(), value) {
                ("name", _) | ("enabled", Node::Bool(true)) => {}
                ("enabled", Node::Bool(false)) | ("disabled", Node::Bool(true)) => entry.disabled = true,
                ("namespace", Node::Text(namespace)) => entry.namespace = Some(namespace.to_string()),
                ("description", Node::Text(text)) => {
                    checked::text(text, MAX_DESCRIPTION)
                        .map_err(|why| format!("the description of {:?} {why}", entry.name))?;
                    entry.description = Some(text.to_string());
                }
                (other, _) => entry.ignored.push(other.to_owned()),
            }
        }
        Ok(entry)
    }
}

/// Reads the predecessor's overrides. `Err` says what is wrong; then none of them has an effect.
pub fn parse(text: &str) -> Result<LegacyOverrides, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it has {} bytes, and the maximum is {MAX_BYTES}", text.len()));
    }
    let options = serde_saphyr::options! {
        // Aliases can turn a small file into a large one.
        budget: serde_saphyr::budget! { max_total_scalar_bytes: 4 * MAX_BYTES, max_nodes: MAX_NODES },
        with_snippet: false,
    };
    let Layer(read) = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    if read.len() > MAX_ENTRIES {
        return Err(format!("it has {} entries, and the maximum is {MAX_ENTRIES}", read.len()));
    }
    let entries = read.into_iter().map(|(name, value)| {
        let value = value.0.map_err(|bad| format!("{:?} is not a valid key", bad.0))?;
        let nothing = Block::new();
        let (name, fields) = match (name, &value) {
            (Some(name), Node::Null) => (name, &nothing),
            (Some(name), Node::Map(fields)) => (name, fields),
            (Some(name), _) => return Err(format!("{name:?} is not a mapping")),
            (None, value) => match value.as_map().and_then(|fields| Some((fields.get("name")?.as_text()?, fields))) {
                Some((name, fields)) => (name.to_owned(), fields),
                None => return Err("an entry of the list has no name".to_owned()),
            },
        };
        LegacyEntry::read(name, fields)
    });
    Ok(LegacyOverrides { entries: entries.collect::<Result<_, String>>()? })
}

/// Both shapes: entries with their names, or without names in a list.
struct Layer(Vec<(Option<String>, Read)>);

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LayerVisitor)
    }
}

struct LayerVisitor;

impl<'de> Visitor<'de> for LayerVisitor {
    type Value = Layer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list under tools, or a mapping from names to fields")
    }

    fn visit_unit<E>(self) -> Result<Layer, E> {
        Ok(Layer(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Layer, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element()? {
            entries.push((None, entry));
        }
        Ok(Layer(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Layer, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "tools" || name == "toolsets" {
                entries.extend(map.next_value::<Layer>()?.0);
            } else {
                entries.push((Some(name), map.next_value()?));
            }
        }
        Ok(Layer(entries))
    }
}

#[cfg(test)]
mod tests {
    use detectors::Product;

    use super::*;

    fn tool(namespace: &str, name: &str, product: Product) -> Tool {
        crate::fixtures::tool(product, namespace, name)
    }

    fn prometheus() -> Tool {
        tool("monitoring", "prometheus-server", Product::Prometheus)
    }

    #[test]
    fn both_shapes_of_the_file_are_read() {
        for text in [
            "tools:\n- name: prometheus-server\n  enabled: false\n  description: Main metrics\n",
            "prometheus-server:\n  enabled: false\n  description: Main metrics\n",
            "toolsets:\n  prometheus-server: {enabled: no, description: Main metrics}\n",
        ] {
            let effect = LegacyEffect { disabled: true, description: Some("Main metrics") };
            assert_eq!(parse(text).unwrap().effects(&[&prometheus()]), [effect], "{text}");
        }
    }

    #[test]
    fn a_tool_is_meant_by_their_names_and_ours() {
        let mut named = prometheus();
        named.chosen_name = Some("main".to_owned());
        for name in
            ["prometheus-server", "prometheus-server-monitoring", "monitoring/prometheus-server", "main", "prometheus"]
        {
            let layer = parse(&format!("{name}: {{enabled: false}}")).unwrap();
            let effects = layer.effects(&[&named, &tool("tracing", "jaeger", Product::Jaeger)]);
            assert_eq!((effects[0].disabled, effects[1].disabled), (true, false), "{name}");
        }
        let elsewhere = parse("tools: [{name: prometheus-server, namespace: other, enabled: false}]").unwrap();
        assert!(!elsewhere.effects(&[&named])[0].disabled);
    }

    #[test]
    fn a_name_is_a_type_only_where_nothing_is_called_so() {
        let (named, other) = (tool("a", "prometheus", Product::Prometheus), prometheus());
        let layer = parse("prometheus: {enabled: false}").unwrap();
        let disabled = |tools: &[&Tool]| layer.effects(tools).iter().map(|says| says.disabled).collect::<Vec<_>>();
        assert_eq!(disabled(&[&named, &other]), [true, false]);
        assert_eq!(disabled(&[&other]), [true]);
    }

    #[test]
    fn a_tenants_tool_decides_nothing_about_a_trusted_one() {
        let mut of_tenant = tool("team", "prometheus", Product::Jaeger);
        (of_tenant.trust, of_tenant.chosen_name) = (Trust::Tenant, Some("grafana".to_owned()));
        let grafana = tool("monitoring", "main", Product::Grafana);
        let layer = parse("prometheus: {enabled: false}\ngrafana: {description: Ours}\n").unwrap();
        let alone = layer.effects(&[&prometheus(), &grafana]);
        let [a, b, tenants] = layer.effects(&[&prometheus(), &grafana, &of_tenant])[..] else { panic!() };
        assert_eq!(alone, [a, b]);
        assert_eq!((a.disabled, b.description), (true, Some("Ours")));
        assert_eq!(tenants, LegacyEffect { disabled: true, description: None });
    }

    #[test]
    fn an_entry_for_a_tenants_tool_has_an_effect_only_while_the_tool_is_there() {
        let mut of_tenant = tool("team", "traces", Product::Jaeger);
        of_tenant.trust = Trust::Tenant;
        for (fields, without_it) in [("{enabled: false}", 0), ("{description: Ours}", 1)] {
            let layer = parse(&format!("traces: {fields}")).unwrap();
            let settled = layer.settled(&[&of_tenant]);
            assert_eq!(layer.without_effect(&settled, &[&of_tenant]).len(), 0, "{fields}");
            assert_eq!(layer.without_effect(&settled, &[]).len(), without_it, "{fields}");
        }
    }

    #[test]
    fn it_can_neither_redirect_nor_add_and_says_so() {
        let text = "tools:\n- {name: prometheus-server, endpoint: 'http://evil', parameters: {a: 1}}\n- {name: mine, endpoint: 'http://x'}\n";
        let layer = parse(text).unwrap();
        assert_eq!(layer.effects(&[&prometheus()]), [LegacyEffect::default()]);
        let words = layer.without_effect(&layer.settled(&[&prometheus()]), &[]);
        assert_eq!(words.len(), 2);
        assert!(words[0].contains("endpoint and parameters"), "{words:?}");
        assert!(words[1].contains("spec.tools"), "{words:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_in_words_and_an_empty_one_is_none() {
        for text in ["", "# nothing\n", "tools: []", "tools:\n", "{}"] {
            assert_eq!(parse(text), Ok(LegacyOverrides::default()), "{text:?}");
        }
        for text in [
            "a: [",
            "just text",
            "- {description: x}",
            "a: 1",
            "a: {description: '{{ env.TOKEN }}'}",
            "a: 1\n---\nb: 2",
            "a: {}\na: {}",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_too_deep_or_that_aliases_make_large_is_an_error() {
        let tenfold =
            |level: usize| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
        let bomb: String = (1..10).map(tenfold).collect();
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(30));
        for text in
            [format!("a0: &a0 x\n{bomb}"), long, "a: ".to_owned() + &"[".repeat(10_000), "- ".repeat(10_000) + "a"]
        {
            assert!(parse(&text).is_err(), "{}", &text[..20]);
        }
        let nested = format!("a: {{b: {}1{}}}", "[".repeat(60), "]".repeat(60));
        assert!(parse(&nested).is_ok());
    }
}

//! The predecessor's `overrides.yaml`, a key of the same `ConfigMap`: the weakest layer, which may switch tools off and
//! describe them, and nothing else.
//!
//! Its users wrote it in two shapes, and both are read:
//!
//! ```text
//! tools:                          prometheus-server:
//! - name: prometheus-server         enabled: false
//!   description: Main metrics       description: Main metrics
//! ```
//! Endpoints, types and parameters in it are not taken: whoever may edit the `ConfigMap` could otherwise redirect the agent
//! and what it sends. Neither are tools that exist only there; `spec.tools` is their place.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::{
    checked,
    tool::Tool,
    yaml::{Block, Node, Read},
};

/// The data key under which the predecessor's users keep their overrides. It is theirs; the operator only reads it.
pub const LEGACY_OVERRIDES_KEY: &str = "overrides.yaml";
/// The most bytes that are read.
const MAX_BYTES: usize = 256 * 1024;
/// The most entries that are read.
const MAX_ENTRIES: usize = 1000;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 256;

/// What the predecessor's overrides say, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyOverrides {
    entries: Vec<LegacyEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LegacyEntry {
    /// The Service, in any of the ways to say it, or a type.
    name: String,
    /// Where the entry names one.
    namespace: Option<String>,
    disabled: bool,
    description: Option<String>,
    /// Fields with no effect any more.
    ignored: Vec<String>,
}

/// What the layer says of one tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Says<'a> {
    /// Whether it switches the tool off.
    pub disabled: bool,
    /// What it calls the tool.
    pub description: Option<&'a str>,
}

impl LegacyOverrides {
    /// What the layer says of each of these tools; of several entries the last one that says something counts.
    ///
    /// An entry means a tool by the name of its Service (the predecessor's only name), by `<service>-<namespace>`,
    /// `<namespace>/<service>` or the tool's chosen name. Where nothing is called so, it may be a type: the predecessor's
    /// generated toolsets were called `prometheus` or `grafana`. What `spec.overrides` says stands above all of it, and the
    /// caller sees to that.
    pub fn says(&self, tools: &[&Tool]) -> Vec<Says<'_>> {
        let mut says = vec![Says::default(); tools.len()];
        for entry in &self.entries {
            for index in entry.meant(tools) {
                says[index].disabled |= entry.disabled;
                says[index].description = entry.description.as_deref().or(says[index].description);
            }
        }
        says
    }

    /// What has no effect on these tools, in words: entries that mean none of them, and fields that are not taken.
    pub fn without_effect(&self, tools: &[&Tool]) -> Vec<String> {
        let mut words = Vec::new();
        for entry in &self.entries {
            let name = &entry.name;
            if entry.meant(tools).is_empty() {
                words.push(format!("{name:?} means no tool; a tool that is not discovered belongs into spec.tools"));
            } else if !entry.ignored.is_empty() {
                words.push(format!(
                    "{} of {name:?} has no effect any more; use spec.overrides",
                    entry.ignored.join(", ")
                ));
            }
        }
        words
    }
}

impl LegacyEntry {
    /// The places of the tools it means.
    fn meant(&self, tools: &[&Tool]) -> Vec<usize> {
        let all = |by: fn(&Self, &Tool) -> bool| -> Vec<usize> {
            let in_namespace = |tool: &Tool| {
                let its = tool.key.as_ref().map(|key| &*key.namespace);
                self.namespace.is_none() || self.namespace.as_deref() == its
            };
            let fits = |tool: &Tool| by(self, tool) && in_namespace(tool);
            tools.iter().enumerate().filter(|(_, tool)| fits(tool)).map(|(index, _)| index).collect()
        };
        let by_name = all(Self::names);
        if by_name.is_empty() { all(|entry, tool| entry.name.eq_ignore_ascii_case(tool.type_name())) } else { by_name }
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
            match (field.as_str(), value) {
                ("name", _) | ("enabled", Node::Bool(true)) => {}
                ("enabled", Node::Bool(false)) | ("disabled", Node::Bool(true)) => entry.disabled = true,
                ("namespace", Node::Text(namespace)) => entry.namespace = Some(namespace.clone()),
                ("description", Node::Text(text)) => {
                    checked::text(text, MAX_DESCRIPTION)
                        .map_err(|why| format!("the description of {:?} {why}", entry.name))?;
                    entry.description = Some(text.clone());
                }
                (other, _) => entry.ignored.push(other.to_owned()),
            }
        }
        Ok(entry)
    }
}

/// Reads the predecessor's overrides. `Err` says in words what is wrong; nothing of the layer counts then.
pub fn parse(text: &str) -> Result<LegacyOverrides, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it has {} bytes, at most {MAX_BYTES} are read", text.len()));
    }
    let options = serde_saphyr::options! { with_snippet: false };
    let Layer(read) = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    if read.len() > MAX_ENTRIES {
        return Err(format!("it has {} entries, at most {MAX_ENTRIES} are read", read.len()));
    }
    let entries = read.into_iter().map(|(name, value)| {
        let value = value.0.map_err(|bad| format!("{:?} is not a field", bad.0))?;
        let nothing = Block::new();
        let (name, fields) = match (name, &value) {
            (Some(name), Node::Null) => (name, &nothing),
            (Some(name), Node::Map(fields)) => (name, fields),
            (Some(name), _) => return Err(format!("{name:?} is not a mapping")),
            (None, value) => match value.as_map().and_then(|fields| Some((fields.get("name")?.as_text()?, fields))) {
                Some((name, fields)) => (name.to_owned(), fields),
                None => return Err("a tool in it has no name".to_owned()),
            },
        };
        LegacyEntry::read(name, fields)
    });
    Ok(LegacyOverrides { entries: entries.collect::<Result<_, String>>()? })
}

/// Both shapes: entries with their names, or without where a list holds them.
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
        f.write_str("tools: with a list, or a mapping from names to fields")
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
            let says = Says { disabled: true, description: Some("Main metrics") };
            assert_eq!(parse(text).unwrap().says(&[&prometheus()]), [says], "{text}");
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
            let says = layer.says(&[&named, &tool("tracing", "jaeger", Product::Jaeger)]);
            assert_eq!((says[0].disabled, says[1].disabled), (true, false), "{name}");
        }
        let elsewhere = parse("tools: [{name: prometheus-server, namespace: other, enabled: false}]").unwrap();
        assert!(!elsewhere.says(&[&named])[0].disabled);
    }

    #[test]
    fn a_name_is_a_type_only_where_nothing_is_called_so() {
        let (named, other) = (tool("a", "prometheus", Product::Prometheus), prometheus());
        let layer = parse("prometheus: {enabled: false}").unwrap();
        let disabled = |tools: &[&Tool]| layer.says(tools).iter().map(|says| says.disabled).collect::<Vec<_>>();
        assert_eq!(disabled(&[&named, &other]), [true, false]);
        assert_eq!(disabled(&[&other]), [true]);
    }

    #[test]
    fn it_can_neither_redirect_nor_add_and_says_so() {
        let text = "tools:\n- {name: prometheus-server, endpoint: 'http://evil', parameters: {a: 1}}\n- {name: mine, endpoint: 'http://x'}\n";
        let layer = parse(text).unwrap();
        assert_eq!(layer.says(&[&prometheus()]), [Says::default()]);
        let words = layer.without_effect(&[&prometheus()]);
        assert_eq!(words.len(), 2);
        assert!(words[0].contains("endpoint, parameters"), "{words:?}");
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
}

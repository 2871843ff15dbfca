use crd_types::State;
use detectors::Product;
use serde_json::Value;

use super::*;
use crate::{
    fixtures,
    render::holmesgpt::{HolmesFile, HolmesInput, parse_base, render},
    tool::Tool,
};

fn file(tools: &[Tool], base: Option<&str>, revision_entry: State) -> HolmesFile {
    let base = base.map(|text| parse_base(text).unwrap());
    render(&HolmesInput { tools, baseline: &[], base: base.as_ref(), revision_entry, is_followed: true })
}

fn tools(products: &[Product]) -> Vec<Tool> {
    products.iter().map(|product| fixtures::tool(*product, "obs", "name")).collect()
}

/// The names of the entries with the reserved prefix.
fn revisions(file: &HolmesFile) -> Vec<String> {
    let value: Value = serde_saphyr::from_str(&file.text).unwrap();
    let sections = ["toolsets", "mcp_servers"].into_iter().filter_map(|section| value[section].as_object());
    sections.flat_map(|section| section.keys()).filter(|name| name.starts_with(PREFIX)).cloned().collect()
}

#[test]
fn the_name_ends_in_the_digest_of_the_bytes_without_the_entry() {
    for products in [&[][..], &[Product::Jaeger], &[Product::MCP], &[Product::Grafana, Product::MCP]] {
        let with = file(&tools(products), None, State::Enabled);
        let without = file(&tools(products), None, State::Disabled);
        let revision = digest::of_text(&without.text)[..8].to_owned();
        assert_eq!(revisions(&with), [format!("{PREFIX}{revision}")], "{}", with.text);
        let lines =
            format!("  {PREFIX}{revision}:\n    enabled: true\n    description: Revision of the discovered toolsets\n");
        assert_eq!(with.text.replacen(&lines, "", 1), without.text);
        assert_eq!((with.revision.as_deref(), without.revision), (Some(&*revision), None));
        assert_eq!(with.entries, without.entries, "it is not an entry that has to be enabled");
    }
}

#[test]
fn it_is_stable_while_nothing_changes_and_new_with_every_change() {
    let revision = |tools: &[Tool]| file(tools, None, State::Enabled).revision.unwrap();
    let one = tools(&[Product::Prometheus]);
    let mut moved = one.clone();
    moved[0].endpoint.port = 9091;
    assert_eq!(revision(&one), revision(&one));
    assert_ne!(revision(&one), revision(&moved));
}

#[test]
fn our_own_output_as_a_base_loses_only_its_revision_entry() {
    let output = file(&tools(&[Product::Jaeger, Product::MCP]), None, State::Enabled);
    let merged = file(&[], Some(&output.text), State::Enabled);
    assert_eq!(revisions(&merged), [format!("{PREFIX}{}", merged.revision.clone().unwrap())]);
    assert!(merged.text.contains("jaeger-obs-name") && merged.text.contains("mcp-obs-name"), "{}", merged.text);
    let [note] = merged.notes.as_slice() else { panic!("{:?}", merged.notes) };
    assert!(note.message.contains("reserved") && note.message.contains(PREFIX), "{note:?}");
}

#[test]
fn the_users_entries_cannot_look_like_it_in_any_spelling() {
    for name in ["discovered-revision-00112233", "Discovered_Revision", "discovered/revision-x"] {
        let base =
            format!("toolsets:\n  {name}: {{type: http, config: {{}}}}\nmcp_servers:\n  {name}: {{config: {{}}}}\n");
        let file = file(&[], Some(&base), State::Disabled);
        assert!(!file.text.contains(name), "{}", file.text);
        assert!(!file.text.contains("mcp_servers"), "an empty section is refused: {}", file.text);
    }
}

#[test]
fn a_revision_is_read_from_the_exact_name_only() {
    assert_eq!(of("discovered-revision-00ffaa99"), Some("00ffaa99"));
    for name in ["discovered-revision-", "discovered-revision-00FFAA99", "discovered-revision-00ffaa991", "jaeger-a-b"]
    {
        assert_eq!(of(name), None, "{name}");
    }
}

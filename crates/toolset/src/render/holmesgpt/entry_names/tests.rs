use std::collections::BTreeSet;

use crd_types::ServiceReason;
use detectors::Product;
use proptest::prelude::*;

use super::*;
use crate::{
    agent_names::folded,
    fixtures::{chosen, from_spec, jaeger, tenant, tool, tools_with_colliding_names},
    plan::names::assign,
};

fn entry_names(tools: &[Tool]) -> Vec<String> {
    entries(tools, std::iter::empty()).into_values().collect()
}

#[test]
fn the_entry_of_a_tenant_carries_its_namespace_also_where_its_name_was_chosen() {
    let mut tools = [tenant(jaeger("team", "jaeger")), tenant(chosen(jaeger("team", "other"), "main"))];
    assign(&mut tools);
    assert_eq!(entry_names(&tools), ["jaeger-team-jaeger", "main-team"]);
}

#[test]
fn the_agents_own_names_cannot_be_chosen_for_an_entry_but_for_an_instance() {
    let mut tools = vec![chosen(jaeger("a", "one"), "bash"), chosen(tool(Product::Loki, "b", "two"), "internet")];
    assign(&mut tools);
    let mut plan = Plan { tools, ..Plan::default() };
    refuse_reserved(&mut plan);
    assert_eq!(plan.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["one", "internet"]);
    assert_eq!(plan.tools[0].reason, ServiceReason::NameConflict);
    let [note] = plan.notes.as_slice() else { panic!("one note: {:?}", plan.notes) };
    assert_eq!(note.reason, Reason::OverrideUnmatched);
    assert!(note.message.contains("\"bash\" of Service a/one"), "{}", note.message);
}

#[test]
fn an_entry_is_called_by_type_namespace_and_service_or_by_its_chosen_name() {
    let mut tools = [jaeger("tracing", "jaeger-query"), chosen(jaeger("tracing", "other"), "main"), from_spec("corp")];
    assign(&mut tools);
    assert_eq!(entry_names(&tools), ["jaeger-tracing-jaeger-query", "main", "corp"]);
}

#[test]
fn entries_that_the_agent_would_give_one_tool_get_a_hash_both() {
    let mut tools = [jaeger("a", "b-c"), jaeger("a-b", "c")];
    assign(&mut tools);
    let names = entry_names(&tools);
    assert!(
        names.iter().all(|name| name.starts_with("jaeger-a-b-c-") && name.len() == "jaeger-a-b-c-".len() + 8),
        "{names:?}"
    );
    assert_ne!(names[0], names[1]);
}

#[test]
fn mcp_servers_are_told_apart_by_their_letters_and_digits() {
    let mut tools = [tool(Product::MCP, "a--b", "x"), tool(Product::MCP, "a-b", "x")];
    assign(&mut tools);
    let names = entry_names(&tools);
    assert!(names.iter().all(|name| name.len() > "mcp-a--b-x".len()), "{names:?}");
}

#[test]
fn a_long_entry_is_39_characters_a_dash_and_8_digits() {
    let mut tools = [jaeger(&"n".repeat(63), &"s".repeat(63))];
    assign(&mut tools);
    let name = &entry_names(&tools)[0];
    assert_eq!(name.len(), MAX_ENTRY);
    assert_eq!(name.as_bytes()[39], b'-');
    assert!(name[40..].chars().all(|c| c.is_ascii_hexdigit()));
}

#[test]
fn an_entry_gives_way_to_the_users_own_of_that_name() {
    let mut tools = [jaeger("a", "b")];
    assign(&mut tools);
    let names = entries(&tools, ["jaeger_a-b"].into_iter());
    assert!(names[&0].starts_with("jaeger-a-b-"), "{names:?}");
}

proptest! {
    #[test]
    fn no_two_entries_share_a_derived_name(mut tools in tools_with_colliding_names()) {
        assign(&mut tools);
        let entries = entries(&tools, std::iter::empty());
        let derived: BTreeSet<String> = entries.values().map(|name| folded(name)).collect();
        prop_assert_eq!(derived.len(), entries.len());
        prop_assert!(entries.values().all(|name| name.len() <= MAX_ENTRY));
    }

    #[test]
    fn nothing_that_tenants_do_changes_the_entry_of_a_trusted_tool(mut tools in tools_with_colliding_names()) {
        let mut alone: Vec<Tool> = tools.iter().filter(|tool| tool.trust == Trust::Trusted).cloned().collect();
        assign(&mut alone);
        assign(&mut tools);
        let beside = entries(&tools, std::iter::empty());
        let trusted = tools.iter().enumerate().filter(|(_, tool)| tool.trust == Trust::Trusted);
        let beside: Vec<Option<&String>> = trusted.map(|(place, _)| beside.get(&place)).collect();
        let named = entries(&alone, std::iter::empty());
        let alone: Vec<Option<&String>> = (0..alone.len()).map(|place| named.get(&place)).collect();
        prop_assert_eq!(beside, alone);
    }
}

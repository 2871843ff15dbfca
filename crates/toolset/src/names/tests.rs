use detectors::Product;
use proptest::prelude::*;

use super::*;
use crate::fixtures::tool;

fn jaeger(namespace: &str, name: &str) -> Tool {
    tool(Product::Jaeger, namespace, name)
}

fn chosen(mut tool: Tool, name: &str) -> Tool {
    tool.chosen_name = Some(name.to_owned());
    tool
}

fn tenant(mut tool: Tool) -> Tool {
    tool.trust = Trust::Tenant;
    tool
}

fn from_spec(name: &str) -> Tool {
    let mut tool = chosen(jaeger("none", "none"), name);
    tool.key = None;
    tool
}

fn names(tools: &[Tool]) -> Vec<&str> {
    tools.iter().map(|tool| tool.name.as_str()).collect()
}

fn entry_names(tools: &[Tool]) -> Vec<String> {
    entries(tools, std::iter::empty()).into_values().collect()
}

#[test]
fn a_tool_is_called_as_its_service_and_with_its_namespace_where_two_are() {
    let mut tools = [jaeger("a", "jaeger"), jaeger("b", "jaeger"), jaeger("a", "zipkin")];
    assert_eq!(assign(&mut tools), []);
    assert_eq!(names(&tools), ["jaeger-a", "jaeger-b", "zipkin"]);
}

#[test]
fn a_further_clash_ends_in_a_hash_of_what_the_tool_is() {
    let mut tools = [jaeger("a-b", "c"), jaeger("b", "c-a"), jaeger("x", "c"), jaeger("x", "c-a")];
    assign(&mut tools);
    let all: BTreeSet<&str> = names(&tools).into_iter().collect();
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(tools[2].name, "c-x");
}

#[test]
fn a_chosen_name_goes_to_the_spec_then_to_trusted_services_in_order_and_the_loser_is_told() {
    let mut tools = [chosen(jaeger("a", "one"), "main"), chosen(jaeger("b", "two"), "main"), from_spec("main")];
    let clashes = assign(&mut tools);
    assert_eq!(names(&tools), ["one", "two", "main"]);
    assert_eq!(clashes.iter().map(|clash| clash.index).collect::<Vec<_>>(), [0, 1]);
    assert!(clashes[0].message.contains("\"main\" of a/one is taken by tool"), "{}", clashes[0].message);
    assert_eq!(tools[0].reason, ServiceReason::NameConflict);
    assert_eq!(tools[0].chosen_name, None);
    assert_eq!(tools[2].reason, ServiceReason::Selected);
}

#[test]
fn names_that_the_agent_maps_to_one_are_one() {
    let mut tools = [chosen(jaeger("a", "one"), "my-traces"), chosen(jaeger("b", "two"), "my_traces")];
    assert_eq!(assign(&mut tools).len(), 1);
}

#[test]
fn the_agents_own_names_cannot_be_chosen_for_an_entry_but_for_an_instance() {
    let mut tools = [chosen(jaeger("a", "one"), "bash"), chosen(tool(Product::Loki, "b", "two"), "internet")];
    assert_eq!(assign(&mut tools).iter().map(|clash| clash.index).collect::<Vec<_>>(), [0]);
    assert_eq!(names(&tools), ["one", "internet"]);
}

#[test]
fn a_tenants_name_carries_its_namespace_also_where_it_was_chosen() {
    let mut tools = [tenant(jaeger("team", "jaeger")), tenant(chosen(jaeger("team", "other"), "main"))];
    assign(&mut tools);
    assert_eq!(names(&tools), ["jaeger-team", "main-team"]);
    assert_eq!(entry_names(&tools), ["jaeger-team-jaeger", "main-team"]);
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

fn a_tool() -> impl Strategy<Value = Tool> {
    // Few short names and separators, so that they collide often.
    let label = "[ab](-[ab]){0,2}";
    let product = prop::sample::select(vec![Product::Jaeger, Product::Zipkin, Product::Loki, Product::MCP]);
    (product, label, label, prop::option::of("[ab]([_-][ab]){0,2}"), any::<bool>()).prop_map(
        |(product, ns, name, chosen, tenant)| {
            let mut tool = tool(product, &ns, &name);
            (tool.chosen_name, tool.trust) = (chosen, if tenant { Trust::Tenant } else { Trust::Trusted });
            tool
        },
    )
}

/// Tools of different Services, as a plan has them.
fn some_tools() -> impl Strategy<Value = Vec<Tool>> {
    prop::collection::vec(a_tool(), 0..12).prop_map(|mut tools| {
        tools.sort_by(|a, b| (a.product, &a.key).cmp(&(b.product, &b.key)));
        let mut seen = BTreeSet::new();
        tools.retain(|tool| seen.insert(tool.key.clone()));
        tools
    })
}

proptest! {
    #[test]
    fn no_two_tools_share_a_name_and_no_two_entries_a_derived_one(mut tools in some_tools()) {
        assign(&mut tools);
        let all: BTreeSet<String> = tools.iter().map(|tool| tool.name.clone()).collect();
        prop_assert_eq!(all.len(), tools.len());
        let entries = entries(&tools, std::iter::empty());
        let derived: BTreeSet<String> = entries.values().map(|name| builtin::folded(name)).collect();
        prop_assert_eq!(derived.len(), entries.len());
        prop_assert!(entries.values().all(|name| name.len() <= MAX_ENTRY));
    }

    #[test]
    fn nothing_that_tenants_do_changes_a_trusted_name(mut tools in some_tools()) {
        let mut alone: Vec<Tool> = tools.iter().filter(|tool| tool.trust == Trust::Trusted).cloned().collect();
        assign(&mut alone);
        assign(&mut tools);
        let entries_beside = entries(&tools, std::iter::empty());
        let entries_alone = entries(&alone, std::iter::empty());
        let beside: Vec<(&str, Option<&String>)> = tools.iter().enumerate()
            .filter(|(_, tool)| tool.trust == Trust::Trusted)
            .map(|(index, tool)| (tool.name.as_str(), entries_beside.get(&index))).collect();
        let alone: Vec<(&str, Option<&String>)> =
            alone.iter().enumerate().map(|(index, tool)| (tool.name.as_str(), entries_alone.get(&index))).collect();
        prop_assert_eq!(beside, alone);
    }
}

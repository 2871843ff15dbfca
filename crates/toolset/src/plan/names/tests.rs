use proptest::prelude::*;

use super::*;
use crate::fixtures::{chosen, from_spec, jaeger, tenant, tools_with_colliding_names};

fn names(tools: &[Tool]) -> Vec<&str> {
    tools.iter().map(|tool| tool.name.as_str()).collect()
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
    assert!(clashes[0].message.contains("\"main\" of Service a/one is already used by tool"), "{}", clashes[0].message);
    assert_eq!(tools[0].reason, ServiceReason::NameConflict);
    assert_eq!(tools[0].chosen_name, None);
    assert_eq!(tools[2].reason, ServiceReason::Selected);
}

#[test]
fn names_that_differ_only_in_case_and_separators_are_one() {
    let mut tools = [chosen(jaeger("a", "one"), "my-traces"), chosen(jaeger("b", "two"), "my_traces")];
    assert_eq!(assign(&mut tools).len(), 1);
}

#[test]
fn a_tenants_name_carries_its_namespace_also_where_it_was_chosen() {
    let mut tools = [tenant(jaeger("team", "jaeger")), tenant(chosen(jaeger("team", "other"), "main"))];
    assign(&mut tools);
    assert_eq!(names(&tools), ["jaeger-team", "main-team"]);
}

proptest! {
    #[test]
    fn no_two_tools_share_a_name(mut tools in tools_with_colliding_names()) {
        assign(&mut tools);
        let all: BTreeSet<String> = tools.iter().map(|tool| tool.name.clone()).collect();
        prop_assert_eq!(all.len(), tools.len());
    }

    #[test]
    fn nothing_that_tenants_do_changes_a_trusted_name(mut tools in tools_with_colliding_names()) {
        let mut alone: Vec<Tool> = tools.iter().filter(|tool| tool.trust == Trust::Trusted).cloned().collect();
        assign(&mut alone);
        assign(&mut tools);
        let beside: Vec<&str> =
            tools.iter().filter(|tool| tool.trust == Trust::Trusted).map(|tool| tool.name.as_str()).collect();
        prop_assert_eq!(beside, names(&alone));
    }

    #[test]
    fn names_are_the_same_in_any_order(mut tools in tools_with_colliding_names()) {
        let of_all = |tools: &[Tool]| -> BTreeMap<_, _> {
            tools.iter().map(|tool| (tool.key.clone(), tool.name.clone())).collect()
        };
        // Among equals the earlier one gets a chosen name, so these do not take part.
        for tool in &mut tools {
            tool.chosen_name = None;
        }
        let mut reversed: Vec<Tool> = tools.iter().rev().cloned().collect();
        assign(&mut tools);
        assign(&mut reversed);
        prop_assert_eq!(of_all(&tools), of_all(&reversed));
    }
}

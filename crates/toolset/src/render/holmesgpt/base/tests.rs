use super::*;
use crate::render::holmesgpt::toolsets::Toolset;

fn own(toolset: Toolset, yaml: &str) -> (OwnInstances, Vec<String>) {
    let file = parse(&format!("toolsets:\n  it: {yaml}\n")).unwrap();
    let mut problems = file.problems().to_vec();
    let own = OwnInstances::of(toolset, "it", file.toolsets().get("it"), &mut problems);
    (own, problems)
}

fn written(blocks: &[Block]) -> Vec<String> {
    blocks.iter().map(|block| yaml::to_yaml(block).unwrap().trim_end().replace('\n', ", ")).collect()
}

#[test]
fn both_sections_are_read_and_others_ignored() {
    let file = parse("x-anchors: {a.b: 1}\ntoolsets:\n  datadog/logs: {enabled: true}\nmcp_servers:\n  github: {config: {url: 'http://x'}}\n").unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["datadog/logs", "github"]);
    assert_eq!(file.problems(), [] as [&str; 0]);
}

#[test]
fn an_entry_for_which_the_agent_would_refuse_the_whole_file_is_left_out_and_said() {
    let text = "toolsets:\n  my.http: {type: http}\n  kubernetes/core:\n  fine: {enabled: true}\n  deep: {config: {headers: {X.Dot: a}}}\n  list: [1]\n";
    let file = parse(text).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["fine"]);
    assert_eq!(file.problems().len(), 4, "{:?}", file.problems());
    assert!(file.problems().iter().any(|problem| problem.contains("X.Dot")));
}

#[test]
fn a_name_that_cannot_be_used_gets_a_message_that_fits() {
    let problem = |yaml: &str| parse(&format!("toolsets:\n  {yaml}: {{enabled: true}}\n")).unwrap().problems().join("");
    assert_eq!(problem("''"), "entry \"\" of toolsets is omitted: its name is empty; give it a name");
    assert!(problem("my.http").contains("a name contains a dot; rename it"));
    for name in ["\"a\\nb\"", "\"a\\tb\"", "\"\\e[31m\""] {
        let said = problem(name);
        assert!(said.contains("line break or another control character") && !said.contains("dot"), "{said}");
        assert!(!said.contains(char::is_control), "{said:?}");
    }
}

#[test]
fn an_empty_file_or_section_is_no_error() {
    for text in ["", "# nothing\n", "{}", "toolsets:\n", "toolsets: {}\nmcp_servers: null\n", "toolsets: []\n"] {
        assert_eq!(parse(text), Ok(BaseFile::default()), "{text:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_in_words() {
    for text in ["a: [", "- a", "text", "toolsets: [{name: x}]", "toolsets: text", "toolsets: {}\n---\ntoolsets: {}\n"]
    {
        assert!(parse(text).is_err(), "{text:?}");
    }
    assert!(parse(&format!("toolsets: {{a: {{b: '{}'}}}}", "x".repeat(MAX_BYTES))).is_err());
}

#[test]
fn an_entry_that_aliases_make_larger_than_the_budget_is_left_out_alone() {
    let line = "x".repeat(1000);
    let tenfold = |from: &str, to: &str| format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 10].join(", "));
    let levels: String = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")].map(|(from, to)| tenfold(from, to)).concat();
    let toolsets = "toolsets: {a: {config: {v: 1}}, mine: {config: {all: *e}}, z: {config: {v: *b}}}";
    let file = parse(&format!("a: &a ['{line}']\n{levels}{toolsets}\n")).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["a", "z"]);
    let [problem] = file.problems() else { panic!("{:?}", file.problems()) };
    assert!(problem.contains("\"mine\" of toolsets is omitted") && problem.contains("too large"), "{problem}");
}

#[test]
fn many_entries_that_are_too_large_do_not_cost_time_each() {
    let line = "x".repeat(1000);
    let large = format!("a: &a [{}]\n", vec![format!("'{line}'"); 100].join(", "));
    let entries: Vec<String> = (0..4000).map(|number| format!("  e{number:04}: {{v: [*a, *a, *a]}}\n")).collect();
    let file = parse(&format!("{large}toolsets:\n{}", entries.concat())).unwrap();
    assert_eq!((file.toolsets().len(), file.problems().len()), (0, 4000));
}

#[test]
fn instances_that_inherit_too_much_are_left_out_and_said() {
    let header = "x".repeat(1000);
    let with = |count: usize| {
        let instances = vec!["{api_url: a}"; count].join(", ");
        let config = format!("{{api_key: {header}, instances: [{instances}]}}");
        let (own, problems) = own(Toolset::Loki, &format!("{{enabled: true, config: {config}}}"));
        (own.instances.len(), problems.join(""))
    };
    assert_eq!(with(50), (50, String::new()));
    let (instances, problems) = with(100);
    assert!(instances == 0 && problems.contains("inherit"), "{problems}");
}

#[test]
fn thousands_of_fields_and_of_instances_with_one_name_are_merged_in_a_moment() {
    let fields: Vec<String> = (0..8000).map(|number| format!("f{number}: 1, ")).collect();
    let fields = fields.concat();
    let instances = vec!["{name: a, api_url: b}"; 4000].join(", ");
    let (merged, _) = own(Toolset::Loki, &format!("{{enabled: true, config: {{instances: [{instances}]}}}}"));
    let entry = crate::render::holmesgpt::instances::entry(Toolset::Loki, &[], merged, &mut Vec::new());
    let Some(Node::List(listed)) = entry.get("config").and_then(|config| config.as_map()?.get("instances")) else {
        panic!("no instances")
    };
    let names: std::collections::BTreeSet<_> =
        listed.iter().map(|one| one.as_map().unwrap().get("name").unwrap().as_text().unwrap()).collect();
    assert_eq!(names.len(), 4000);
    let (merged, _) = own(Toolset::Loki, &format!("{{enabled: true, config: {{{fields} api_url: a}}}}"));
    assert_eq!(merged.instances[0].len(), 8002, "the fields, the URL and the name");
}

#[test]
fn values_are_taken_as_the_agents_yaml_reader_takes_them() {
    let file =
        parse("toolsets: {mine: {a: yes, b: off, c: 017, d: 1_000, e: 'yes', f: 1.5, g: null, h: 1e3, i: 1:30}}");
    let written = written(&[file.unwrap().toolsets()["mine"].clone()]);
    assert_eq!(written, ["a: true, b: false, c: 15, d: 1000, e: \"yes\", f: 1.5, g: null, h: \"1e3\", i: 90"]);
}

#[test]
fn a_value_that_cannot_be_carried_over_costs_its_entry_and_is_named() {
    let table = [
        ("since: 2020-13-45", "2020-13-45 at since"),
        ("config: {retries: 0x_}", "0x_ at config.retries"),
        ("config: {list: [1, =]}", "= at config.list.1"),
        ("config: !include other.yaml", "the tag !include at config"),
        ("config: &c {again: *c}", "an alias at config.again"),
        ("<<: 3", "a << cannot"),
    ];
    for (bad, named) in table {
        let file = parse(&format!("toolsets:\n  fine: {{enabled: true}}\n  bad:\n    {bad}\n")).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["fine"], "{bad}");
        let [problem] = file.problems() else { panic!("{:?}", file.problems()) };
        assert!(problem.starts_with("entry \"bad\" of toolsets is omitted: "), "{problem}");
        assert!(problem.contains(named) && problem.contains("; "), "{problem}");
    }
    for fine in [".nan", ".inf", "12e4567", "123456789012345678901234567890", "2020-01-01"] {
        let file = parse(&format!("toolsets: {{a: {{v: {fine}}}}}")).unwrap();
        assert_eq!((file.toolsets().len(), file.problems().len()), (1, 0), "{fine}");
    }
}

#[test]
fn a_name_that_is_no_text_for_the_agent_is_left_out_and_said() {
    let file =
        parse("toolsets: {on: {enabled: true}, 1: {enabled: true}, 'off': {enabled: true}, 2020-13-01: {}}").unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["off"]);
    assert_eq!(file.problems().len(), 3, "{:?}", file.problems());
    assert_eq!(
        file.problems()[0],
        "entry \"on\" of toolsets is omitted: the agent does not read its name as text; put it in quotes"
    );
}

#[test]
fn of_sections_and_entries_with_the_same_name_the_last_one_counts() {
    let file = parse("toolsets: {a: {}}\ntoolsets: {b: {v: 1}, c: {}, b: {v: 2}, c: {x.y: 1}}\n").unwrap();
    assert_eq!(written(&[file.toolsets()["b"].clone()]), ["v: 2"]);
    assert_eq!(file.names().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn sections_and_the_file_can_be_merged_from_others() {
    let text = "x: &x {toolsets: &t {a: {enabled: true}}}\n<<: *x\nmcp_servers: {<<: *t, b: {enabled: true}}\n";
    assert_eq!(parse(text).unwrap().names().collect::<Vec<_>>(), ["a", "a", "b"]);
}

#[test]
fn enabled_is_taken_as_the_agent_takes_it() {
    let with = |enabled: &str| {
        let (own, problems) = own(Toolset::Loki, &format!("{{enabled: {enabled}, config: {{api_url: 'http://a'}}}}"));
        (own.instances.len(), problems.join(""))
    };
    for on in ["true", "yes", "ON", "1", "1.0", "'true'", "'Y'", "'1'", "y"] {
        assert_eq!(with(on), (1, String::new()), "{on}");
    }
    for off in ["false", "no", "0", "'off'", "n"] {
        let (instances, problems) = with(off);
        assert!(instances == 0 && problems.contains("is disabled in the base file"), "{off}: {problems}");
    }
    for neither in ["null", "2", "maybe", "[]", "2020-01-01"] {
        let (instances, problems) = with(neither);
        assert!(instances == 0 && problems.contains("Set enabled to true or false"), "{neither}: {problems}");
    }
}

#[test]
fn an_instance_without_a_text_as_its_name_gets_one() {
    let names = |name: &str| {
        let text = format!("{{enabled: true, config: {{instances: [{{name: {name}, api_url: a}}]}}}}");
        let (own, _) = own(Toolset::Loki, &text);
        own.instances[0].get("name").and_then(Node::as_text).unwrap().to_owned()
    };
    assert_eq!(["eu", "2024", "0", "''", "null"].map(names), ["eu", "2024", "instance-0", "instance-0", "instance-0"]);
}

#[test]
fn a_flat_configuration_becomes_an_instance_behind_ours() {
    let (own, problems) = own(
        Toolset::Metrics,
        "{enabled: true, description: d, config: {prometheus_url: 'https://saas', verify_ssl: false}}",
    );
    assert_eq!(written(&own.instances), ["name: default, prometheus_url: https://saas, verify_ssl: false"]);
    assert_eq!(written(&[own.fields]), ["description: d"]);
    assert_eq!(problems, [] as [&str; 0]);
}

#[test]
fn instances_take_along_what_they_inherit_but_for_credentials_that_exclude_each_other() {
    let text = "{enabled: true, config: {api_key: global, verify_ssl: false, instances: [{name: a, api_url: 'http://a'}, {api_url: 'http://b', username: u, password: p}]}}";
    let (own, _) = own(Toolset::Loki, text);
    assert_eq!(
        written(&own.instances),
        [
            "name: a, api_key: global, verify_ssl: false, api_url: http://a",
            "verify_ssl: false, api_url: http://b, username: u, password: p, name: instance-1",
        ]
    );
}

#[test]
fn what_cannot_stand_beside_discovered_tools_is_said() {
    let (off, problems) = own(Toolset::Loki, "{enabled: false, config: {api_url: 'http://a'}}");
    assert_eq!(off.instances, []);
    assert!(problems[0].contains("is disabled in the base file"), "{problems:?}");
    let (nowhere, problems) = own(Toolset::Metrics, "{enabled: true, config: {headers: {A: b}}}");
    assert_eq!(nowhere.instances, []);
    assert!(problems[0].contains("prometheus_url"), "{problems:?}");
    let (plain, problems) = own(Toolset::Metrics, "{enabled: true}");
    assert_eq!((plain, problems), (OwnInstances::default(), Vec::new()));
}

//! What Grafana is told to delete.

use super::*;

#[test]
fn what_is_gone_deselected_or_switched_off_is_deleted_in_grafana() {
    let services = || vec![prometheus("monitoring", "a"), prometheus("monitoring", "b")];
    let (before, _) = after(None, &for_grafana(json!({})), services());
    let only_b = vec![prometheus("monitoring", "b")];
    let opted_out = annotated(prometheus("monitoring", "a"), &[("kubernaut.io/toolset", "disabled")]);
    let tenant = json!([{"name": "t", "trust": "Tenant", "namespaces": {"from": "All"}}]);
    let off = json!([{"name": "off", "match": {"service": "a"}, "state": "Disabled"}]);
    let single =
        json!([{"type": "Prometheus", "preferred": [{"namespace": "monitoring", "name": "b"}], "instances": "Single"}]);
    for (more, services, expected) in [
        (json!({}), only_b.clone(), vec!["a"]),
        (json!({}), vec![opted_out, only_b[0].clone()], vec!["a"]),
        (json!({"overrides": off}), services(), vec!["a"]),
        (json!({"detectors": single}), services(), vec!["a"]),
        (json!({"detectors": [{"type": "Prometheus", "state": "Disabled"}]}), services(), vec!["a", "b"]),
        (json!({"sources": tenant}), services(), vec!["a", "b"]),
    ] {
        let (_, file) = after(Some(&before), &for_grafana(more.clone()), services);
        let expected: Vec<String> = expected.into_iter().map(name).collect();
        assert_eq!(deleted(&file), expected, "{more}");
        assert_eq!(file["deleteDatasources"][0]["orgId"], 1);
        assert!(names(&file, "datasources").iter().all(|name| !expected.contains(name)), "{file}");
    }
}

#[test]
fn a_fault_of_a_service_deletes_nothing_and_its_name_is_remembered_until_it_is_gone() {
    let config = for_grafana(json!({}));
    let (before, _) = after(None, &config, vec![prometheus("monitoring", "a")]);
    let faulty = || annotated(prometheus("monitoring", "a"), &[("kubernaut.io/toolset-port", "nope")]);
    let (text, file) = after(Some(&before), &config, vec![faulty()]);
    assert_eq!(file, json!({"apiVersion": 1, "datasources": []}), "{text}");
    let (again, _) = after(Some(&text), &config, vec![faulty()]);
    assert_eq!(again, text, "nothing moves at rest");
    let (_, gone) = after(Some(&text), &config, vec![]);
    assert_eq!(deleted(&gone), [name("a")]);
    let (back, file) = after(Some(&text), &config, vec![prometheus("monitoring", "a")]);
    assert_eq!((names(&file, "datasources"), deleted(&file)), (vec![name("a")], vec![]));
    assert_eq!(back, before);
}

#[test]
fn a_tombstone_stays_until_its_name_is_back() {
    let config = for_grafana(json!({}));
    let (first, _) = after(None, &config, vec![prometheus("monitoring", "a"), prometheus("monitoring", "b")]);
    let (second, _) = after(Some(&first), &config, vec![prometheus("monitoring", "b")]);
    let (third, file) = after(Some(&second), &config, vec![prometheus("monitoring", "b")]);
    assert_eq!((deleted(&file), &third), (vec![name("a")], &second), "the same input gives the same bytes");
    let (_, both) = after(Some(&third), &config, vec![]);
    assert_eq!(deleted(&both), [name("a"), name("b")]);
    let (_, back) = after(Some(&third), &config, vec![prometheus("monitoring", "a")]);
    assert_eq!((names(&back, "datasources"), deleted(&back)), (vec![name("a")], vec![name("b")]));
}

#[test]
fn at_most_fifty_names_are_deleted_at_once_and_the_others_follow_when_grafana_has_loaded_the_file() {
    let config = for_grafana(json!({}));
    let many = |from: usize, to: usize| (from..to).map(|n| prometheus("monitoring", &format!("p{n:03}")));
    let (all, _) = after(None, &config, many(0, 130).collect());
    let next = |text: &str, is_loaded: bool, services: Vec<ServiceView>| {
        let earlier = Earlier { is_loaded, ..loaded(text) };
        let (_, rendered) = run_after(&config, &index(services), HealthInput::Unobserved, Some(earlier));
        let text = self::text(&rendered, &config);
        let deleted = deleted(&serde_saphyr::from_str(&text).unwrap());
        (text, deleted, rendered.waits, rendered.notes)
    };
    let expected = |from: usize, to: usize| (from..to).map(|n| name(&format!("p{n:03}"))).collect::<Vec<_>>();
    let (first, deleted, waits, notes) = next(&all, true, vec![]);
    assert_eq!((deleted, waits), (expected(0, 50), true));
    assert!(notes[0].reason == Reason::OutputTooLarge && notes[0].message.contains("80 data sources"), "{notes:?}");
    assert_eq!(next(&first, false, vec![]).0, first, "nothing moves before Grafana has loaded it");
    let (_, deleted, ..) = next(&first, false, many(3, 4).collect());
    assert!(!deleted.contains(&name("p003")) && deleted.contains(&name("p050")), "a free place is used");
    let (second, deleted, waits, _) = next(&first, true, vec![]);
    assert_eq!((deleted, waits), (expected(50, 100), true));
    let (third, deleted, waits, notes) = next(&second, true, vec![]);
    assert_eq!((deleted, waits, notes.len()), (expected(80, 130), false, 0), "all of them have been there");
    assert_eq!(next(&third, true, vec![]).0, third);
}

#[test]
fn nobody_can_make_it_delete_a_name_that_is_not_of_its_own_form() {
    let config = for_grafana(json!({}));
    let edited = "# left in Grafana: Loki\n# left in Grafana: x/y (discovered)\napiVersion: 1\n\
                  datasources: [{name: Prometheus}, {name: a/b (discovered), isDefault: true}]\n\
                  deleteDatasources: [{name: Main, orgId: 1}, {name: $X/y (discovered)}]\n";
    let (_, file) = after(Some(edited), &config, vec![prometheus("monitoring", "a")]);
    assert_eq!(deleted(&file), ["a/b (discovered)", "x/y (discovered)"]);
    for broken in ["{", "datasources: 5", "", "[]", "datasources: null"] {
        assert_eq!(deleted(&after(Some(broken), &config, vec![]).1), Vec::<String>::new(), "{broken}");
    }
}

#[test]
fn what_the_size_budget_leaves_out_is_not_deleted() {
    let config = for_grafana(json!({}));
    let services = vec![prometheus("monitoring", "a"), prometheus("monitoring", "b")];
    let (text, _) = after(None, &config, services.clone());
    let mut plan = crate::fixtures::planned(&config, &index(services));
    let off = switched_off(&config, &plan);
    let cut = plan.tools.split_off(1);
    let before = Before { earlier: Some(loaded(&text)), fate: &|_| Fate::Open, can_fill: None };
    let file = render(&Input { config: &config, tools: &plan.tools, before: Some(&before), off: &off });
    assert!(!file.text.contains("deleteDatasources"), "{}", file.text);
    assert!(file.text.contains(&previous::REMEMBERED.line(&names::of_tool(&cut[0]))), "{}", file.text);
}

/// The names in the comments of this start.
fn comments(text: &str, start: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix(start)).map(str::to_owned).collect()
}

fn remembered(text: &str) -> Vec<String> {
    comments(text, "# left in Grafana: ")
}

#[test]
fn only_a_proof_that_it_is_not_wanted_deletes_a_data_source() {
    let rule = json!({"overrides": [{"name": "i", "match": {"type": "Elasticsearch"}, "settings": {"index": "x"}}]});
    let with_index = after(None, &for_grafana(rule), vec![of_type("monitoring", "a", "elasticsearch")]).0;
    let before = after(None, &for_grafana(json!({})), vec![prometheus("monitoring", "a")]).0;
    let plain = || service("monitoring", "a", &[("http", 80)]);
    let changed = |change: fn(&mut ServiceView)| {
        let mut view = prometheus("monitoring", "a");
        change(&mut view);
        view
    };
    let headless = changed(|view| view.headless = true);
    let mut twin = prometheus("monitoring", "twin");
    twin.selector = headless.selector.clone();
    for (what, before, services) in [
        ("nothing recognises it", &before, vec![plain()]),
        ("it is recognised as something else", &before, vec![of_type("monitoring", "a", "kibana")]),
        ("nobody gives the index any more", &with_index, vec![of_type("monitoring", "a", "elasticsearch")]),
        ("it has no selector", &before, vec![changed(|view| view.selector = [("", ""); 0].into_iter().collect())]),
        (
            "it is an ExternalName",
            &before,
            vec![changed(|view| view.service_type = detectors::ServiceType::ExternalName)],
        ),
        ("it is headless beside another one", &before, vec![headless, twin]),
        ("it has no port", &before, vec![changed(|view| view.ports = [].into())]),
        ("a faulty annotation", &before, vec![annotated(plain(), &[("kubernaut.io/toolset-type", "$")])]),
    ] {
        let (text, file) = after(Some(before), &for_grafana(json!({})), services);
        assert_eq!((deleted(&file), remembered(&text)), (vec![], vec![name("a")]), "{what}: {text}");
    }
}

#[test]
fn what_is_remembered_is_deleted_by_the_spec_and_by_its_owner_although_nothing_recognises_it() {
    let before = after(None, &for_grafana(json!({})), vec![prometheus("monitoring", "a")]).0;
    let plain = || service("monitoring", "a", &[("http", 80)]);
    let (text, _) = after(Some(&before), &for_grafana(json!({})), vec![plain()]);
    assert_eq!(remembered(&text), [name("a")]);
    let rule = json!({"name": "off", "match": {"namespace": "monitoring", "service": "a"}, "state": "Disabled"});
    let off = json!({"overrides": [rule]});
    let by_label = json!({"sources": [{
        "name": "s", "trust": "Trusted", "namespaces": {"from": "All"}, "serviceSelector": {"matchLabels": {"a": "b"}},
    }]});
    let opted_out = annotated(plain(), &[("kubernaut.io/toolset", "disabled")]);
    for (more, view) in [(off, plain()), (by_label, plain()), (json!({}), opted_out)] {
        let (_, file) = after(Some(&text), &for_grafana(more.clone()), vec![view]);
        assert_eq!(deleted(&file), [name("a")], "{more}");
    }
}

#[test]
fn a_namespace_whose_labels_are_not_known_may_be_selected() {
    let by_label = json!({"sources": [{
        "name": "s", "trust": "Trusted", "namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}},
    }]});
    let before = after(None, &for_grafana(json!({})), vec![prometheus("monitoring", "a")]).0;
    let mut index = index([prometheus("monitoring", "a")]);
    let config = for_grafana(by_label);
    let next = |index: &Index| {
        let (_, rendered) = run(&config, index, HealthInput::Unobserved, Some(&before));
        deleted(&serde_saphyr::from_str(&text(&rendered, &config)).unwrap())
    };
    assert_eq!(next(&index), Vec::<String>::new());
    let labels = [("a", "c")].into_iter().collect();
    index.apply_namespace(crate::NamespaceView { name: "monitoring".into(), labels });
    assert_eq!(next(&index), [name("a")]);
}

#[test]
fn what_cannot_be_seen_is_deleted_only_if_the_spec_excludes_it() {
    let config = for_grafana(json!({}));
    let before = after(None, &config, vec![prometheus("monitoring", "a"), prometheus("monitoring", "b")]).0;
    let next = |config: &ToolsetConfig| {
        let earlier = Earlier { unseen: &|namespace| namespace == "monitoring", ..loaded(&before) };
        let (_, rendered) = run_after(config, &index([]), HealthInput::Unobserved, Some(earlier));
        let text = text(&rendered, config);
        (deleted(&serde_saphyr::from_str(&text).unwrap()), remembered(&text))
    };
    assert_eq!(next(&config), (vec![], vec![name("a"), name("b")]));
    let off = json!({"overrides": [{"name": "off", "match": {"service": "a"}, "state": "Disabled"}]});
    assert_eq!(next(&for_grafana(off)), (vec![name("a")], vec![name("b")]));
    let elsewhere = json!({"sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "Same"}}]});
    assert_eq!(next(&for_grafana(elsewhere)), (vec![name("a"), name("b")], vec![]));
}

#[test]
fn a_tool_of_the_spec_is_deleted_when_the_spec_does_not_list_it() {
    let tool = |endpoint: &str, type_: &str| json!({"tools": [{"name": "corp", "type": type_, "endpoint": endpoint}]});
    let (before, _) = after(None, &for_grafana(tool("https://a.example/", "Loki")), vec![]);
    let next = |more: Value| deleted(&after(Some(&before), &for_grafana(more), vec![]).1);
    assert_eq!(next(json!({})), ["spec.tools/corp (discovered)"]);
    for kept in [tool("https://a.example/", "Kibana"), tool("not a URL", "Loki"), tool("https://b.example/", "Tempo")] {
        assert!(next(kept.clone()).is_empty(), "{kept}");
    }
}

/// What two ToolsetConfigs for the same Grafana write one after the other, until nothing changes.
fn settle(files: &mut [(ToolsetConfig, String)], index: &Index) {
    for _ in 0..6 {
        for position in 0..files.len() {
            let mut elsewhere = Elsewhere::new();
            for (other, (config, text)) in files.iter().enumerate() {
                if other != position {
                    add_elsewhere(&mut elsewhere, config, text);
                }
            }
            let (config, before) = &files[position];
            let earlier = Earlier { elsewhere: Some(&elsewhere), ..loaded(before) };
            let (_, rendered) = run_after(config, index, HealthInput::Unobserved, Some(earlier));
            let text = text(&rendered, config);
            files[position].1 = text;
        }
    }
}

#[test]
fn what_another_toolset_config_lists_is_not_deleted_before_it_is_gone_or_listed_by_nobody() {
    let called = |name: &str, namespace: &str, more: &Value| {
        let mut config = for_grafana(more.clone());
        (config.metadata.name, config.metadata.namespace) = (Some(name.to_owned()), Some(namespace.to_owned()));
        config
    };
    let nothing = json!({});
    let off = json!({"overrides": [{"name": "off", "match": {"service": "a"}, "state": "Disabled"}]});
    let (there, gone) = (index([prometheus("monitoring", "a")]), index([]));
    let deletes = |file: &(ToolsetConfig, String)| deleted(&serde_saphyr::from_str(&file.1).unwrap());
    let both = || {
        let mut files =
            [called("x", "monitoring", &nothing), called("y", "holmes", &nothing)].map(|one| (one, String::new()));
        settle(&mut files, &there);
        files
    };

    let mut files = both();
    files[0].0 = called("x", "monitoring", &off);
    settle(&mut files, &there);
    assert_eq!((deletes(&files[0]), deletes(&files[1])), (vec![], vec![]));
    assert_eq!(comments(&files[0].1, "# left in Grafana for another ToolsetConfig: "), [name("a")]);
    files[1].0 = called("y", "holmes", &off);
    settle(&mut files, &there);
    assert_eq!((deletes(&files[0]), deletes(&files[1])), (vec![name("a")], vec![name("a")]));
    files[1].0 = called("y", "holmes", &nothing);
    settle(&mut files, &there);
    assert_eq!((deletes(&files[0]), deletes(&files[1])), (vec![], vec![]), "it is back in one of them");

    let mut files = both();
    settle(&mut files, &gone);
    assert_eq!((deletes(&files[0]), deletes(&files[1])), (vec![name("a")], vec![name("a")]), "it is gone for both");

    let (config, text) = &both()[0];
    let earlier = Earlier { elsewhere: None, ..loaded(text) };
    let off = called("x", "monitoring", &off);
    let (_, rendered) = run_after(&off, &there, HealthInput::Unobserved, Some(earlier));
    assert!(!self::text(&rendered, &off).contains("deleteDatasources"), "the others are not known yet: {config:?}");
}

#[test]
fn the_same_data_source_in_two_toolset_configs_of_a_namespace_is_reported() {
    let config = for_grafana(json!({}));
    let other = |namespace: &str| {
        let mut other = for_grafana(json!({}));
        (other.metadata.name, other.metadata.namespace) = (Some("other".to_owned()), Some(namespace.to_owned()));
        let mut elsewhere = Elsewhere::new();
        let (text, _) = after(None, &other, vec![prometheus("monitoring", "a")]);
        add_elsewhere(&mut elsewhere, &other, &text);
        let earlier = Earlier { elsewhere: Some(&elsewhere), ..loaded("") };
        run_after(&config, &index([prometheus("monitoring", "a")]), HealthInput::Unobserved, Some(earlier)).1.notes
    };
    let notes = other("holmes");
    assert!(notes[0].reason == Reason::OutputConflict && notes[0].message.contains("ToolsetConfig other"), "{notes:?}");
    assert!(other("elsewhere").is_empty(), "it may be for another Grafana");
}

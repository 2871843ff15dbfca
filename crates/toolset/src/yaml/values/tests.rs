use std::thread;

use super::*;
use crate::yaml::{document::normalised, to_yaml};

const MAX_BYTES: usize = 100_000;

fn read_at_most(max_bytes: usize, text: &str) -> Result<Node, Problem> {
    let (text, separators) = normalised(text);
    let document = Document::parse(&text, &separators).unwrap();
    Values::of(&document, max_bytes).node(document.root().unwrap())
}

fn read(text: &str) -> Result<Node, Problem> {
    read_at_most(MAX_BYTES, text)
}

/// What is written of the value of `text`.
fn written(text: &str) -> String {
    to_yaml(read(text).unwrap().as_map().unwrap()).unwrap().trim_end().replace('\n', ", ")
}

fn problem(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn values_are_written_so_that_a_yaml_1_1_reader_reads_them_as_they_were() {
    let table = [
        ("a: 1e3", "a: \"1e3\""),
        ("a: 08", "a: \"08\""),
        ("a: 0o17", "a: \"0o17\""),
        ("a: 1:30", "a: 90"),
        ("a: yes", "a: true"),
        ("a: 'yes'", "a: \"yes\""),
        ("a: y", "a: \"y\""),
        ("a: ~", "a: null"),
        ("a: .nan", "a: .nan"),
        ("a: 1.0e+300", "a: 1.0e+300"),
        (
            "a: 340282366920938463463374607431768211456",
            "a: !<tag:yaml.org,2002:int> \"340282366920938463463374607431768211456\"",
        ),
        ("a: 2020-01-01", "a: !<tag:yaml.org,2002:timestamp> \"2020-01-01\""),
        ("a: '2020-01-01'", "a: \"2020-01-01\""),
        ("a: !!str 2020-01-01", "a: \"2020-01-01\""),
        ("a: ! '12'", "a: 12"),
        ("a: {1: x, yes: y, 1.5: z, null: n, '1': t}", "a:,   1: \"y\",   1.5: z,   null: \"n\",   \"1\": t"),
        ("a: {'': 1, =: 2}", "a:,   \"\": 1,   \"=\": 2"),
        ("a: !!set {x, z}", "a: !<tag:yaml.org,2002:set>,   x: null,   z: null"),
        ("a: !!omap [x: 1]", "a: !<tag:yaml.org,2002:omap>,   - x: 1"),
        ("a: 1\na: 2", "a: 2"),
        ("{a: \"x\\Ly\"}", "a: \"x\\Ly\""),
        ("a: 1\r\nb: 2\u{85}c: 3\rd: 4\u{2028}e: 5", "a: 1, b: 2, c: 3, d: 4, e: 5"),
        ("\u{feff}a: 1", "a: 1"),
        ("%YAML 1.1\n---\na: 010\n...\n", "a: 8"),
        ("%TAG !y! tag:yaml.org,2002:\n---\na: !y!int '7'", "a: 7"),
        ("a: &x 1e3\nb: *x", "a: \"1e3\", b: \"1e3\""),
    ];
    for (text, expected) in table {
        assert_eq!(written(text), expected, "{text:?}");
    }
}

#[test]
fn merged_fields_come_first_and_own_fields_win() {
    assert_eq!(written("a: {<<: {b: 1, c: 2}, c: 3}"), "a:,   b: 1,   c: 3");
    assert_eq!(written("a: &a {<<: {b: 1}}\nc: {<<: *a, d: 1}"), "a:,   b: 1, c:,   b: 1,   d: 1");
    assert_eq!(written("a: {<<: [{b: 1}, {c: 2}], <<: {d: 3}}"), "a:,   b: 1,   c: 2,   d: 3");
    assert_eq!(written("a: {'<<': 1, <<: []}"), "a:,   \"<<\": 1");
    // Of several merged values PyYAML 6.0.4 takes the last one, and the first one if the key is a single character.
    assert_eq!(written("a: {<<: [{b: 1, cc: 1}, {b: 2, cc: 2}]}"), "a:,   b: 1,   cc: 2");
    assert_eq!(written("x: &x {cc: 1}\na: {<<: [*x, {cc: 2}, *x]}"), "x:,   cc: 1, a:,   cc: 2");
}

#[test]
fn a_problem_names_the_value_its_place_and_the_cure() {
    let table = [
        (
            "a: {b: [1, 2020-13-45]}",
            "the value 2020-13-45 at a.b.1 cannot be copied, because there is no such date or time; put it in quotes",
        ),
        (
            "a: !vault s3cret",
            "a value with the tag !vault at a cannot be copied, because the agent does not know the tag; remove the tag",
        ),
        (
            "a: !!int s3cret",
            "a value with the tag !!int at a cannot be copied, because it is not a number; remove the tag or correct the value",
        ),
        (
            "a: !!map [1]",
            "a value with the tag !!map at a cannot be copied, because it does not match its tag; remove the tag or correct the value",
        ),
        ("a: &a [*a]", "an alias at a.0 cannot be copied, because it refers to a value that contains it; write it out"),
        ("a: {? [b] : 1}", "a key at a cannot be copied, because it is a list or a mapping; use a string as the key"),
        (
            "a: {x.y: 1}",
            "the agent rejects the whole file because of the key \"x.y\"; use a key without a dot or control characters",
        ),
        (
            "a: {<<: 1}",
            "a << at a cannot be copied, because it does not merge a mapping; give it a mapping or a list of mappings",
        ),
        ("a: &a {<<: *a}", "a << at a cannot be copied, because it merges a mapping into itself; remove it"),
        (
            "a: 'x\u{2028}  y'",
            "a text at a cannot be copied, because it has a line break U+2028 or U+2029; write \\L or \\P in double quotes",
        ),
        (
            "a: [?b]",
            "a text at a.0 cannot be copied, because the agent does not read its first character, ? or :, as part of the text; put it in quotes",
        ),
        (
            "a: &b:c d",
            "a value at a cannot be copied, because its anchor has a character other than a letter, a digit, - and _; rename the anchor",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(problem(text), expected, "{text:?}");
    }
}

#[test]
fn only_what_is_read_counts_and_it_is_bounded() {
    assert_eq!(read_at_most(10, "a: 1234567890123"), read("a: 1234567890123"));
    assert_eq!(read_at_most(10, "a: x1234567890123"), Err(Problem::TooLarge));
    let merges: Vec<String> = (1..40).map(|n| format!("a{n}: &a{n} {{<<: [*a{0}, *a{0}]}}\n", n - 1)).collect();
    assert!(read(&format!("a0: &a0 {{x1: 1}}\n{}", merges.concat())).is_ok());
}

#[test]
fn what_is_nested_too_deeply_is_refused_and_what_is_not_has_enough_stack() {
    let nested = |depth: usize| format!("{}1{}", "{a: ".repeat(depth), "}".repeat(depth));
    assert!(problem(&nested(MAX_DEPTH + 1)).contains("deeper than 100 levels"));
    let aliases: Vec<String> = (1..2000).map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1)).collect();
    assert!(problem(&format!("a0: &a0 [1]\n{}", aliases.concat())).contains("deeper than 100 levels"));
    let small = thread::Builder::new().stack_size(1 << 20);
    let written =
        small.spawn(move || to_yaml(read(&nested(MAX_DEPTH)).unwrap().as_map().unwrap()).map(|text| text.len()));
    assert!(written.unwrap().join().unwrap().is_ok());
}

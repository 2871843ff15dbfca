//! The environment variables that a file names, as the agent finds them.

use std::collections::BTreeSet;

use crate::yaml::{Block, Node};

/// The names in `{{ env.NAME }}` in the values of these entries.
pub(super) fn of<'a>(entries: impl Iterator<Item = &'a Block>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    entries.for_each(|entry| of_block(entry, &mut found));
    found
}

fn of_block(block: &Block, found: &mut BTreeSet<String>) {
    for (_, value) in block.iter() {
        of_node(value, found);
    }
}

fn of_node(node: &Node, found: &mut BTreeSet<String>) {
    match node {
        Node::Text(text) => of_text(text, found),
        Node::Tagged(_, value) => of_node(value, found),
        Node::List(values) => values.iter().for_each(|value| of_node(value, found)),
        Node::Map(block) => of_block(block, found),
        Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) => {}
    }
}

/// Follows the agent's expression `{{\s*env\.([^}]*)\s*}}` (`holmes/utils/env.py` in 0.45.0).
fn of_text(text: &str, found: &mut BTreeSet<String>) {
    // Overlapping, because `{{{ env.NAME }}}` names one.
    let starts = text.match_indices('{').filter_map(|(at, _)| text[at + 1..].strip_prefix('{'));
    for rest in starts {
        if let Some((name, end)) = rest.trim_start().strip_prefix("env.").and_then(|rest| rest.split_once('}'))
            && end.starts_with('}')
        {
            found.insert(name.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_in_every_value_as_the_agent_finds_them() {
        let table: [(&str, &[&str]); 8] = [
            ("Bearer {{ env.TOKEN }}", &["TOKEN"]),
            ("{{env.A}}{{ env.B }}", &["A", "B"]),
            ("{{{ env.A }}}", &["A"]),
            ("{{\t\n env.A\t}}", &["A"]),
            ("{{ env. A }}", &["A"]),
            ("{{ env.A }", &[]),
            ("{{ other.A }} { { env.A } }", &[]),
            ("{{ env.A}x}}", &[]),
        ];
        for (text, expected) in table {
            let inner = Block::new().with("list", vec![Node::from(text.to_owned())]);
            let found = of([&Block::new().with("a", inner)].into_iter());
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}

//! YAML trees with keys that the agent can load, and how the agent's reader takes a user's own file.
//!
//! The agent refuses a whole file because of one mapping key with a dot, which python-benedict reads as a path of keys.
//! So a [`Block`] cannot hold such a key. Our own keys are literals, and every other name is a [`Key`].
//!
//! The agent reads with `PyYAML`, which follows YAML 1.1. [`Document`] and [`Values`] read as it does. [`Read`] follows
//! YAML 1.2.

mod document;
mod read;
mod scalar;
mod tree;
mod values;

pub(crate) use self::{
    document::{Document, normalised},
    read::Read,
    tree::{Block, Key, Node},
    values::{Problem, Shape, Values},
};

/// Writes a mapping as YAML that a YAML 1.1 reader reads back as it is. The agent uses `PyYAML`, which is one.
///
/// Fails only if the emitter refuses a value. It refuses none that a [`Node`] can hold.
pub(crate) fn to_yaml(block: &Block) -> Result<String, String> {
    serde_saphyr::to_string(block).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{read::BadKey, *};

    fn read(text: &str) -> Result<Node, BadKey> {
        serde_saphyr::from_str::<Read>(text).unwrap().0
    }

    #[test]
    fn what_is_written_reads_back_as_it_was() {
        let text = "a: 1\nb: [yes, 'yes', null, 1.5, -3]\nc: {d: {e: x}, f: []}\n";
        let node = read(text).unwrap();
        let written = to_yaml(node.as_map().unwrap()).unwrap();
        assert_eq!(read(&written), Ok(node), "{written}");
    }

    #[test]
    fn a_key_that_the_agent_refuses_is_found_at_any_depth_and_named() {
        for text in ["a.b: 1", "a: {b: {c.d: 1}}", "a: [{b.c: 1}, 2]", "'': 1", "1.5: x"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read("a: [1, {x.y: 2}]"), Err(BadKey("x.y".to_owned())));
    }

    #[test]
    fn setting_a_key_again_keeps_its_place() {
        let block = Block::new().with("a", 1).with("b", 2).with("a", 3);
        assert_eq!(to_yaml(&block).unwrap(), "a: 3\nb: 2\n");
    }
}

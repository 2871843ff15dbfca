//! Reads JSON whose end can be missing.

use serde_json::Value;

/// The deepest nesting of JSON without its end. Deeper JSON is not read.
const MAX_DEPTH: usize = 32;

/// Parses JSON. If the end is missing, the value contains everything that is complete. A text in an object whose end is
/// missing becomes null: its key is known, but its value is not.
pub(super) fn read(body: &[u8], is_cut: bool) -> Option<Value> {
    if is_cut { serde_json::from_slice(&completed(body)?).ok() } else { serde_json::from_slice(body).ok() }
}

/// Completes the start of an object or a list, so that it is valid JSON.
fn completed(body: &[u8]) -> Option<Vec<u8>> {
    let mut open: Vec<u8> = Vec::new();
    // The last position before which everything is complete, and the number of open brackets there.
    let mut safe: Option<(usize, usize)> = None;
    let mut text: Option<usize> = None;
    let mut is_escaped = false;
    let mut last = 0;
    let mut is_value = false;
    for (at, &byte) in body.iter().enumerate() {
        if text.is_some() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => text = None,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => {
                text = Some(at);
                is_value = last == b':';
            }
            b'{' | b'[' => {
                open.push(if byte == b'{' { b'}' } else { b']' });
                if open.len() > MAX_DEPTH {
                    return None;
                }
                safe = Some((at + 1, open.len()));
            }
            b'}' | b']' => {
                if open.pop() != Some(byte) {
                    return None;
                }
                safe = Some((at + 1, open.len()));
            }
            b',' => safe = Some((at, open.len())),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
    }
    let (end, depth, more) = match (text, safe) {
        (Some(start), _) if is_value => (start, open.len(), b"null".as_slice()),
        (_, Some((end, depth))) => (end, depth, b"".as_slice()),
        _ => return None,
    };
    // Every closing bracket moves the safe position, so the first `depth` open brackets are those at that position.
    let mut all = body.get(..end)?.to_vec();
    all.extend_from_slice(more);
    all.extend(open.get(..depth)?.iter().rev());
    Some(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn complete_json_is_read_as_it_is() {
        assert_eq!(read(br#"{"a":[1,{"b":null}]}"#, false), Some(json!({"a": [1, {"b": null}]})));
        assert_eq!(read(b"<html>", false), None);
        assert_eq!(read(b"", false), None);
    }

    #[test]
    fn everything_that_is_complete_before_a_cut_is_read() {
        let read = |text: &str| read(text.as_bytes(), true);
        assert_eq!(read(r#"{"a":"b","c":{"d":"e"#), Some(json!({"a": "b", "c": {"d": null}})));
        assert_eq!(read(r#"{"a":"b","c":{"d":12"#), Some(json!({"a": "b", "c": {}})));
        assert_eq!(read(r#"{"a":"b","c"#), Some(json!({"a": "b"})));
        assert_eq!(read(r#"{"a":"b","c":"#), Some(json!({"a": "b"})));
        assert_eq!(read(r#"{"a":"b\"}\\","c":["x","y"#), Some(json!({"a": "b\"}\\", "c": ["x"]})));
        assert_eq!(read(r#"{"a":{"b":1},"#), Some(json!({"a": {"b": 1}})));
        assert_eq!(read(r#"{"a":{"b":1}"#), Some(json!({"a": {"b": 1}})));
        assert_eq!(read(r#"{"a":"x\"#), Some(json!({"a": null})));
        assert_eq!(read("["), Some(json!([])));
    }

    #[test]
    fn text_that_is_not_json_is_not_read() {
        for text in ["", "text", "\"a", "}", "[}", "<html>{", "{]", "{a:1,"] {
            assert_eq!(read(text.as_bytes(), true), None, "{text}");
        }
        assert_eq!(read("[".repeat(4000).as_bytes(), true), None);
    }

    proptest::proptest! {
        #[test]
        fn every_start_of_json_can_be_read(at in 1_usize..120) {
            let whole = r#"{"cluster":{"name":"a\u00e9","peers":[{"x":1.5}],"status":"ready"},"config":{"original":"a: \"b\"\n"},"u":"v"}"#;
            let start = &whole.as_bytes()[..at.min(whole.len())];
            proptest::prop_assert!(read(start, true).is_some());
        }
    }
}

//! How much memory a text of JSON needs once it is read.

/// The memory of an object: a leaf of a map has room for eleven members, also when it holds one.
const OBJECT: usize = 640;
/// The memory of a list: room for four values.
const LIST: usize = 128;
/// The memory of one more value of a list or of an object.
const VALUE: usize = 96;

/// Weighs JSON while it arrives, before anything is made of it: `{"":0}` has 6 bytes and needs a hundred times as many.
///
/// The weight is that of the values without their texts, which need about as much as the bytes themselves. It is an
/// estimate, and means nothing for what is not JSON.
#[derive(Debug, Default)]
pub struct Weight {
    total: usize,
    quoted: bool,
    escaped: bool,
}

impl Weight {
    /// Goes on with the next bytes, and says how much they add.
    pub fn add(&mut self, json: &[u8]) -> usize {
        let before = self.total;
        for byte in json {
            if self.quoted {
                let ends = *byte == b'"' && !self.escaped;
                self.escaped = *byte == b'\\' && !self.escaped;
                self.quoted = !ends;
                continue;
            }
            self.total += match byte {
                b'{' => OBJECT,
                b'[' => LIST,
                b',' => VALUE,
                b'"' => {
                    self.quoted = true;
                    0
                }
                _ => 0,
            };
        }
        self.total - before
    }

    /// The weight of all bytes so far.
    pub fn total(&self) -> usize {
        self.total
    }
}

/// The memory of a value with its texts, as it is once it was read.
pub fn of_value(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => LIST.max(items.len() * VALUE) + items.iter().map(of_value).sum::<usize>(),
        Value::Object(members) => of_object(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// The memory of an object with its texts.
pub fn of_object(members: &serde_json::Map<String, serde_json::Value>) -> usize {
    let texts = members.iter().map(|(name, value)| name.len() + of_value(value)).sum::<usize>();
    OBJECT.max(members.len() * (VALUE + 32)) + texts
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn weight(text: &str) -> usize {
        let mut weight = Weight::default();
        weight.add(text.as_bytes());
        weight.total()
    }

    #[test]
    fn small_objects_weigh_what_they_need_and_texts_weigh_nothing() {
        assert!(weight(r#"[{"":0},{"":0}]"#) > 2 * OBJECT);
        assert_eq!(weight(r#""{,[{,[\"{,["#), 0);
        assert_eq!(weight(r#"{"a":"\\"}"#), OBJECT);
        assert_eq!(weight(r#"{"a":"\\",}"#), OBJECT + VALUE);
    }

    #[test]
    fn the_weight_is_the_same_in_pieces() {
        let text = r#"{"a":["\"{",1,2,{"b":"\\"}],"c":{}}"#;
        let mut pieces = Weight::default();
        let sum: usize = text.as_bytes().iter().map(|byte| pieces.add(&[*byte])).sum();
        assert_eq!((sum, pieces.total()), (weight(text), weight(text)));
    }

    #[test]
    fn what_was_read_weighs_no_more_than_it_was_estimated() {
        for value in [json!([{"": 0}, {"": 0}, {}]), json!({"a": [1, 2, 3, 4, 5], "b": {"c": "d"}}), json!([[], [[]]])]
        {
            let text = value.to_string();
            let of_text: Value = serde_json::from_str(&text).expect("JSON");
            assert!(of_value(&of_text) <= weight(&text) + text.len(), "{text}");
        }
    }
}

//! Marks of responses.

use super::{json, page};

/// A mark of a response. The program checks only whether the mark is there, and keeps nothing of the response.
///
/// A mark holds only for a response with a status code of 200 to 299, unless [`Mark::Status`] is beside it.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    /// The status code.
    Status(u16),
    /// A header. With an empty value, any value.
    Header(&'static str, &'static str),
    /// The JSON body has one of these texts at this pointer (RFC 6901). With an empty list, any text.
    Text(&'static str, &'static [&'static str]),
    /// The JSON body has a value at this pointer.
    Has(&'static str),
    /// The JSON body has no value at this pointer.
    Lacks(&'static str),
    /// There is a number at this pointer.
    Number(&'static str),
    /// There is a list with at least one element at this pointer.
    Filled(&'static str),
    /// There is a list of texts, or null, at this pointer.
    Texts(&'static str),
    /// There is an object at this pointer, and it has only keys from this list.
    Only(&'static str, &'static [&'static str]),
    /// There is a version at this pointer, and its first number is at least this.
    VersionFrom(&'static str, u64),
    /// There is a version at this pointer, and its first number is below this.
    VersionBelow(&'static str, u64),
    /// The body is this text.
    Body(&'static str),
    /// The body is a page with this title.
    Title(&'static str),
    /// The body is a page that starts with this heading.
    Heading(&'static str),
}

/// The parts of a response in which marks can be.
pub(crate) struct Seen<'a> {
    status: u16,
    header: &'a dyn Fn(&str) -> Option<&'a str>,
    body: &'a [u8],
    is_cut: bool,
    json: Option<serde_json::Value>,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(status: u16, header: &'a dyn Fn(&str) -> Option<&'a str>, body: &'a [u8], is_cut: bool) -> Self {
        // The caller limits the body, too.
        let (body, is_cut) = match body.split_at_checked(MAX_BODY) {
            Some((start, rest)) => (start, is_cut || !rest.is_empty()),
            None => (body, is_cut),
        };
        Self { status, header, body, is_cut, json: json::read(body, is_cut) }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        (self.header)(name)
    }

    /// The start of the body, if it is a page.
    pub(crate) fn page(&self) -> Option<&'a str> {
        page::text(self.body)
    }

    /// Whether all of the marks hold.
    pub(crate) fn has_all(&self, marks: &[Mark]) -> bool {
        let names_status = marks.iter().any(|mark| matches!(mark, Mark::Status(_)));
        !marks.is_empty()
            && (names_status || (200..=299).contains(&self.status))
            && marks.iter().all(|mark| self.has(*mark))
    }

    fn has(&self, mark: Mark) -> bool {
        let at = |pointer: &str| self.json.as_ref().and_then(|json| json.pointer(pointer));
        let text = |pointer: &str| at(pointer).and_then(serde_json::Value::as_str);
        match mark {
            Mark::Status(status) => self.status == status,
            Mark::Header(name, value) => self.header(name).is_some_and(|found| value.is_empty() || found == value),
            Mark::Text(pointer, values) => {
                text(pointer).is_some_and(|found| values.is_empty() || values.contains(&found))
            }
            Mark::Has(pointer) => at(pointer).is_some(),
            // The value can be in the part that was cut off.
            Mark::Lacks(pointer) => !self.is_cut && self.json.is_some() && at(pointer).is_none(),
            Mark::Number(pointer) => at(pointer).is_some_and(serde_json::Value::is_number),
            Mark::Filled(pointer) => {
                at(pointer).and_then(serde_json::Value::as_array).is_some_and(|list| !list.is_empty())
            }
            Mark::Texts(pointer) => at(pointer).is_some_and(|value| {
                value.is_null() || value.as_array().is_some_and(|list| list.iter().all(serde_json::Value::is_string))
            }),
            Mark::Only(pointer, keys) => {
                !self.is_cut
                    && at(pointer)
                        .and_then(serde_json::Value::as_object)
                        .is_some_and(|object| object.keys().all(|key| keys.contains(&key.as_str())))
            }
            Mark::VersionFrom(pointer, least) => text(pointer).and_then(major).is_some_and(|major| major >= least),
            Mark::VersionBelow(pointer, end) => text(pointer).and_then(major).is_some_and(|major| major < end),
            Mark::Body(wanted) => !self.is_cut && self.body.trim_ascii() == wanted.as_bytes(),
            Mark::Title(wanted) => self.page().and_then(page::title) == Some(wanted),
            Mark::Heading(wanted) => self.page().is_some_and(|page| page::starts_with_heading(page, wanted)),
        }
    }
}

/// The most bytes of a body in which marks are looked for.
const MAX_BODY: usize = 4096;

/// The first number of a version such as `2.53.0` or `v0.36.1-rc.0`.
fn major(version: &str) -> Option<u64> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let (major, rest) = version.split_once('.')?;
    let is_version = rest.starts_with(|c: char| c.is_ascii_digit());
    if is_version { major.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(body: &str, mark: Mark) -> bool {
        Seen::new(200, &|_| None, body.as_bytes(), false).has_all(&[mark])
    }

    #[test]
    fn marks_hold_only_for_a_success_unless_a_mark_is_the_status_code() {
        let of = |status| Seen::new(status, &|_| None, b"{\"a\":\"b\"}", false);
        assert!(of(200).has_all(&[Mark::Text("/a", &["b"])]));
        assert!(!of(401).has_all(&[Mark::Text("/a", &["b"])]));
        assert!(of(422).has_all(&[Mark::Status(422), Mark::Text("/a", &["b"])]));
        assert!(!of(200).has_all(&[Mark::Status(422), Mark::Text("/a", &["b"])]));
        assert!(!of(200).has_all(&[]));
    }

    #[test]
    fn marks_check_the_shape_of_json() {
        let body = r#"{"status":"success","data":{"list":["a"],"none":null,"empty":[],"mixed":["a",1],"n":1}}"#;
        assert!(holds(body, Mark::Text("/status", &[])));
        assert!(!holds(body, Mark::Text("/status", &["error"])));
        assert!(holds(body, Mark::Has("/data/none")));
        assert!(holds(body, Mark::Lacks("/data/other")));
        assert!(!holds("no JSON", Mark::Lacks("/data/other")));
        assert!(holds(body, Mark::Number("/data/n")) && !holds(body, Mark::Number("/status")));
        assert!(holds(body, Mark::Filled("/data/list")) && !holds(body, Mark::Filled("/data/empty")));
        assert!(holds(body, Mark::Texts("/data/list")) && holds(body, Mark::Texts("/data/none")));
        assert!(!holds(body, Mark::Texts("/data/mixed")));
        assert!(holds(body, Mark::Only("", &["status", "data", "more"])));
        assert!(!holds(body, Mark::Only("", &["status"])));
    }

    #[test]
    fn a_version_is_compared_by_its_first_number() {
        assert!(holds(r#"{"v":"2.53.0"}"#, Mark::VersionFrom("/v", 2)));
        assert!(holds(r#"{"v":"v3.0.0-rc.1"}"#, Mark::VersionFrom("/v", 2)));
        assert!(holds(r#"{"v":"0.36.1"}"#, Mark::VersionBelow("/v", 1)));
        assert!(!holds(r#"{"v":"1.7.1"}"#, Mark::VersionBelow("/v", 1)));
        for version in ["0.36.1", "1.9.0", "main", "r249-5bedc7a1", "", "2", "2.x", "-2.0"] {
            assert!(!holds(&format!("{{\"v\":\"{version}\"}}"), Mark::VersionFrom("/v", 2)), "{version}");
        }
    }

    #[test]
    fn the_part_behind_a_cut_is_unknown() {
        let cut = |mark| Seen::new(200, &|_| None, br#"{"a":{"b":"c"},"d":"e"#, true).has_all(&[mark]);
        assert!(cut(Mark::Text("/a/b", &["c"])));
        assert!(cut(Mark::Has("/d")));
        assert!(!cut(Mark::Text("/d", &[])));
        assert!(!cut(Mark::Lacks("/x")));
        assert!(!cut(Mark::Only("", &["a", "d"])));
        assert!(!Seen::new(200, &|_| None, b"echo", true).has_all(&[Mark::Body("echo")]));
    }
}

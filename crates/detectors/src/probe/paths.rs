//! Splits paths of endpoints.

/// The path without its end, if the end is one of `ends`. Otherwise the whole path. A `*` in an end stands for any
/// segment.
pub(crate) fn without_end<'p>(path: &'p str, ends: &[&str]) -> &'p str {
    ends.iter().find_map(|end| before(path, end)).unwrap_or(path)
}

/// The part before `end`, if the path ends with it.
fn before<'p>(path: &'p str, end: &str) -> Option<&'p str> {
    let mut rest = path;
    for wanted in end.rsplit('/').filter(|segment| !segment.is_empty()) {
        let (before, segment) = rest.rsplit_once('/')?;
        if segment.is_empty() || wanted != "*" && wanted != segment {
            return None;
        }
        rest = before;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_consists_of_whole_segments() {
        let ends = ["/select/*/prometheus", "/prometheus"];
        assert_eq!(without_end("/select/0/prometheus", &ends), "");
        assert_eq!(without_end("/vm/select/12:3/prometheus", &ends), "/vm");
        assert_eq!(without_end("/prometheus", &ends), "");
        assert_eq!(without_end("/my-prometheus", &ends), "/my-prometheus");
        assert_eq!(without_end("/prometheus/x", &ends), "/prometheus/x");
        assert_eq!(without_end("", &ends), "");
    }
}

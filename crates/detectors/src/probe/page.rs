//! Reads HTML pages: the title, the first heading, and the base of the links.

/// The text of a page. `None` if the body does not start with a tag. JSON never does.
pub(super) fn text(body: &[u8]) -> Option<&str> {
    // The body can end in the middle of a character.
    let valid = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(body.get(..error.valid_up_to())?).ok()?,
    };
    let text = valid.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('<').then_some(text)
}

/// The title, if it is complete.
pub(super) fn title(page: &str) -> Option<&str> {
    let (_, rest) = tag(page, "title")?;
    let end = find(rest, "</title")?;
    Some(rest[..end].trim())
}

/// The `href` of the tag `base`.
pub(super) fn base(page: &str) -> Option<&str> {
    let (attributes, _) = tag(page, "base")?;
    let value = attributes[find(attributes, "href=")? + "href=".len()..].trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split_once(quote).map(|(value, _)| value)
}

/// Whether the page starts with `<h2>heading</h2>`.
pub(super) fn starts_with_heading(page: &str, heading: &str) -> bool {
    page.strip_prefix("<h2>").and_then(|rest| rest.strip_prefix(heading)).is_some_and(|rest| rest.starts_with("</h2>"))
}

/// The attributes of the first tag with this name, and what follows it.
fn tag<'p>(page: &'p str, name: &str) -> Option<(&'p str, &'p str)> {
    let mut rest = page;
    loop {
        let at = rest.find('<')?;
        rest = &rest[at + 1..];
        let is_it = rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && rest[name.len()..].starts_with(|c: char| c == '>' || c.is_ascii_whitespace());
        if is_it {
            return rest[name.len()..].split_once('>');
        }
    }
}

/// The position of a text, whether its letters are upper or lower case.
fn find(text: &str, wanted: &str) -> Option<usize> {
    text.as_bytes().windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_has_a_title() {
        let page = |body: &'static str| text(body.as_bytes());
        assert_eq!(page("<html><head><title> Alertmanager </title>").and_then(title), Some("Alertmanager"));
        assert_eq!(page("\n<!doctype html><TITLE lang='en'>X</TITLE>").and_then(title), Some("X"));
        assert_eq!(page("<html><title>Alert"), Some("<html><title>Alert"));
        assert_eq!(page("<html><title>Alert").and_then(title), None);
        assert_eq!(page("{\"a\":\"<title>Alertmanager</title>\"}"), None);
        assert_eq!(page("<titles>x</titles>").and_then(title), None);
        assert_eq!(text(b"<p>\xff<title>x</title>").and_then(title), None);
    }

    #[test]
    fn the_base_is_read_only_from_a_quoted_attribute() {
        let base = |body: &'static str| text(body.as_bytes()).and_then(base);
        assert_eq!(base("<head><base href=\"/grafana/\" /></head>"), Some("/grafana/"));
        assert_eq!(base("<head><base data-x='1' href='/x/'></head>"), Some("/x/"));
        assert_eq!(base("<head><base href=/x/></head>"), None);
        assert_eq!(base("<head><base href=\"/x"), None);
        assert_eq!(base("<head></head>"), None);
    }
}

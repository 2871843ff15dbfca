//! The one place that decides which text from a Service may reach the output.
//!
//! `HolmesGPT` expands `{{ env.X }}` and renders Jinja, so text that a tenant wrote must not be able to open an expansion.

/// Openers of template and shell expansions, in any reader downstream.
const EXPANSIONS: [&str; 5] = ["{{", "{%", "${", "$(", "`"];
/// Longest path, in characters, without the leading slash.
const MAX_PATH: usize = 128;
/// The most characters of a tool's name.
pub const MAX_TOOL_NAME: usize = 40;

/// Why `text` may not be taken, in words that follow "the value"; `Ok` if it may.
pub fn text(text: &str, max_chars: usize) -> Result<(), String> {
    if text.chars().count() > max_chars {
        return Err(format!("is longer than {max_chars} characters"));
    }
    if let Some(opener) = EXPANSIONS.iter().find(|opener| text.contains(**opener)) {
        return Err(format!("contains {opener}, which a reader of the output could expand"));
    }
    match text.chars().find(|c| is_invisible(*c)) {
        Some(c) => Err(format!("contains the control character U+{:04X}", c as u32)),
        None => Ok(()),
    }
}

/// Control characters and those that reorder or hide text (bidirectional overrides, zero-width, line separators).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// A path as the output may hold it, without a trailing slash (`/` becomes the empty path); `Err` says what is wrong.
///
/// Allowed is `^/[A-Za-z0-9._~/-]{0,128}$` without empty, `.` and `..` segments: nothing here needs escaping, nothing can
/// change the host, and no reader normalises it to something else.
pub fn path(path: &str) -> Result<String, String> {
    let Some(rest) = path.strip_prefix('/') else { return Err("must start with /".to_owned()) };
    if rest.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} characters"));
    }
    if let Some(c) = rest.chars().find(|c| !(c.is_ascii_alphanumeric() || "._~/-".contains(*c))) {
        return Err(format!("contains {c:?}; allowed are letters, digits and . _ ~ / -"));
    }
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    if trimmed.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("has an empty, . or .. segment".to_owned());
    }
    Ok(trimmed.to_owned())
}

/// As [`path`], for a path prefix, which may also be empty.
pub fn path_prefix(prefix: &str) -> Result<String, String> {
    if prefix.is_empty() { Ok(String::new()) } else { path(prefix) }
}

/// Whether `name` can be a tool's name: `^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$`, as the schema says.
pub fn is_tool_name(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| edge(c) || c == '_' || c == '-';
    (1..=MAX_TOOL_NAME).contains(&name.len())
        && name.chars().all(inner)
        && name.starts_with(edge)
        && name.ends_with(edge)
}

/// Whether `name` is a DNS label (RFC 1123): what namespaces and Services are called.
pub fn is_dns_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// Whether `name` is what the user may call a type of their own: `^[a-z][a-z0-9-]{0,31}$`.
pub fn is_custom_type(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_loses_its_trailing_slash_and_nothing_else() {
        assert_eq!(path("/").as_deref(), Ok(""));
        assert_eq!(path("/prometheus/").as_deref(), Ok("/prometheus"));
        assert_eq!(path("/select/0/prometheus").as_deref(), Ok("/select/0/prometheus"));
    }

    #[test]
    fn a_path_that_could_become_something_else_is_refused() {
        for bad in [
            "",
            "x",
            "@evil.example/x",
            "/a/../b",
            "/..",
            "/.",
            "//host",
            "/a//b",
            "/%2f..",
            "/a b",
            "/a?b",
            "/a#b",
            "/\\evil",
            "/a\r\nb",
            "/{{x}}",
        ] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        assert!(path(&format!("/{}", "a".repeat(129))).is_err());
        assert!(path(&format!("/{}", "a".repeat(128))).is_ok());
    }

    #[test]
    fn text_that_a_reader_could_expand_or_not_see_is_refused() {
        for bad in
            ["{{ env.TOKEN }}", "{% raw %}", "${HOME}", "$(id)", "`id`", "a\nb", "a\u{202E}b", "a\u{200B}b", "\u{7f}"]
        {
            assert!(text(bad, 256).is_err(), "{bad:?}");
        }
        assert!(text("größe – ok $5 {x}", 256).is_ok());
        assert!(text("abc", 2).is_err());
    }
}

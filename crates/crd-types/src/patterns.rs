//! Patterns and text rules that several fields share.
//!
//! Only what Go's RE2 and Rust's `regex` read alike is used here, because the API server evaluates these with the one and
//! `kubectl-toolset validate` with the other.

/// A namespace, a Service, or an entry of one of the spec's lists: an RFC 1123 label.
pub const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// A ConfigMap or a Deployment: an RFC 1123 subdomain.
pub const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// A key of a ConfigMap.
pub const CONFIG_MAP_KEY: &str = "^[-._a-zA-Z0-9]+$";

/// A tool's name, as the agent sees it. At most 40 characters.
pub const TOOL_NAME: &str = "^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$";

/// The user's own name of a kind of tool.
pub const CUSTOM_TYPE: &str = "^[a-z][a-z0-9-]{0,31}$";

/// A URL path that can be put behind a host without changing what the host is.
pub const PATH: &str = "^/[A-Za-z0-9._~/-]{0,128}$";

/// A path that a tool may call; `*` stands for anything.
pub const CALL_PATH: &str = "^/[A-Za-z0-9._~/*-]{0,128}$";

/// A URL with a host name or an IPv4 address, perhaps a port and a path, and nothing else: no user information, no query, no
/// fragment.
pub const URL: &str = r"^https?://[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~/-]*)?$";

/// A host that ends in a number is an address to every client, and may be written in one way only: `0251.0376.0251.0376`,
/// `2852039166` and `0x7f.1` are addresses too.
pub const PLAIN_ADDRESS: (&str, &str) = (
    "!self.matches('^https?://([^/:]*[.])?([0-9]+|0[xX][0-9A-Fa-f]*)([:/]|$)') || self.matches('^https?://([1-9]?[0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])([.]([1-9]?[0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){3}([:/]|$)')",
    "write the address as four plain decimal numbers, or use a host name",
);

/// The name of an environment variable.
pub const ENV: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// An HTTP header's name. No dot: the agent's loader splits keys at dots.
pub const HEADER: &str = "^[A-Za-z][A-Za-z0-9_-]*$";

/// A tenant, as Loki, Mimir and Tempo take it in `X-Scope-OrgID`.
pub const TENANT_ID: &str = "^[A-Za-z0-9_.|-]{1,64}$";

/// A built-in toolset of the agent, e.g. `kubernetes/core`. No dot: the agent's loader splits keys at dots.
pub const BASELINE: &str = "^[A-Za-z0-9][A-Za-z0-9/_-]*$";

/// What no text for the agent may hold, because the agent would expand it or a reader could not see it: Jinja's `{{` and
/// `{%`, a shell's `${`, `$(` and backtick, control characters, and characters that hide or turn around other text.
/// Line breaks and tabs are fine.
pub const TEXT: (&str, &str) = (
    r"!self.matches('[{][{%]|[$][{(]|`|[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\x{061c}\\x{200b}-\\x{200f}\\x{2028}-\\x{202e}\\x{2060}-\\x{206f}\\x{feff}]')",
    "remove template and shell marks ({{, {%, ${, $(, backticks) and control or invisible characters: the agent would expand them, or a reader not see them",
);

/// As `TEXT`, and on one line.
pub const LINE: (&str, &str) = (
    r"!self.matches('[{][{%]|[$][{(]|`|[\\x00-\\x1f\\x7f-\\x9f\\x{061c}\\x{200b}-\\x{200f}\\x{2028}-\\x{202e}\\x{2060}-\\x{206f}\\x{feff}]')",
    "write one line without template and shell marks ({{, {%, ${, $(, backticks) and control or invisible characters: the agent would expand them, or a reader not see them",
);

/// No reader may normalise a path to something else.
pub const PLAIN_PATH: (&str, &str) =
    ("!self.matches('[.][.]|//|/[.](/|$)')", "remove '..' and empty or '.' segments from the path");

/// As `PLAIN_PATH`, for the path of a URL.
pub const PLAIN_URL_PATH: (&str, &str) =
    ("!self.matches('[.][.]|[^:]//|/[.](/|$)')", "remove '..' and empty or '.' segments from the path");

/// What a value must look like, for somebody who does not read patterns. A pattern without words is shown as it is.
#[cfg(feature = "offline")]
pub(crate) fn in_words(pattern: &str) -> String {
    let words = match pattern {
        LABEL => "use lower-case letters, digits and '-', with a letter or digit at both ends",
        SUBDOMAIN => "use lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part",
        CONFIG_MAP_KEY => "use letters, digits, '-', '_' and '.'",
        TOOL_NAME => "use at most 40 lower-case letters, digits, '-' and '_', with a letter or digit at both ends",
        CUSTOM_TYPE => "use at most 32 lower-case letters, digits and '-', starting with a letter",
        PATH => "write a path that starts with '/', of letters, digits and . _ ~ / -",
        CALL_PATH => "write a path that starts with '/', of letters, digits and . _ ~ / - *",
        URL => "write http:// or https://, a host, perhaps a port and a path; no user, query or fragment",
        ENV => "write the name of an environment variable: letters, digits and '_', not starting with a digit",
        HEADER => "write the name of a header: letters, digits, '-' and '_', starting with a letter",
        TENANT_ID => "use at most 64 letters, digits, '_', '.', '|' and '-'",
        BASELINE => "write a toolset's name, e.g. kubernetes/core: letters, digits, '/', '_' and '-'; no dot",
        other => return format!("it must match {other}"),
    };
    words.to_owned()
}

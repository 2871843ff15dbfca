//! Patterns and CEL rules that several fields share.
//!
//! The API server evaluates them with Go's RE2, and `kubectl-toolset validate` evaluates them with Rust's `regex`. So
//! they use only syntax that has the same meaning in both.

/// The name of a namespace, of a Service, or of an entry in a list of the spec: an RFC 1123 label.
pub const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// The name of a ConfigMap or of a Deployment: an RFC 1123 subdomain.
pub const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The value of a label.
pub const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// The keys of labels that the operator adds to its output. The operator recognises its ConfigMap by labels with the
/// prefix `app.kubernetes.io/`, so these keys are not allowed.
pub const LABEL_KEYS: (&str, &str) = (
    "self.all(key, size(key) <= 253 && key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && !key.startsWith('app.kubernetes.io/'))",
    "label keys must be valid and must not start with app.kubernetes.io/, because the operator sets these labels itself",
);

/// A data key of a ConfigMap.
pub const CONFIG_MAP_KEY: &str = "^[-._a-zA-Z0-9]+$";

/// The name of a tool in the agent. It has at most 40 characters.
pub const TOOL_NAME: &str = "^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$";

/// The user's own name for a type of tool.
pub const CUSTOM_TYPE: &str = "^[a-z][a-z0-9-]{0,31}$";

/// A pattern of indices of Elasticsearch: names, `*`, and commas between several of them.
pub const INDEX: &str = "^[a-z0-9.*_][a-z0-9.*_,-]*$";

/// A URL path. It has no character that could change the host of a URL to which it is appended.
pub const PATH: &str = "^/[A-Za-z0-9._~/-]{0,128}$";

/// A path that the agent may call. `*` matches any characters.
pub const CALL_PATH: &str = "^/[A-Za-z0-9._~/*-]{0,128}$";

/// A URL with a host name or an IPv4 address, and optionally a port and a path. User information, a query and a
/// fragment are not allowed.
pub const URL: &str = r"^https?://[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~/-]*)?$";

/// Every client reads a host that ends in a number as an IPv4 address. `0251.0376.0251.0376`, `2852039166` and `0x7f.1`
/// are addresses too. Only the usual notation is allowed, so that a reader sees the same address as the client.
pub const PLAIN_ADDRESS: (&str, &str) = (
    "!self.matches('^https?://([^/:]*[.])?([0-9]+|0[xX][0-9A-Fa-f]*)([:/]|$)') || self.matches('^https?://([1-9]?[0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])([.]([1-9]?[0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){3}([:/]|$)')",
    "an IPv4 address must consist of four decimal numbers without leading zeros; correct the address or use a host name",
);

/// A version of a program, as in the tag of an image.
pub const VERSION: &str = r"^v?[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}([-+.][0-9A-Za-z.+-]{1,40})?$";

/// The name of an environment variable.
pub const ENV: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// The name of an HTTP header. A dot is not allowed, because the agent splits keys at dots when it loads a file.
pub const HEADER: &str = "^[A-Za-z][A-Za-z0-9_-]*$";

/// A tenant ID that Loki, Mimir and Tempo accept in `X-Scope-OrgID`.
pub const TENANT_ID: &str = "^[A-Za-z0-9_.|-]{1,64}$";

/// The name of a built-in toolset of the agent, for example `kubernetes/core`. A dot is not allowed, because the agent
/// splits keys at dots when it loads a file.
pub const BASELINE: &str = "^[A-Za-z0-9][A-Za-z0-9/_-]*$";

/// A text for the model. The agent would expand Jinja's `{{` and `{%` and a shell's `${`, `$(` and backtick. A reader
/// would not see control characters, or characters that hide or reorder other text. So a text must not contain any of
/// them. Line breaks and tabs are allowed.
pub const TEXT: (&str, &str) = (
    r"!self.matches('[{][{%]|[$][{(]|`|[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\x{061c}\\x{200b}-\\x{200f}\\x{2028}-\\x{202e}\\x{2060}-\\x{206f}\\x{feff}]')",
    "must not contain template or shell syntax ({{, {%, ${, $(, backticks), which the agent would expand, or control or invisible characters; remove them",
);

/// As `TEXT`, on one line.
pub const LINE: (&str, &str) = (
    r"!self.matches('[{][{%]|[$][{(]|`|[\\x00-\\x1f\\x7f-\\x9f\\x{061c}\\x{200b}-\\x{200f}\\x{2028}-\\x{202e}\\x{2060}-\\x{206f}\\x{feff}]')",
    "must be a single line and must not contain template or shell syntax ({{, {%, ${, $(, backticks), which the agent would expand, or control or invisible characters; remove them",
);

/// A path that a client or a server does not normalise to another path.
pub const PLAIN_PATH: (&str, &str) = (
    "!self.matches('[.][.]|//|/[.](/|$)')",
    "a path must not contain '..', '.' segments or empty segments; remove them",
);

/// As `PLAIN_PATH`, for the path of a URL.
pub const PLAIN_URL_PATH: (&str, &str) = (
    "!self.matches('[.][.]|[^:]//|/[.](/|$)')",
    "a path must not contain '..', '.' segments or empty segments; remove them",
);

/// Describes a pattern for users who do not read regular expressions. A pattern without a description is shown as it
/// is.
#[cfg(feature = "offline")]
pub(crate) fn describe(pattern: &str) -> String {
    let description = match pattern {
        LABEL => "it must consist of lower-case letters, digits and '-', and start and end with a letter or a digit",
        SUBDOMAIN => {
            "it must consist of lower-case letters, digits, '-' and '.', and each part must start and end with a letter or a digit"
        }
        CONFIG_MAP_KEY => "it must consist of letters, digits, '-', '_' and '.'",
        TOOL_NAME => {
            "it must consist of at most 40 lower-case letters, digits, '-' and '_', and start and end with a letter or a digit"
        }
        CUSTOM_TYPE => "it must consist of at most 32 lower-case letters, digits and '-', and start with a letter",
        PATH => "it must start with '/' and consist of letters, digits and . _ ~ / -",
        CALL_PATH => "it must start with '/' and consist of letters, digits and . _ ~ / - *",
        URL => {
            "it must be an http or https URL with a host, an optional port and an optional path; user information, a query and a fragment are not allowed"
        }
        INDEX => {
            "it must consist of lower-case letters, digits and the characters . _ - * , and must not start with '-' or ','"
        }
        ENV => "it must be the name of an environment variable: letters, digits and '_', not starting with a digit",
        LABEL_VALUE => {
            "it must be empty or consist of letters, digits, '-', '_' and '.', and start and end with a letter or a digit"
        }
        VERSION => "it must be a version with three numbers, for example 0.45.0",
        HEADER => "it must consist of letters, digits, '-' and '_', and start with a letter",
        TENANT_ID => "it must consist of at most 64 letters, digits, '_', '.', '|' and '-'",
        BASELINE => {
            "it must be the name of a toolset, for example kubernetes/core, and consist of letters, digits, '/', '_' and '-'"
        }
        other => return format!("it must match {other}"),
    };
    description.to_owned()
}

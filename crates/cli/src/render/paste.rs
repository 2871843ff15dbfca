//! Values and flags to paste, for programs whose configuration belongs to a chart or to a person.
//!
//! They name what a variable of the format Environment would name. What was not found is a comment, so that the default
//! of the chart stays.

use toolset::{Plan, render::environment, visible::escaped};

/// What a comment says about something that was not found.
const NOT_FOUND: &str = "no instance without credentials and tenantID was found";

/// A value that takes a URL.
struct Value {
    field: &'static str,
    /// The variable that would have the URL.
    variable: &'static str,
    /// The field that switches the value on, if there is one.
    enabled: Option<&'static str>,
}

const fn value(field: &'static str, variable: &'static str) -> Value {
    Value { field, variable, enabled: None }
}

/// The values of Robusta's chart.
pub(super) fn robusta(plan: &Plan) -> String {
    let values = [
        value("prometheus_url", "PROMETHEUS_URL"),
        value("alertmanager_url", "ALERTMANAGER_URL"),
        value("grafana_url", "GRAFANA_URL"),
    ];
    let with_grafana = url(plan, "GRAFANA_URL").map_or("", |_| " For Grafana, set globalConfig.grafana_api_key too.");
    let head = format!("# Values for Robusta's Helm chart.{with_grafana}\n");
    format!("{head}{}", section(plan, &["globalConfig"], &values))
}

/// The values of Kubernaut's chart.
pub(super) fn kubernaut(plan: &Plan) -> String {
    let agent = [Value { enabled: Some("enabled"), ..value("url", "PROMETHEUS_URL") }];
    let monitor = [
        Value { enabled: Some("prometheusEnabled"), ..value("prometheusUrl", "PROMETHEUS_URL") },
        Value { enabled: Some("alertManagerEnabled"), ..value("alertManagerUrl", "ALERTMANAGER_URL") },
    ];
    format!(
        "# Values for Kubernaut's Helm chart.\n{}{}",
        section(plan, &["kubernautAgent", "prometheus"], &agent),
        section(plan, &["effectivenessmonitor", "external"], &monitor)
    )
}

/// The command line of krr.
pub(super) fn krr(plan: &Plan) -> String {
    match url(plan, "PROMETHEUS_URL") {
        Some((url, origin)) => format!(
            "# {origin}. The URL works inside the cluster. Outside the cluster, run kubectl port-forward first, and use the forwarded address.\n\
             krr simple --prometheus-url {}\n",
            shell_quoted(&url)
        ),
        None => format!("# Prometheus: {NOT_FOUND}, so krr looks for one itself.\nkrr simple\n"),
    }
}

/// The values below some keys. Without a value, the mapping is empty: Helm would take a key without one for a deletion.
fn section(plan: &Plan, path: &[&str], values: &[Value]) -> String {
    let mut text = String::new();
    let indent = "  ".repeat(path.len());
    let is_empty = values.iter().all(|value| url(plan, value.variable).is_none());
    for (depth, key) in path.iter().enumerate() {
        let end = if is_empty && depth + 1 == path.len() { " {}" } else { "" };
        text.extend([&"  ".repeat(depth), *key, ":", end, "\n"]);
    }
    for Value { field, variable, enabled } in values {
        match url(plan, variable) {
            Some((url, origin)) => {
                if let Some(enabled) = enabled {
                    text.extend([&indent, *enabled, ": true\n"]);
                }
                text.extend([&indent, *field, ": ", &yaml_quoted(&url), " # ", &origin, "\n"]);
            }
            None => text.extend([&indent, "# ", *field, ": ", NOT_FOUND, "\n"]),
        }
    }
    text
}

/// The URL of a variable without a slash at its end, because these programs append paths to it, and where it comes from,
/// as one line.
fn url(plan: &Plan, variable: &str) -> Option<(String, String)> {
    let choice = environment::choices(&plan.tools).into_iter().find(|choice| choice.variable == variable)?;
    Some((choice.tool.endpoint.to_string(), escaped(&choice.tool.origin_in_words()).into_owned()))
}

/// A text in double quotes, as YAML and JSON write it.
fn yaml_quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text in single quotes, in which a POSIX shell expands nothing.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_quotes_is_expanded() {
        assert_eq!(shell_quoted("http://a/$(x) `y` 'z'"), r"'http://a/$(x) `y` '\''z'\'''");
        assert_eq!(yaml_quoted("a\": {b}\n# c"), r#""a\": {b}\n# c""#);
    }
}

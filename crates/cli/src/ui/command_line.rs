//! The command lines that show the same as a page, to send to somebody.

use super::filter::Filter;
use crate::text::quoted;

/// Where the objects come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// Files, as the user named them.
    Files {
        /// The names.
        files: Vec<String>,
        /// Whether subdirectories are read.
        recursive: bool,
    },
    /// A cluster.
    Cluster {
        /// The flags that select it, for example `--context`.
        flags: Vec<String>,
    },
}

impl Origin {
    /// What the page says about it.
    pub(super) fn in_words(&self) -> String {
        match self {
            // Without folders, which can be long.
            Self::Files { files, .. } => {
                let name = |file: &String| file.rsplit('/').find(|part| !part.is_empty()).unwrap_or(file).to_owned();
                files.iter().map(name).collect::<Vec<_>>().join(", ")
            }
            Self::Cluster { flags } => {
                let context = flags.iter().position(|flag| flag == "--context").and_then(|at| flags.get(at + 1));
                context.map_or_else(|| "cluster of the current context".to_owned(), |name| format!("context {name}"))
            }
        }
    }

    /// The flags by which another command reads the same objects.
    fn flags(&self) -> Vec<String> {
        match self {
            Self::Files { files, recursive } => {
                let files = files.iter().flat_map(|file| ["-f".to_owned(), quoted(file)]);
                files.chain(recursive.then(|| "-R".to_owned())).collect()
            }
            Self::Cluster { flags } => flags.iter().map(|flag| quoted(flag)).collect(),
        }
    }

    fn is_live(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }
}

/// `explain` for one Service.
pub(super) fn explain(origin: &Origin, namespace: &str, name: &str, config: &str) -> String {
    let mut words = vec![format!("kubectl toolset explain {} -n {}", quoted(name), quoted(namespace))];
    words.extend(origin.flags());
    words.extend(selected(origin, config));
    words.join(" ")
}

/// `render`, with `jq` for the filter. `None` for Services that `render` does not list.
pub(super) fn list(origin: &Origin, filter: &Filter, config: &str) -> Option<String> {
    let rows = match filter.show.as_str() {
        "" => ".tools[], .rejected[]",
        "tools" => ".tools[]",
        "rejected" => ".rejected[]",
        _ => return None,
    };
    let mut words = vec!["kubectl toolset render".to_owned()];
    words.extend(origin.is_live().then(|| "--live".to_owned()));
    words.extend(origin.flags());
    words.extend(selected(origin, config));
    let mut conditions: Vec<String> = [("namespace", &filter.namespace), ("type", &filter.type_name)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!(".{key} == {}", json(value)))
        .collect();
    if !filter.reason.is_empty() {
        conditions.push(format!(".reason == {}", json(&filter.reason)));
    }
    let searched = filter.q.trim().to_ascii_lowercase();
    if !searched.is_empty() {
        let text = r#""\(.namespace)/\(.service) \(.type) \(.endpoint // "") \(.reason // "") \(.message // "")""#;
        conditions.push(format!("({text} | ascii_downcase | contains({}))", json(&searched)));
    }
    if conditions.is_empty() && filter.show.is_empty() {
        words.push("-o table".to_owned());
        return Some(words.join(" "));
    }
    let program = match conditions.as_slice() {
        [] => rows.to_owned(),
        conditions => format!("{} | select({})", rows_in_brackets(rows), conditions.join(" and ")),
    };
    Some(format!("{} -o json | jq {}", words.join(" "), quoted(&program)))
}

/// In a cluster, the flag that selects the ToolsetConfig of the page.
fn selected(origin: &Origin, config: &str) -> Option<String> {
    (origin.is_live() && !config.is_empty()).then(|| format!("--config {}", quoted(config)))
}

fn rows_in_brackets(rows: &str) -> String {
    if rows.contains(',') { format!("({rows})") } else { rows.to_owned() }
}

/// A string of jq.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Origin {
        Origin::Files { files: vec!["my stack.yaml".to_owned()], recursive: false }
    }

    #[test]
    fn the_list_without_a_filter_is_the_table_of_render() {
        let command = list(&files(), &Filter::default(), "default/default").unwrap();
        assert_eq!(command, "kubectl toolset render -f 'my stack.yaml' -o table");
        let cluster = Origin::Cluster { flags: vec!["--context".to_owned(), "prod".to_owned()] };
        let command = list(&cluster, &Filter::default(), "holmes/default").unwrap();
        assert_eq!(command, "kubectl toolset render --live --context prod --config holmes/default -o table");
    }

    #[test]
    fn a_filter_becomes_a_program_for_jq_that_the_shell_cannot_misread() {
        let filter = Filter {
            show: "rejected".to_owned(),
            namespace: "monitoring".to_owned(),
            q: "O'Neil\"$(x)".to_owned(),
            ..Filter::default()
        };
        let command = list(&files(), &filter, "").unwrap();
        assert!(command.contains(r#"jq '.rejected[] | select(.namespace == "monitoring" and ("#), "{command}");
        assert!(command.contains(r#"contains("o'\''neil\"$(x)")"#), "{command}");
    }

    #[test]
    fn services_that_render_does_not_list_have_no_command_line() {
        let filter = Filter { show: "not-recognised".to_owned(), ..Filter::default() };
        assert_eq!(list(&files(), &filter, ""), None);
    }

    #[test]
    fn explain_names_the_service_and_the_toolset_config() {
        let cluster = Origin::Cluster { flags: Vec::new() };
        assert_eq!(
            explain(&cluster, "monitoring", "grafana", "holmes/default"),
            "kubectl toolset explain grafana -n monitoring --config holmes/default"
        );
    }
}

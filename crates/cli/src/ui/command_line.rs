//! The command lines that show the same as a page, to send to somebody.

use super::filter::Filter;
use crate::text::{quoted, service_argument};

/// What another command needs to show the same.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Where the objects come from.
    pub from: From,
    /// The DNS domain of the cluster. `None` if it is the default.
    pub cluster_domain: Option<String>,
}

/// Where the objects come from.
#[derive(Clone, Debug)]
pub(super) enum From {
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
        /// The namespace that the user gave. It is read if the user may not read all of them.
        namespace: Option<String>,
    },
}

impl Origin {
    /// What the page says about it.
    pub(super) fn in_words(&self) -> String {
        match &self.from {
            // Without folders, which can be long.
            From::Files { files, .. } => {
                let name = |file: &String| file.rsplit('/').find(|part| !part.is_empty()).unwrap_or(file).to_owned();
                files.iter().map(name).collect::<Vec<_>>().join(", ")
            }
            From::Cluster { flags, .. } => {
                let context = flags.iter().position(|flag| flag == "--context").and_then(|at| flags.get(at + 1));
                context.map_or_else(|| "cluster of the current context".to_owned(), |name| format!("context {name}"))
            }
        }
    }

    /// The flags by which another command reads the same objects, except the namespace.
    fn flags(&self) -> Vec<String> {
        let mut flags: Vec<String> = match &self.from {
            From::Files { files, recursive } => {
                let files = files.iter().flat_map(|file| ["-f".to_owned(), quoted(file)]);
                files.chain(recursive.then(|| "-R".to_owned())).collect()
            }
            From::Cluster { flags, .. } => flags.iter().map(|flag| quoted(flag)).collect(),
        };
        flags.extend(self.cluster_domain.iter().map(|domain| format!("--cluster-domain {}", quoted(domain))));
        flags
    }

    /// The flag for the namespace that the user gave.
    fn namespace(&self) -> Option<String> {
        match &self.from {
            From::Cluster { namespace, .. } => namespace.as_ref().map(|name| format!("-n {}", quoted(name))),
            From::Files { .. } => None,
        }
    }

    fn is_live(&self) -> bool {
        matches!(self.from, From::Cluster { .. })
    }
}

/// `explain` for one Service.
pub(super) fn explain(origin: &Origin, namespace: &str, name: &str, config: &str) -> String {
    let mut words = vec![format!("kubectl toolset explain {} -n {}", service_argument(name), quoted(namespace))];
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
    words.extend(origin.namespace());
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
        let from = From::Files { files: vec!["my stack.yaml".to_owned()], recursive: false };
        Origin { from, cluster_domain: None }
    }

    fn cluster(flags: &[&str], namespace: Option<&str>) -> Origin {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let from = From::Cluster { flags, namespace: namespace.map(ToOwned::to_owned) };
        Origin { from, cluster_domain: None }
    }

    #[test]
    fn the_list_without_a_filter_is_the_table_of_render() {
        let command = list(&files(), &Filter::default(), "default/default").unwrap();
        assert_eq!(command, "kubectl toolset render -f 'my stack.yaml' -o table");
        let origin = cluster(&["--context", "prod"], None);
        let command = list(&origin, &Filter::default(), "holmes/default").unwrap();
        assert_eq!(command, "kubectl toolset render --live --context prod --config holmes/default -o table");
    }

    #[test]
    fn commands_read_the_same_namespace_and_the_same_cluster_domain() {
        let origin =
            Origin { cluster_domain: Some("corp.local".to_owned()), ..cluster(&["--kubeconfig", "a b"], Some("team")) };
        assert_eq!(
            list(&origin, &Filter::default(), "").unwrap(),
            "kubectl toolset render --live -n team --kubeconfig 'a b' --cluster-domain corp.local -o table"
        );
        assert_eq!(
            explain(&origin, "mon", "loki", ""),
            "kubectl toolset explain loki -n mon --kubeconfig 'a b' --cluster-domain corp.local"
        );
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
        assert_eq!(
            explain(&cluster(&[], None), "monitoring", "grafana", "holmes/default"),
            "kubectl toolset explain grafana -n monitoring --config holmes/default"
        );
    }
}

//! Completion for `kubectl toolset <TAB>`.
//!
//! kubectl runs the program `kubectl_complete-toolset` with the words after `kubectl toolset`, of which the last one is
//! completed. The answer has the protocol of cobra: one value a line, with a description after a tab, and at the end a
//! line with a number of flags. <https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>

mod names;

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, CommandFactory};
use toolset::visible::{escaped, is_invisible};

use crate::args::{Cli, Cluster};

/// The name of the program that kubectl runs.
pub(crate) const PROGRAM: &str = "kubectl_complete-toolset";

/// The command that does the same. It is not in the help.
pub(crate) const COMMAND: &str = "__complete";

/// A script for the program that kubectl runs.
pub(crate) const SCRIPT: &str = "#!/bin/sh\nexec kubectl-toolset __complete \"$@\"\n";

/// The shell completes the names of files.
const FILES: u8 = 0;
/// The shell does not complete the names of files.
const NO_FILES: u8 = 4;

/// What can be at a place.
#[derive(Debug, PartialEq, Eq)]
struct Completions {
    /// Values with descriptions.
    values: Vec<(String, String)>,
    directive: u8,
}

/// The completions of the last word.
pub(crate) fn run(words: &[String]) -> String {
    let found = complete(words, &names::Live);
    let mut text = String::new();
    for (value, description) in found.values.iter().filter(|(value, _)| !value.contains(is_invisible)) {
        text.push_str(value);
        if !description.is_empty() {
            text.push('\t');
            text.push_str(&escaped(description));
        }
        text.push('\n');
    }
    text.push(':');
    text.push_str(&found.directive.to_string());
    text.push('\n');
    text
}

/// The names of objects.
trait Names {
    fn of(&self, what: What, cluster: &Cluster) -> Vec<String>;
}

/// A kind of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Services,
    Namespaces,
    Contexts,
    /// As `namespace/name`.
    ToolsetConfigs,
    /// Those of one namespace.
    ToolsetConfigsHere,
}

fn complete(words: &[String], names: &dyn Names) -> Completions {
    let mut root = Cli::command();
    root.build();
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let mut line = Line { command: &root, positionals: 0, cluster: Cluster::default(), open: None };
    for word in before {
        line.read(word);
    }
    if let Some(flag) = line.open {
        return line.values(flag, last, names);
    }
    if let Some((flag, value)) = last.split_once('=').filter(|(flag, _)| flag.starts_with("--")) {
        return line.flag(flag).map_or_else(nothing, |flag| line.values(flag, value, names));
    }
    if last.starts_with('-') {
        let flags = line.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let flags = flags.filter_map(|arg| Some((format!("--{}", arg.get_long()?), help(arg))));
        return matching(flags, last);
    }
    let mut subcommands = line.command.get_subcommands().filter(|command| !command.is_hide_set()).peekable();
    if subcommands.peek().is_some() && line.positionals == 0 {
        let about = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
        return matching(subcommands.map(|command| (command.get_name().to_owned(), about(command))), last);
    }
    let positional = line.command.get_positionals().nth(line.positionals);
    positional.map_or_else(nothing, |arg| line.values(arg, last, names))
}

/// The words before the one that is completed.
struct Line<'a> {
    command: &'a Command,
    /// How many arguments without a flag the command has.
    positionals: usize,
    cluster: Cluster,
    /// The flag whose value is completed.
    open: Option<&'a Arg>,
}

impl<'a> Line<'a> {
    fn read(&mut self, word: &str) {
        if let Some(flag) = self.open.take() {
            self.keep(flag, word);
        } else if let Some((name, value)) = word.split_once('=').filter(|(name, _)| name.starts_with("--")) {
            if let Some(flag) = self.flag(name) {
                self.keep(flag, value);
            }
        } else if word.starts_with("--") {
            self.open = self.flag(word).filter(|flag| takes_value(flag));
        } else if word.starts_with('-') && word.len() > 1 {
            match self.short(word) {
                Some((flag, "")) => self.open = Some(flag),
                Some((flag, value)) => self.keep(flag, value),
                None => {}
            }
        } else if let Some(command) = self.command.find_subcommand(word) {
            self.command = command;
        } else {
            self.positionals += 1;
        }
    }

    /// The flag with this long name.
    fn flag(&self, word: &str) -> Option<&'a Arg> {
        let long = word.strip_prefix("--")?;
        self.command.get_arguments().find(|arg| arg.get_long() == Some(long))
    }

    /// The flag with a value in a word of short flags, and what follows it in the word: `mon` for `-nmon` and `-n=mon`.
    fn short<'w>(&self, word: &'w str) -> Option<(&'a Arg, &'w str)> {
        let flags = word.strip_prefix('-')?;
        for (at, short) in flags.char_indices() {
            let flag = self.command.get_arguments().find(|arg| arg.get_short() == Some(short))?;
            if takes_value(flag) {
                let rest = flags.get(at + short.len_utf8()..).unwrap_or_default();
                return Some((flag, rest.strip_prefix('=').unwrap_or(rest)));
            }
        }
        None
    }

    /// Keeps what selects the cluster.
    fn keep(&mut self, flag: &Arg, value: &str) {
        match flag.get_id().as_str() {
            "namespace" => self.cluster.namespace = Some(value.to_owned()),
            "context" => self.cluster.context = Some(value.to_owned()),
            "kubeconfig" => self.cluster.kubeconfig = Some(PathBuf::from(value)),
            _ => {}
        }
    }

    /// The values of a flag or of an argument.
    fn values(&self, arg: &Arg, start: &str, names: &dyn Names) -> Completions {
        let what = match arg.get_id().as_str() {
            "kubeconfig" | "files" => return Completions { values: Vec::new(), directive: FILES },
            "namespace" => What::Namespaces,
            "context" => What::Contexts,
            "config" => What::ToolsetConfigs,
            "name" => What::ToolsetConfigsHere,
            "service" => return self.services(start, names),
            _ => {
                let possible = arg.get_possible_values();
                let possible = possible.iter().filter(|value| !value.is_hide_set());
                let help = |value: &clap::builder::PossibleValue| {
                    value.get_help().map(ToString::to_string).unwrap_or_default()
                };
                return matching(possible.map(|value| (value.get_name().to_owned(), help(value))), start);
            }
        };
        plain(names.of(what, &self.cluster), start)
    }

    /// The Services: of the namespace, or of the one before a slash.
    fn services(&self, start: &str, names: &dyn Names) -> Completions {
        let Some((prefix, _)) = start.split_once('/') else {
            return plain(names.of(What::Services, &self.cluster), start);
        };
        let is_kind = matches!(prefix, "svc" | "service" | "services");
        let namespace = if is_kind { self.cluster.namespace.clone() } else { Some(prefix.to_owned()) };
        let found = names.of(What::Services, &Cluster { namespace, ..self.cluster.clone() });
        plain(found.into_iter().map(|name| format!("{prefix}/{name}")).collect(), start)
    }
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

fn plain(names: Vec<String>, start: &str) -> Completions {
    matching(names.into_iter().map(|name| (name, String::new())), start)
}

fn matching(values: impl Iterator<Item = (String, String)>, start: &str) -> Completions {
    Completions { values: values.filter(|(value, _)| value.starts_with(start)).collect(), directive: NO_FILES }
}

fn nothing() -> Completions {
    Completions { values: Vec::new(), directive: NO_FILES }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster in which the names say what was asked for.
    struct Fake;

    impl Names for Fake {
        fn of(&self, what: What, cluster: &Cluster) -> Vec<String> {
            let Cluster { namespace, context, .. } = cluster;
            let of = |part: &Option<String>| part.clone().unwrap_or_default();
            vec![format!("{what:?}-{}-{}", of(namespace), of(context)).to_lowercase()]
        }
    }

    fn values(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        complete(&words, &Fake).values.into_iter().map(|(value, _)| value).collect()
    }

    #[test]
    fn commands_are_completed_and_hidden_ones_are_not() {
        assert_eq!(values(&["ex"]), ["explain"]);
        let all = values(&[""]);
        for command in ["render", "explain", "status", "check", "diff", "version", "validate"] {
            assert!(all.iter().any(|value| value == command), "{command}: {all:?}");
        }
        assert!(!all.iter().any(|value| value.starts_with("__")), "{all:?}");
    }

    #[test]
    fn flags_and_their_values_are_completed() {
        assert_eq!(values(&["render", "--outp"]), ["--output"]);
        assert_eq!(values(&["render", "-o", "h"]), ["holmesgpt"]);
        assert_eq!(values(&["render", "--output=h"]), ["holmesgpt"]);
        assert_eq!(values(&["--color", "a"]), ["auto", "always"]);
        assert!(values(&["explain", "--kube"]).contains(&"--kubeconfig".to_owned()));
        assert_eq!(values(&["render", "--nothing=", "x"]), Vec::<String>::new());
    }

    #[test]
    fn names_come_from_the_cluster_that_the_flags_select() {
        assert_eq!(values(&["explain", ""]), ["services--"]);
        assert_eq!(values(&["explain", "-n", "monitoring", "--context=prod", ""]), ["services-monitoring-prod"]);
        assert_eq!(values(&["explain", "-nmonitoring", ""]), ["services-monitoring-"]);
        assert_eq!(values(&["explain", "-n=monitoring", ""]), ["services-monitoring-"]);
        assert_eq!(values(&["explain", "-Rnmonitoring", ""]), ["services-monitoring-"]);
        assert_eq!(values(&["explain", "-Rn", ""]), ["namespaces--"]);
        assert_eq!(values(&["explain", "-R", ""]), ["services--"]);
        assert_eq!(values(&["explain", "svc/"]), ["svc/services--"]);
        assert_eq!(values(&["explain", "shop/"]), ["shop/services-shop-"]);
        assert_eq!(values(&["explain", "grafana", ""]), Vec::<String>::new(), "there is only one Service");
        assert_eq!(values(&["--context", "prod", "explain", "-n", ""]), ["namespaces--prod"]);
        assert_eq!(values(&["render", "--live", "--config", ""]), ["toolsetconfigs--"]);
        assert_eq!(values(&["status", "-n", "holmes", ""]), ["toolsetconfigshere-holmes-"]);
        assert_eq!(values(&["explain", "--context", "c"]), ["contexts--"]);
    }

    #[test]
    fn the_shell_completes_files() {
        let words = ["render", "-f", ""].map(str::to_owned);
        assert_eq!(complete(&words, &Fake), Completions { values: Vec::new(), directive: FILES });
    }
}

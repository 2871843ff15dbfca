//! The command line.

#![allow(clippy::doc_markdown, reason = "the doc comments are the help text, which does not render backticks")]

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint, builder::styling};
use clap_complete::Shell;

use crate::input::Named;

/// Show which tools an AI agent gets from the Services of a cluster, and why.
///
/// The command runs the code of the operator on files, on standard input or on a cluster. It does not change anything.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-toolset",
    bin_name = "kubectl toolset",
    version,
    styles = STYLES,
    after_help = "Exit codes: 0 success, 1 the input or the cluster has a problem (see standard error), 2 the command line is wrong.",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub cluster: Cluster,
    /// When to use colours; auto uses them on a terminal unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL)]
    pub color: ColorWhen,
}

/// The heading of the flags that every command has.
const GLOBAL: &str = "Global options";

/// The flags that select a cluster and a namespace. They are the same for every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = GLOBAL)]
pub(crate) struct Cluster {
    /// The kubeconfig file [default: the files of KUBECONFIG, otherwise ~/.kube/config]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig context [default: the current context]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The namespace [default: the namespace of the context, or "default" with files]
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// How long to wait for one answer of the API server, such as 10s or 2m; 0 waits without a limit
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,
}

impl Cluster {
    /// How long to wait for one answer. `None` waits without a limit.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        Some(self.request_timeout).filter(|timeout| !timeout.is_zero())
    }

    /// The first flag that needs a cluster, if the user gave one.
    pub(crate) fn flag(&self) -> Option<&'static str> {
        match self {
            Self { kubeconfig: Some(_), .. } => Some("--kubeconfig"),
            Self { context: Some(_), .. } => Some("--context"),
            _ => None,
        }
    }
}

/// A duration as kubectl writes it: whole numbers with h, m or s, or seconds without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "use a number with a unit, such as 30s, 2m or 1h".to_owned();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the tools that the operator discovers and the file that it writes
    #[command(after_help = RENDER_EXAMPLES)]
    Render(Render),
    /// Explain why a Service is a tool or why it is not, and what you can do
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Explain),
    /// Compare the ConfigMap in the cluster with what the operator would write
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(Diff),
    /// Validate ToolsetConfigs without a cluster, as the API server does
    #[command(after_help = VALIDATE_EXAMPLES)]
    Validate(Validate),
    /// Show in a browser what is found and why
    #[cfg(feature = "ui")]
    #[command(after_help = UI_EXAMPLES)]
    Ui(Ui),
    /// Print the CustomResourceDefinitions
    #[command(after_help = "Example:\n  kubectl toolset crds | kubectl apply --server-side -f -")]
    Crds,
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell that the script is for
        shell: Shell,
    },
}

const RENDER_EXAMPLES: &str = "\
Examples:
  # Show the tools in this cluster (the operator does not need to be installed)
  kubectl toolset render --live

  # Show the tools that a repository of manifests would give
  kubectl toolset render -f manifests/ -R

  # Show the tools for a ToolsetConfig that is not applied yet
  kubectl toolset render --live -f toolsetconfig.yaml

  # Show the file that HolmesGPT loads, for the Services of a chart
  helm template my-prometheus prometheus-community/prometheus -n monitoring | kubectl toolset render -f - -o holmesgpt

  # Print the values of Robusta's Helm chart for the systems of this cluster
  kubectl toolset render --live --config holmes/default -o robusta

  # Print the endpoints of all tools
  kubectl toolset render -f services.yaml -f toolsetconfig.yaml -o json | jq -r '.tools[].endpoint'";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  # Explain why a Prometheus is not a tool (reads from the cluster of the current context)
  kubectl toolset explain prometheus-server -n monitoring

  # Explain it with the objects in files; the Pod template shows what the Service does not
  kubectl toolset explain prometheus-server -n monitoring -f service.yaml -f deployment.yaml";

const DIFF_EXAMPLES: &str = "\
Examples:
  # Show what the operator would change now
  kubectl toolset diff

  # Show what a ToolsetConfig that is not applied yet would change
  kubectl toolset diff -f toolsetconfig.yaml

Exit codes: 0 no difference, 1 there is a difference, 2 an error.";

const VALIDATE_EXAMPLES: &str = "\
Examples:
  kubectl toolset validate -f toolsetconfig.yaml
  kustomize build overlays/prod | kubectl toolset validate -f -";

#[cfg(feature = "ui")]
const UI_EXAMPLES: &str = "\
Examples:
  # Open the page for the cluster of the current context
  kubectl toolset ui

  # Open the page for the objects in files; a changed file changes the page
  kubectl toolset ui -f manifests/ -R

  # Print the address instead, for example to forward the port with SSH
  kubectl toolset ui --no-browser --port 8001";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  kubectl-toolset completions bash > ~/.local/share/bash-completion/completions/kubectl-toolset
  kubectl-toolset completions fish > ~/.config/fish/completions/kubectl-toolset.fish";

#[derive(Debug, Args)]
pub(crate) struct Render {
    #[command(flatten)]
    pub from: From,
    /// The output format [default: table on a terminal, otherwise configmap]
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// The output formats of `render`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The ConfigMap that the operator applies
    Configmap,
    /// The file that HolmesGPT loads
    Holmesgpt,
    /// Tools and rejected Services as JSON
    Json,
    /// Tools and rejected Services as YAML
    Yaml,
    /// Tools and rejected Services as a table
    Table,
    /// The values to paste for Robusta's Helm chart
    Robusta,
    /// The values to paste for Kubernaut's Helm chart
    Kubernaut,
    /// The command line of krr
    Krr,
}

/// A format for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelFormat {
    Json,
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The Service: NAME, NAMESPACE/NAME or svc/NAME
    #[arg(value_name = "SERVICE")]
    pub service: String,
    #[command(flatten)]
    pub from: From,
    /// The output format [default: text]
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ModelFormat>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A file with a ToolsetConfig, which replaces the one of the cluster; - for standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read the subdirectories of a directory, too
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// The ToolsetConfig to use [default: all of them, or the only one of the namespace]
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub config: Option<String>,
    /// The DNS domain of the cluster
    #[arg(
        long,
        value_name = "DOMAIN",
        default_value = toolset::DEFAULT_CLUSTER_DOMAIN,
        value_parser = toolset::checked::cluster_domain
    )]
    pub cluster_domain: String,
    /// The output format [default: a unified diff]
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ModelFormat>,
}

impl Diff {
    /// The files to read.
    pub(crate) fn named(&self) -> Named<'_> {
        Named { files: &self.files, recursive: self.recursive }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// A file or a directory with ToolsetConfigs, or - for standard input; can be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Read the subdirectories of a directory, too
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

/// The arguments of `ui`.
#[cfg(feature = "ui")]
#[derive(Debug, Args)]
pub(crate) struct Ui {
    /// A YAML or JSON file, a directory with such files, or - for standard input; can be repeated. Without files, the
    /// objects are read from the cluster
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read the subdirectories of a directory, too
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// The port on this computer; 0 selects a free one
    #[arg(long, value_name = "PORT", default_value = "0")]
    pub port: u16,
    /// Print the one-time address instead of opening it
    #[arg(long)]
    pub no_browser: bool,
    /// The DNS domain of the cluster
    #[arg(
        long,
        value_name = "DOMAIN",
        default_value = toolset::DEFAULT_CLUSTER_DOMAIN,
        value_parser = toolset::checked::cluster_domain
    )]
    pub cluster_domain: String,
}

#[cfg(feature = "ui")]
impl Ui {
    /// The files to read.
    pub(crate) fn named(&self) -> Named<'_> {
        Named { files: &self.files, recursive: self.recursive }
    }
}

impl Validate {
    /// The files to read.
    pub(crate) fn named(&self) -> Named<'_> {
        Named { files: &self.files, recursive: self.recursive }
    }
}

impl From {
    /// The files to read.
    pub(crate) fn named(&self) -> Named<'_> {
        Named { files: &self.files, recursive: self.recursive }
    }
}

/// Where the objects come from.
#[derive(Debug, Args)]
pub(crate) struct From {
    /// A YAML or JSON file, a directory with such files, or - for standard input; can be repeated. Services, Pods, Pod
    /// templates (of Deployments, StatefulSets, DaemonSets), EndpointSlices, Namespaces, ConfigMaps and at most one
    /// ToolsetConfig are read
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read the subdirectories of a directory, too
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Read the objects from the cluster of the current context; a ToolsetConfig in -f replaces the one of the cluster
    #[arg(long)]
    pub live: bool,
    /// The ToolsetConfig of the cluster to use [default: all of them, or the only one of the namespace]
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub config: Option<String>,
    /// The DNS domain of the cluster
    #[arg(
        long,
        value_name = "DOMAIN",
        default_value = toolset::DEFAULT_CLUSTER_DOMAIN,
        value_parser = toolset::checked::cluster_domain
    )]
    pub cluster_domain: String,
}

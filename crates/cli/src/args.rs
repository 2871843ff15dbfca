//! The command line.

#![allow(clippy::doc_markdown, reason = "the doc comments are the help text, which does not render backticks")]

mod examples;

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
    /// How long to wait for a response from the API server, such as 10s or 2m; 0 means no limit
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
    #[command(after_help = examples::RENDER)]
    Render(Render),
    /// Explain why a Service is a tool or why it is not, and what you can do
    #[command(after_help = examples::EXPLAIN)]
    Explain(Explain),
    /// Compare the ConfigMap in the cluster with what the operator would write
    #[command(after_help = examples::DIFF)]
    Diff(Diff),
    /// Show what the operator reports about the ToolsetConfigs
    #[command(after_help = examples::STATUS)]
    Status(Status),
    /// Check the permissions, the CRD, the operator, the ToolsetConfigs and the agents
    #[command(after_help = examples::CHECK)]
    Check(Check),
    /// Validate ToolsetConfigs without a cluster, as the API server does
    #[command(after_help = examples::VALIDATE)]
    Validate(Validate),
    /// Show the tools, every Service and the reasons in a browser
    #[cfg(feature = "ui")]
    #[command(after_help = examples::UI)]
    Ui(Ui),
    /// Say that this build has no page
    #[cfg(not(feature = "ui"))]
    #[command(name = "ui", hide = true, disable_help_flag = true)]
    NoUi {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        arguments: Vec<String>,
    },
    /// Print the versions of this plugin, the operator and the CRD
    #[command(after_help = examples::VERSION)]
    Version(Version),
    /// Print the CustomResourceDefinitions
    #[command(after_help = "Example:\n  kubectl toolset crds | kubectl apply --server-side -f -")]
    Crds,
    /// Print a completion script for kubectl or for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The program that the script is for
        shell: ScriptFor,
    },
}

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

/// The programs that a completion script can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScriptFor {
    /// kubectl, which calls the script kubectl_complete-toolset
    Kubectl,
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
}

impl ScriptFor {
    /// The shell. `None` for kubectl.
    pub(crate) fn shell(self) -> Option<Shell> {
        match self {
            Self::Kubectl => None,
            Self::Bash => Some(Shell::Bash),
            Self::Elvish => Some(Shell::Elvish),
            Self::Fish => Some(Shell::Fish),
            Self::PowerShell => Some(Shell::PowerShell),
            Self::Zsh => Some(Shell::Zsh),
        }
    }
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
pub(crate) struct Status {
    /// The ToolsetConfig [default: all of the namespace]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Show the ToolsetConfigs of all namespaces
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
    /// The output format [default: text]
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ModelFormat>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The output format [default: text]
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ModelFormat>,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Print only the version of this plugin, without asking the cluster
    #[arg(long)]
    pub client: bool,
    /// The output format [default: text]
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ModelFormat>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A file with a ToolsetConfig, which replaces the one in the cluster; - for standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read subdirectories too
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
    /// Read subdirectories too
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// The output format [default: text]
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ModelFormat>,
}

/// The arguments of `ui`.
#[cfg(feature = "ui")]
#[derive(Debug, Args)]
pub(crate) struct Ui {
    /// A YAML or JSON file, a directory with such files, or - for standard input; can be repeated. Without files, the
    /// objects are read from the cluster
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read subdirectories too
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
    /// The DNS domain of the cluster if it is not the default.
    pub(crate) fn other_cluster_domain(&self) -> Option<String> {
        Some(self.cluster_domain.clone()).filter(|domain| domain != toolset::DEFAULT_CLUSTER_DOMAIN)
    }

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
    /// Read subdirectories too
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Read the objects from the cluster of the current context; a ToolsetConfig in -f replaces the one in the cluster
    #[arg(long)]
    pub live: bool,
    /// The ToolsetConfig in the cluster to use [default: all of them, or the only one of the namespace]
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

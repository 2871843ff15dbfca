//! The command line.

// The doc comments are the help text, which shows backticks as they are.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::styling};
use clap_complete::Shell;

/// See which tools an AI agent would get from the Services of a cluster, and why.
///
/// Runs the operator's own code on files, on standard input or on a cluster, and changes nothing.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-toolset",
    bin_name = "kubectl toolset",
    version,
    styles = STYLES,
    after_help = "Exit codes: 0 fine, 1 the input has problems (named on standard error), 2 wrong usage.",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Colours: auto uses them on a terminal unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = false)]
    pub color: ColorWhen,
    #[command(subcommand)]
    pub command: Command,
}

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the tools and the file that the operator would write
    #[command(after_help = RENDER_EXAMPLES)]
    Render(Render),
    /// Say why a Service is a tool, or why it is not, and what would change that
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Explain),
    /// Check ToolsetConfigs as the API server would, without one
    #[command(after_help = VALIDATE_EXAMPLES)]
    Validate(Validate),
    /// Print the CustomResourceDefinitions
    #[command(after_help = "Example:\n  kubectl toolset crds | kubectl apply --server-side -f -")]
    Crds,
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

const RENDER_EXAMPLES: &str = "\
Examples:
  # What would this cluster give an agent? (nothing of the operator need be installed)
  kubectl get services,endpointslices,namespaces -A -o yaml | kubectl toolset render -f -

  # The same for a ToolsetConfig that is not applied yet
  kubectl toolset render --live -f toolsetconfig.yaml

  # The file that HolmesGPT loads, from a chart's output
  helm template my-prometheus prometheus-community/prometheus -n monitoring | kubectl toolset render -f - -o holmesgpt

  # For scripts
  kubectl toolset render -f services.yaml -f toolsetconfig.yaml -o json | jq -r '.tools[].endpoint'";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  # Why is my Prometheus not picked? (asks the cluster of the current context)
  kubectl toolset explain prometheus-server -n monitoring

  # The same from files
  kubectl toolset explain prometheus-server -n monitoring -f services.yaml -f toolsetconfig.yaml";

const VALIDATE_EXAMPLES: &str = "\
Examples:
  kubectl toolset validate -f toolsetconfig.yaml
  kustomize build overlays/prod | kubectl toolset validate -f -";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  kubectl-toolset completions bash > ~/.local/share/bash-completion/completions/kubectl-toolset
  kubectl-toolset completions fish > ~/.config/fish/completions/kubectl-toolset.fish";

#[derive(Debug, Args)]
pub struct Render {
    #[command(flatten)]
    pub from: From,
    /// What to print; table on a terminal, else configmap
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// What `render` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The ConfigMap as it would be applied
    Configmap,
    /// The file that HolmesGPT loads
    Holmesgpt,
    /// Tools and rejected Services, for scripts
    Json,
    /// Tools and rejected Services, for people
    Table,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The Service, by name or as NAMESPACE/NAME
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// The Service's namespace [default: that of the current context, or "default" with files]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    #[command(flatten)]
    pub from: From,
}

#[derive(Debug, Args)]
pub struct Validate {
    /// A file with ToolsetConfigs, or - for standard input; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Where the objects come from.
#[derive(Debug, Args)]
pub struct From {
    /// A file with Services, EndpointSlices, Namespaces, ConfigMaps and at most one ToolsetConfig, as YAML or JSON, or - for
    /// standard input; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read from the cluster of the current context; with -f the ToolsetConfig comes from the file
    #[arg(long)]
    pub live: bool,
    /// The ToolsetConfig to use, where the cluster has several
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub config: Option<String>,
    /// The kubeconfig context to use
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The domain of Service names
    #[arg(long, value_name = "DOMAIN", default_value = toolset::DEFAULT_CLUSTER_DOMAIN)]
    pub cluster_domain: String,
}

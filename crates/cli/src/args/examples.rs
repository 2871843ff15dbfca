//! The examples and the exit codes at the end of the help.

pub(super) const RENDER: &str = "\
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

pub(super) const EXPLAIN: &str = "\
Examples:
  # Explain why a Prometheus is not a tool (reads from the cluster of the current context)
  kubectl toolset explain prometheus-server -n monitoring

  # Explain it with the objects in files; the Pod template shows what the Service does not
  kubectl toolset explain prometheus-server -n monitoring -f service.yaml -f deployment.yaml";

pub(super) const DIFF: &str = "\
Examples:
  # Show what the operator would change now
  kubectl toolset diff

  # Show what a ToolsetConfig that is not applied yet would change
  kubectl toolset diff -f toolsetconfig.yaml

Exit codes: 0 no difference, 1 there is a difference, 2 an error.";

pub(super) const STATUS: &str = "\
Examples:
  # Show the ToolsetConfigs of all namespaces
  kubectl toolset status -A

  # Show one of them
  kubectl toolset status default -n holmes";

pub(super) const CHECK: &str = "\
Examples:
  # Check everything that the permissions allow
  kubectl toolset check

  # Check only the ToolsetConfigs of one namespace
  kubectl toolset check -n holmes

Exit codes: 0 no problem was found (warnings are possible), 1 a problem was found, 2 the command line is wrong.";

pub(super) const VERSION: &str = "\
Examples:
  kubectl toolset version
  kubectl toolset version --client";

pub(super) const VALIDATE: &str = "\
Examples:
  kubectl toolset validate -f toolsetconfig.yaml
  kustomize build overlays/prod | kubectl toolset validate -f -";

#[cfg(feature = "ui")]
pub(super) const UI: &str = "\
Examples:
  # Open the page for the cluster of the current context
  kubectl toolset ui

  # Open the page for the objects in files; the page is updated when a file changes
  kubectl toolset ui -f manifests/ -R

  # Print the address instead, for example to forward the port with SSH
  kubectl toolset ui --no-browser --port 8001";

pub(super) const COMPLETIONS: &str = "\
kubectl completes the command `kubectl toolset` if a program kubectl_complete-toolset is in PATH. The completion of kubectl
itself must be set up, see kubectl completion --help.

Examples:
  # Complete kubectl toolset, with the names of Services, namespaces and ToolsetConfigs
  kubectl toolset completions kubectl > ~/.local/bin/kubectl_complete-toolset
  chmod +x ~/.local/bin/kubectl_complete-toolset

  # Complete kubectl-toolset in bash and in fish
  kubectl-toolset completions bash > ~/.local/share/bash-completion/completions/kubectl-toolset
  kubectl-toolset completions fish > ~/.config/fish/completions/kubectl-toolset.fish";

//! What a user can try while the demo keeps running.

use std::{env, path::Path};

use anyhow::{Context as _, Result};

use super::{stack::Stack, stage::Stage};

/// What to type first.
pub(super) fn environment(stage: &Stage) -> Result<Vec<String>> {
    let folder = |program: &Path| -> Result<String> {
        Ok(program.parent().context("a program is in no folder")?.display().to_string())
    };
    let toolset = folder(&stage.programs().toolset)?;
    let kubectl = folder(&stage.programs().kubectl)?;
    let known = env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|one| one == Path::new(&kubectl)));
    let kubectl = if known { String::new() } else { format!("{kubectl}:") };
    let mut lines = vec![format!("export PATH={toolset}:{kubectl}$PATH")];
    if stage.is_own() {
        lines.push(format!("export KUBECONFIG={}", stage.kubeconfig().display()));
    }
    Ok(lines)
}

/// Commands, and what each shows.
pub(super) fn ideas(kubectl: &str, context: &str, stack: &Stack, metrics: &str) -> Vec<(String, String)> {
    let agent = stack.agent_namespace();
    let name = stack.config_name();
    let prefix = agent.strip_suffix("holmes").unwrap_or_default();
    let config = if context.is_empty() { String::new() } else { format!(" --config {agent}/{name}") };
    let ideas = [
        (format!("{kubectl} get tsc -n {agent} --watch"), "watch the status"),
        (
            format!("{kubectl} annotate svc grafana-private -n {prefix}search kubernaut.io/toolset-"),
            "let a Grafana that opted out become a tool",
        ),
        (
            format!(
                "{kubectl} annotate svc analytics -n {prefix}shop kubernaut.io/toolset=enabled kubernaut.io/toolset-type=jaeger"
            ),
            "opt in as a tenant",
        ),
        (format!("{kubectl} delete svc thanos-query -n {prefix}monitoring"), "remove a tool"),
        (format!("{kubectl} edit tsc {name} -n {agent}"), "change detectors, overrides or trust"),
        (format!("kubectl toolset render --live{context}{config}"), "show every recognised Service, and why"),
        (format!("curl -s {metrics}"), "read the metrics of the operator"),
    ];
    ideas.into_iter().map(|(command, what)| (command, what.to_owned())).collect()
}

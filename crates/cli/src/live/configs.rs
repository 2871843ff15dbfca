//! Which ToolsetConfigs of the cluster a command works on.

use crd_types::ToolsetConfig;
use kube::{Api, ResourceExt};

use super::{message_of, problem::TOOLSET_CONFIGS, reach::Reach, refused};
use crate::{failure::Failure, text::quoted};

/// What a command does if there are several ToolsetConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Several {
    /// It works on all of them.
    All,
    /// It works on the only one of the namespace, or else on all of them.
    Preferred,
    /// It prints one file, so it works on the only one of the namespace, or else the user has to choose.
    One,
}

/// The ToolsetConfigs to use. None if the cluster has none, or none can be read.
pub(super) async fn choose(
    reach: &mut Reach<'_>,
    named: Option<&str>,
    several: Several,
    notes: &mut Vec<String>,
) -> Result<Vec<ToolsetConfig>, Failure> {
    if let Some(named) = named {
        return get(reach, named).await.map(|config| vec![config]);
    }
    let mut all = match reach.list::<ToolsetConfig>(TOOLSET_CONFIGS).await {
        Ok(all) => all,
        Err(failure) => {
            notes.push(format!(
                "no ToolsetConfig can be read, so every namespace is treated as Trusted: {}",
                message_of(&failure)
            ));
            return Ok(Vec::new());
        }
    };
    all.sort_by_key(|config| (config.namespace(), config.name_any()));
    if all.len() < 2 || several == Several::All {
        return Ok(all);
    }
    let here: Vec<usize> =
        (0..all.len()).filter(|&at| all[at].namespace().as_ref() == Some(&reach.namespace)).collect();
    match (here.as_slice(), several) {
        ([only], _) => {
            let config = all.swap_remove(*only);
            notes.push(format!(
                "the cluster has {} ToolsetConfigs; {} is used, because it is the only one in this namespace",
                all.len() + 1,
                name_of(&config)
            ));
            Ok(vec![config])
        }
        (_, Several::One) => Err(ask(&all)),
        _ => Ok(all),
    }
}

/// The ToolsetConfig of `--config`: `NAMESPACE/NAME`, or `NAME` in the namespace of the command.
async fn get(reach: &Reach<'_>, named: &str) -> Result<ToolsetConfig, Failure> {
    let (namespace, name) = named.split_once('/').unwrap_or((&reach.namespace, named));
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return Err(Failure::Usage(format!("error: --config {named} is not valid; use NAME or NAMESPACE/NAME")));
    }
    let api = Api::<ToolsetConfig>::namespaced(reach.client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|error| refused(TOOLSET_CONFIGS, &error))?;
    found.ok_or_else(|| {
        Failure::input(format!(
            "error: ToolsetConfig {namespace}/{name} was not found; list all of them with kubectl get toolsetconfigs -A"
        ))
    })
}

/// Asks the user to choose, with the commands to type.
fn ask(all: &[ToolsetConfig]) -> Failure {
    let typed: Vec<String> = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy())).collect();
    let mut lines = vec!["error: there are several ToolsetConfigs; choose one:".to_owned()];
    lines
        .extend(all.iter().map(|config| format!("  kubectl toolset {} --config {}", typed.join(" "), name_of(config))));
    Failure::Choice(lines)
}

fn name_of(config: &ToolsetConfig) -> String {
    format!("{}/{}", config.namespace().unwrap_or_default(), config.name_any())
}
